"""``holdsteady points``: where a model can be stabilized."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdsteady.cli import options
from holdsteady.errors import ConfigError, HoldsteadyError, ModelError
from holdsteady.host.points import points as list_points
from holdsteady.host.points import select_points
from holdsteady.models.contract import in_one_line
from holdsteady.models.loaders import load_model


def points(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Shipped model, file.py:name, or torchvision model.")],
    weights: Annotated[Path | None, typer.Option(help="Safetensors for the model.", show_default=False)] = None,
    size: Annotated[str, typer.Option(help="Width × height of the frame that is tried.")] = "256x256",
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", help="Show only these: name, glob, type, auto.", show_default=False),
    ] = None,
    device: options.Device = "cpu",
) -> None:
    """List the points of a model: name, type, shape, layout, share of the model's work.

    Examples:

        holdsteady points nafnet16-denoise

        holdsteady points nafnet16-denoise --select auto

        holdsteady points my_model.py:build --size 640x480 --select 'encoder.*' --select output
    """
    picked = options.pick_device(device)
    loaded = load_model(model, weights)
    if isinstance(loaded, torch.nn.Module):
        loaded = loaded.to(picked)
    frame = torch.rand(1, 3, *_size(size), device=picked)
    try:
        table = list_points(loaded, frame)
    except HoldsteadyError:
        raise
    except Exception as error:
        raise ModelError(f"the model fails on a frame of --size {size}: {in_one_line(error)}") from error
    chosen = {p.name for p in select_points(table, select)} if select else {row.point.name for row in table}
    view = Table(title=f"{len(chosen)} points of {escape(model)}", title_justify="left")
    for name in ("name", "type", "shape", "layout", "work"):
        view.add_column(name, justify="right" if name == "work" else "left", no_wrap=name != "layout")
    for row in table:
        if row.point.name in chosen:
            view.add_row(*row.cells())
    # As wide as it has to be when it goes to a file or another program.
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    console.print(view)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"--size {text}: give width x height, as in 640x480")
    return int(height), int(width)
