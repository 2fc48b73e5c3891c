"""``holdsteady train``: an adapter from a recipe, or from a model and videos."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, takes_model_options
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from holdsteady.training.loop import Outcome
    from holdsteady.training.recipe import Recipe
    from holdsteady.training.watch import Figures


@takes_model_options()
def train(
    recipe: Annotated[Path | None, typer.Argument(metavar="[RECIPE.yaml]", help="What to train.")] = None,
    model: Annotated[str | None, typer.Option(help="Without a recipe: the model.", show_default=False)] = None,
    videos: Annotated[list[str] | None, typer.Option(help="Without a recipe: videos or folders of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the adapter; default: trained/RECIPE.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value over the recipe; repeatable.")] = None,
    device: options.Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Devices, or processes on a CPU, that share each batch.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start the command on each of them.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", "-y", help="Start over in a folder with results.")] = False,
    *,
    given: ModelOptions,
) -> None:
    """Train an adapter. Run the same command again to resume an interrupted training run.

    Without a recipe: self-distillation on the videos, under a mixture of noise, compression and flicker. The folder
    then holds the adapter, its recipe, the list of data, metrics, log.csv, TensorBoard's log and example frames.

    Examples:

        holdsteady train recipes/nafnet16-noise-motion.yaml

        holdsteady train recipes/nafnet16-noise-motion.yaml --set steps=200 --out trained/quick

        holdsteady train --model my_model.py:make --videos footage/ --out my-adapter

        holdsteady run in.mp4 out.mp4 --model my_model.py:make --adapter my-adapter

    What is said of the model (--range, --kind, …) is kept in the recipe and in the adapter.
    """
    try:
        from holdsteady.training.loop import train as run_training
    except ImportError as error:
        raise MissingExtraError(
            f"training needs {error.name}, which is not installed: pip install 'holdsteady[train]'"
        ) from error
    is_first = os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"
    console = Console(stderr=True, soft_wrap=True, quiet=not is_first)
    plan = _plan(recipe, model, videos or [], given, settings or [], console)
    target = out or Path("trained", recipe.stem if recipe is not None else Path(str(model).partition(":")[0]).stem)
    name, _, number = device.partition(":")
    if device != "auto":
        pick_device(device)
    if number and devices > 1:
        raise ConfigError(f"--device {device} is one device; take --device {name} with --devices {devices}")
    with _bar(plan, console) as bar:
        outcome = run_training(
            plan,
            target,
            accelerator={"cuda": "gpu"}.get(name, name),
            devices=[int(number)] if number else devices,
            nodes=nodes,
            overwrite=overwrite,
            progress=bar.move,
        )
    _report(outcome, plan, console)


def _plan(
    path: Path | None,
    model: str | None,
    videos: list[str],
    of_model: ModelOptions,
    settings: list[str],
    console: Console,
) -> "Recipe":
    from holdsteady.training.defaults import default_recipe
    from holdsteady.training.recipe import make_recipe, read_recipe

    if path is not None:
        given = [name for name, value in (("--model", model), ("--videos", videos)) if value]
        given += [f"--{name}" for name in ("weights", "trust", "inside") if getattr(of_model, name)]
        given += [f"--{name.replace('_', '-')}" for name in of_model.card.stated]
        if given:
            raise ConfigError(f"{', '.join(given)} go without a recipe; to change one, use --set, as in --set model=…")
        return read_recipe(path, settings)
    if model is None or not videos:
        raise ConfigError("give a recipe, or --model and --videos; see holdsteady train --help")
    data, notes = default_recipe(model, videos, **vars(of_model))
    console.print("no recipe was given; chosen:")
    for note in notes:
        console.print(f"  {escape(note)}")
    return make_recipe(data, settings)


class _bar:  # noqa: N801 – used as a function
    """A progress bar with the loss, PSNR and flicker error of the last step and the last validation."""

    def __init__(self, plan: "Recipe", console: Console) -> None:
        columns: list[Any] = [TextColumn("training"), BarColumn(), MofNCompleteColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[figures]}")]
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("", total=plan.steps, figures="")
        self._console = console

    def __enter__(self) -> "_bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(self, step: int, figures: "Figures", checked: "Figures | None") -> None:
        self._progress.update(self._task, completed=step, figures=_in_words(figures))
        if checked is not None:
            self._console.print(f"step {step}: validation {_in_words(checked)}")


def _in_words(figures: "Figures") -> str:
    return f"loss {figures.loss:.4f}, PSNR {figures.psnr:.2f} dB, flicker {100 * figures.flicker_error:.2f}"


def _report(outcome: "Outcome", plan: "Recipe", console: Console) -> None:
    console.print(f"before: {_in_words(outcome.before)}")
    console.print(f"after:  {_in_words(outcome.after)}   (flicker error ×100)")
    folder = escape(str(outcome.folder))
    console.print(f"{outcome.steps} steps in {outcome.minutes:.1f} min; ended by {outcome.reason}; in {folder}/")
    if outcome.reason == "interrupted":
        console.print("give the same command again to resume")
        raise typer.Exit(130)
    if plan.train == "adapter":
        console.print(f"try it: holdsteady run IN OUT --model {escape(plan.model)} --adapter {folder}")
