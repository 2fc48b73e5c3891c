"""``holdsteady points``: where a model can be stabilized, and what it costs."""

from contextlib import suppress
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdsteady.adapters.config import make_config
from holdsteady.adapters.presets import DEFAULT_KIND
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, takes_model_options
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, HoldsteadyError, ModelError, in_one_line
from holdsteady.host.attach import stabilize
from holdsteady.host.cost import COLUMNS
from holdsteady.host.points import points as list_points
from holdsteady.host.points import select_points
from holdsteady.host.resolve import AdapterLike, resolve_ready
from holdsteady.models.advice import advice
from holdsteady.models.card import ModelCard
from holdsteady.models.model import card_of
from holdsteady.models.sizes import fit, try_model


@takes_model_options(without=("kind",))
def points(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As in holdsteady run --model.")],
    size: Annotated[str, typer.Option(help="Width × height of the frame that is tried.")] = "256x256",
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", help="Only these points: name, glob, type, auto.", show_default=False),
    ] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Show what an adapter at the points costs.")] = False,
    kind: Annotated[
        str | None,
        typer.Option(help=f"With --cost: a new adapter of this kind; default: {DEFAULT_KIND}.", show_default=False),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="With --cost, for spatial and controlled: light (default), tiny or paper.", show_default=False
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="With --cost: adapters as in holdsteady run, instead.", show_default=False)
    ] = None,
    device: options.Device = "cpu",
    *,
    given: ModelOptions,
) -> None:
    """List the points of a model: name, type, shape, layout, share of the model's work.

    With --cost: what an adapter takes at each point, and beside the model: parameters, multiply-accumulates (MACs) for
    each pixel of the frame, bytes remembered for each stream.

    Examples:

        holdsteady points denoise

        holdsteady points denoise --select auto

        holdsteady points my_model.py:build --size 640x480 --select 'encoder.*' --select output

        holdsteady points denoise --cost --preset paper

        holdsteady points denoise --cost --adapter nafnet16-noise-motion
    """
    picked = pick_device(device)
    height, width = _size(size)
    adapters = _adapters(cost, kind, preset, adapter, select)
    loaded = given.load(model, adapters or ())
    if isinstance(loaded, torch.nn.Module):
        loaded = loaded.to(picked)
    frame = torch.rand(1, 3, height, width, device=picked)
    try:
        view = _points(loaded, frame, select) if adapters is None else _costs(loaded, frame, adapters)
    except HoldsteadyError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model fails on a frame of --size {size}: {in_one_line(error)}"
            f"{advice(error) or _other_size(loaded, frame)}"
        ) from error
    what = adapter or kind or DEFAULT_KIND
    view.title = escape(
        f"{view.row_count} points of {model}" if adapters is None else f"cost of {what} in {model}, {width}×{height}"
    )
    # As wide as it has to be when it goes to a file or another program.
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    console.print(view)


def _adapters(
    cost: bool, kind: str | None, preset: str | None, adapter: str | None, select: list[str] | None
) -> list[AdapterLike] | None:
    """The adapters whose cost is asked for; None where the points alone are."""
    new = [name for name, value in (("--kind", kind), ("--preset", preset)) if value is not None]
    if not cost:
        given = [*new, *(["--adapter"] if adapter is not None else [])]
        if given:
            raise ConfigError(f"{', '.join(given)}: add --cost; they choose the adapter that is counted")
        return None
    if adapter is None:
        chosen = {"points": tuple(select)} if select else {}
        return [make_config(kind or DEFAULT_KIND, preset, **chosen)]
    if new or select:
        given = [*new, *(["--select"] if select else [])]
        raise ConfigError(f"--adapter {adapter} has its kind and its points; leave out {', '.join(given)}")
    return resolve_ready(adapter)


def _points(model: Any, frame: torch.Tensor, select: list[str] | None) -> Table:
    table = list_points(model, frame)
    chosen = {p.name for p in select_points(table, select)} if select else {row.point.name for row in table}
    view = Table(title_justify="left")
    for name in ("name", "type", "shape", "layout", "work"):
        view.add_column(name, justify="right" if name == "work" else "left", no_wrap=name != "layout")
    for row in table:
        if row.point.name in chosen:
            view.add_row(*row.cells())
    return view


def _costs(model: Any, frame: torch.Tensor, adapters: list[AdapterLike]) -> Table:
    steady = stabilize(model, adapters, example=frame).to(frame.device)
    view = Table(title_justify="left")
    for name in COLUMNS:
        view.add_column(name, justify="left" if name == "name" else "right", no_wrap=True)
    shown = steady.cost(frame)
    for number, row in enumerate(shown.cells()):
        # A line between the points and the sums.
        view.add_row(*map(escape, row), end_section=number == len(shown.points) - 1)
    return view


def _other_size(model: Any, frame: torch.Tensor) -> str:
    """The nearest size that a model takes, after a semicolon; empty if none is found."""
    with suppress(Exception):  # of the model itself, where its multiple is stated
        trial = try_model(model, frame, card_of(model))
        fitted = fit(frame, ModelCard(multiple=trial.multiple), trial.least)
        return f"; it takes --size {fitted.shape[3]}x{fitted.shape[2]}"
    return ""


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"--size {text}: give width x height, as in 640x480")
    return int(height), int(width)
