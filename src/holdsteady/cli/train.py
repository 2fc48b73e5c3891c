"""``holdsteady train``: an adapter from a recipe, or from a model and videos."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, takes_model_options
from holdsteady.cli.signals import Stop
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra

if TYPE_CHECKING:
    from holdsteady.training.hold import Held
    from holdsteady.training.recipe import Recipe
    from holdsteady.training.result import Outcome
    from holdsteady.training.watch import Figures


@options.takes_stop
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
    stop: Stop,
) -> None:
    """Train an adapter. Run the same command again to resume an interrupted training run.

    Without a recipe: it begins at the adapter that ships as universal, and learns for ten minutes what the model gives
    on your videos, under more of what they are found to be disturbed by. What is worse than universal in any validation
    clip does not count: if nothing was gained, the result is universal. The folder holds the adapter, its recipe, the
    list of data, metrics, log.csv, TensorBoard's log and example frames.

    Examples:

        holdsteady train recipes/nafnet16-noise-motion.yaml

        holdsteady train recipes/nafnet16-noise-motion.yaml --set steps=200 --out trained/quick

        holdsteady train --model my_model.py:make --videos footage/ --out my-adapter

        holdsteady train --model my_model.py:make --videos footage/ --out longer --set minutes=30

        holdsteady run in.mp4 out.mp4 --model my_model.py:make --adapter my-adapter

    What is said of the model (--range, --kind, …) is kept in the recipe and in the adapter.
    """
    with extra("train", "training"):
        from holdsteady.training.folder import check
        from holdsteady.training.loop import train as run_training
    is_first = os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"
    console = Console(stderr=True, soft_wrap=True, quiet=not is_first)
    target = out or Path("trained", recipe.stem if recipe is not None else Path(str(model).partition(":")[0]).stem)

    def check_target(sources: list[str]) -> None:
        video.check_apart(target, *sources)
        if is_first:
            check(target, overwrite=overwrite)

    if recipe is None:
        check_target(videos or [])  # to look at them takes a while
    plan = _plan(recipe, model, videos or [], given, settings or [], console)
    check_target(plan.read_from)
    name, _, number = device.partition(":")
    if device != "auto":
        pick_device(device)
    if number and devices > 1:
        raise ConfigError(f"--device {device} is one device; take --device {name} with --devices {devices}")
    with _bar(console) as bar, stop.gently() as begin:
        outcome = run_training(
            plan,
            target,
            accelerator={"cuda": "gpu"}.get(name, name),
            devices=[int(number)] if number and name != "cpu" else devices,
            nodes=nodes,
            overwrite=overwrite,
            progress=bar.move,
            begin=begin,
            stop=stop.event,
        )
    _report(outcome, plan, console)
    if outcome.reason == "interrupted":
        stop.told = True
        raise typer.Exit(stop.exit_code)


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

    def __init__(self, console: Console) -> None:
        columns: list[Any] = [TextColumn("training"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()]
        columns += [TimeRemainingColumn(), TextColumn("step {task.fields[step]}: {task.fields[figures]}")]
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("", total=1.0, figures="", step=0)
        self._console = console

    def __enter__(self) -> "_bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(
        self, step: int, share: float, figures: "Figures", checked: "Figures | None", worse: tuple[str, ...]
    ) -> None:
        self._progress.update(self._task, completed=share, figures=_in_words(figures), step=step)
        if checked is not None:
            places = f"; worse than it may be in {', '.join(worse)}" if worse else ""
            self._console.print(f"step {step}: validation {_in_words(checked)}{escape(places)}")


def _in_words(figures: "Figures") -> str:
    return f"loss {figures.loss:.4f}, PSNR {figures.psnr:.2f} dB, flicker {100 * figures.flicker_error:.2f}"


def _report(outcome: "Outcome", plan: "Recipe", console: Console) -> None:
    console.print(f"before: {_in_words(outcome.before)}")
    console.print(f"after:  {_in_words(outcome.after)}   (flicker error ×100)")
    folder = escape(str(outcome.folder))
    console.print(f"{outcome.steps} steps in {outcome.minutes:.1f} min; ended by {outcome.reason}; in {folder}/")
    if outcome.held is not None:
        _report_held(outcome.held, str(plan.validation.hold), console)
    if outcome.reason == "interrupted":
        console.print("give the same command again to resume")
    elif plan.train == "adapter":
        flags = shlex.join(["--model", plan.model, "--adapter", str(outcome.folder)])
        console.print(f"try it: holdsteady run IN OUT {escape(flags)}")


def _report_held(held: "Held", start: str, console: Console) -> None:
    """Clip by clip, and whether anything was gained."""
    rows = {"no adapter": held.rivals["none"], "motion-fixed": held.rivals["motion-fixed"]}
    rows |= {escape(start): held.start, "kept": held.best}
    console.print(f"PSNR dB / flicker error ×100 in each validation clip: {', '.join(rows)}")
    for number, name in enumerate(held.names):
        cells = [f"{one.psnr:.2f} / {100 * one.flicker_error:.2f}" for one in (row[number] for row in rows.values())]
        console.print(f"  {escape(name)}: {', '.join(cells)}")
    if held.gained:
        console.print(
            f"kept: step {held.step}, no worse than {escape(start)} in any clip, {held.gain:+.2f} dB on average"
        )
    else:
        console.print(f"nothing was gained without loss in some clip: the result is {escape(start)} as it was")
    for rival, names in held.better_rivals().items():
        console.print(f"--adapter {rival} is better in {', '.join(map(escape, dict.fromkeys(names)))}")
