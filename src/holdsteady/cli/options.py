"""The options that several commands share, and what they mean."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from holdsteady.cli.signals import Stop
from holdsteady.errors import VideoError
from holdsteady.folders import made_folder
from holdsteady.video import RunOptions, Summary
from holdsteady.video.container import is_full


class DType(StrEnum):
    """Precisions to run a model in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def _checked_seed(seed: int) -> int:
    if not 0 <= seed < 2**63:
        raise typer.BadParameter(f"{seed}: seeds are whole numbers from 0 on, below 2 to the power of 63")
    return seed


Start = Annotated[float | None, typer.Option(help="Begin at this second.", show_default=False)]
Duration = Annotated[float | None, typer.Option(help="Process this many seconds.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, …")]
Precision = Annotated[DType, typer.Option(help="Precision of the model.")]
CompileFlag = Annotated[bool, typer.Option("--compile", help="Compile the model first (slow start, then faster).")]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make interlaced frames whole first (bwdif).")]
Codec = Annotated[str | None, typer.Option(help="FFmpeg encoder; default by file type.", show_default=False)]
Crf = Annotated[int | None, typer.Option(help="Constant rate factor; lower is better.", show_default=False)]
SideBySide = Annotated[bool, typer.Option("--side-by-side", help="Write input and result beside each other.")]
Cuts = Annotated[
    str,
    typer.Option(help="Where shots begin: auto, off, or a file with a frame number a line; 0 is the frame at --start."),
]
Strength = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="0 is what there was before the adapter, 1 the whole adapter.")
]
BothWays = Annotated[
    bool, typer.Option("--both-ways", help="Average with a second pass from the end of each shot; not for live use.")
]
Deflicker = Annotated[
    bool,
    typer.Option(
        "--deflicker", help="Hold exposure, colour and tone to those of the input always, not by evidence alone."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same noise and damage.", callback=_checked_seed)]
Overwrite = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace an existing result.")]


_RUN_OPTIONS: dict[str, Any] = {
    "cuts": Cuts,
    "start": Start,
    "duration": Duration,
    "deinterlace": Deinterlace,
    "device": Device,
    "dtype": Precision,
    "codec": Codec,
    "crf": Crf,
    "side_by_side": SideBySide,
    "overwrite": Overwrite,
}


#: The annotation of a flag, and its default.
Flag = tuple[Any, Any]


def takes_flags(
    command: Callable[..., None], parameter: str, flags: dict[str, Flag], build: Callable[..., Any]
) -> Callable[..., None]:
    """A command whose one parameter is made of many flags.

    Args:
        command: is called with ``parameter=build(**values of the flags)``.
        flags: by name.
    """

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        fields = {name: given.pop(name) for name in flags}
        command(**given, **{parameter: build(**fields)})

    signature = inspect.signature(command)
    kept = [one for one in signature.parameters.values() if one.name != parameter]
    kept += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in flags.items()
    ]
    wrapped.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in kept}
    return wrapped


def takes_run_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: a command with parameters ``how: RunOptions`` and ``stop: Stop`` gets a flag for each field of the
    first, and is told the second.

    Args:
        without: Fields that the command leaves at their defaults.
    """
    defaults = {"device": "auto", "dtype": DType.FLOAT32}
    flags = {
        name: (flag, defaults.get(name, getattr(RunOptions, name)))
        for name, flag in _RUN_OPTIONS.items()
        if name not in without
    }

    return lambda command: takes_stop(takes_flags(command, "how", flags, RunOptions))


def takes_stop(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator: a command with a parameter ``stop: Stop`` is given what ``main`` has for all of them."""

    @functools.wraps(command)
    def wrapped(context: typer.Context, **given: Any) -> None:
        command(**given, stop=context.find_object(Stop) or Stop())

    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.name != "stop"]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    wrapped.__signature__ = signature.replace(parameters=[first, *own])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in (first, *own)}
    return wrapped


@contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Inside, a folder for results is there; if nothing came of it, it goes again.

    Raises:
        VideoError: it can't be made, or written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(made_folder(folder))
        except OSError as error:
            raise VideoError(f"can't make the folder '{folder}': {error.strerror}") from error
        try:
            yield
        except OSError as error:
            own = error.filename is not None and folder in Path(error.filename).parents
            if isinstance(error, VideoError) or not (own or is_full(error)):
                raise
            raise VideoError(f"can't write to the folder '{folder}': {error.strerror}") from error


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "– frames/s", style="cyan")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _move(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    # A file of several recordings states the length of its first.
    bar.update(task, completed=done, total=None if total is not None and done > total else total)


@contextmanager
def frame_progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on stderr with frames/s and the time left, from the first frame on; gives what moves it."""
    bar = _bar()
    task = bar.add_task(escape(label), total=None)

    def move(done: int, total: int | None) -> None:
        bar.start()
        _move(bar, task, done, total)

    try:
        yield move
    finally:
        bar.stop()


@contextmanager
def files_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar on stderr for each file that is being worked on; gives what moves it, by the file's name."""
    tasks: dict[str, TaskID] = {}
    with _bar() as bar:

        def move(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                for other in [other for other in tasks if bar.tasks[tasks[other]].finished]:
                    bar.update(tasks[other], visible=False)
                tasks[name] = bar.add_task(escape(name), total=None)
            _move(bar, tasks[name], done, total)

        yield move


class Work(Protocol):
    """A run over a video."""

    def __call__(self, *, progress: Callable[[int, int | None], None], stop: threading.Event) -> Summary: ...


def watch(source: str, sink: str, stop: Stop, work: Work) -> None:
    """Run over a video with a progress bar, and say in a line what was done.

    Raises:
        typer.Exit: a signal ended it early; with the code that shells expect.
    """
    with frame_progress(Path(source).name or source) as progress, stop.gently() as begin:

        def move(done: int, total: int | None) -> None:
            begin()  # from now on there is something to lose
            progress(done, total)

        summary = work(progress=move, stop=stop.event)
    console = Console(stderr=True, soft_wrap=True)
    if summary.frames or not summary.interrupted:
        console.print(escape(_in_a_line(summary, sink)))
    if summary.interrupted:
        stop.told = True
        nothing = f"interrupted before the first frame was done: {sink} is not written"
        console.print("interrupted: what was done until then is kept" if summary.frames else escape(nothing))
        raise typer.Exit(stop.exit_code)


def _in_a_line(summary: Summary, sink: str) -> str:
    speed = summary.frames / summary.seconds if summary.seconds else 0.0
    line = f"{sink}: {summary.frames} frames in {summary.seconds:.1f} s, {speed:.1f} frames/s"
    for number, what in (
        (len(summary.cuts) and len(summary.cuts) + 1, "shot"),
        (summary.nan_pixels, "NaN pixel"),
        (summary.skipped, "skipped packet"),
        (summary.concealed, "concealed frame"),
    ):
        if number:
            line += f", {number} {what}{'s' if number > 1 else ''}"
    return line
