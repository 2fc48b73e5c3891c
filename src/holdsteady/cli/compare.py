"""``holdsteady compare``: videos beside each other, in pictures and figures."""

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video
from holdsteady.cli import options
from holdsteady.errors import ConfigError, printable


def compare(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO", help="Two or more videos of one size; with --truth, one will do.")
    ],
    truth: Annotated[str | None, typer.Option(help="The video as it should be.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("comparison"),
    cuts: options.Cuts = "auto",
    start: options.Start = None,
    duration: options.Duration = None,
) -> None:
    """Compare videos: a side-by-side video, a time slice, a plot over frames and a table.

    Shots are told apart in the first video; the change from one to the next does not count as flicker.
    With --truth, quality (PSNR, SSIM) and flicker error are measured against it; without, the instability alone.

    Examples:

        holdsteady compare before.mp4 after.mp4

        holdsteady compare base.mp4 steady.mp4 --truth clean.mp4 --out report
    """
    # Here, not above: torchmetrics and matplotlib take seconds to load, and the other commands don't need them.
    from holdsteady.report.compare import FILES
    from holdsteady.report.compare import compare as compare_videos
    from holdsteady.report.table import rich_table

    if len(videos) == 1 and truth is None:
        raise ConfigError(
            f"{videos[0]} is the only video: give another one to compare it with, or --truth; how steady one video is "
            "says holdsteady check"
        )
    sources = _labelled(videos)
    video.check_folder(out, FILES, *videos, truth)
    is_new_shot = video.open_cuts(cuts)
    with ExitStack() as stack, options.frame_progress("comparing") as progress:

        def opened(source: str) -> video.Reader:
            return stack.enter_context(video.open_video(source, start=start, duration=duration))

        readers = {label: opened(source) for label, source in sources.items()}
        true = None if truth is None else opened(truth)
        info = next(iter(readers.values())).info
        for other in (*list(readers.values())[1:], *([] if true is None else [true])):
            if other.info.frames != info.frames and (differing := video.mismatch(info, other.info)):
                warnings.warn(f"{differing}: frames are compared one by one, by their number", stacklevel=2)
        stack.enter_context(options.results_in(out))
        result = compare_videos(
            {label: video.upright_tensors(reader) for label, reader in readers.items()},
            out,
            info,
            truth=None if true is None else video.upright_tensors(true),
            is_new_shot=is_new_shot,
            progress=lambda done: progress(done, info.frames),
        )
    is_new_shot.warn_of_rest()
    console = Console()
    console.print(rich_table(result.scores))
    console.print(f"{result.frames} frames; pictures, video and scores are in {escape(str(out))}/", soft_wrap=True)
    if result.longer:
        longer = escape(", ".join(result.longer))
        console.print(f"only the first {result.frames} frames were compared; longer: {longer}", soft_wrap=True)


def _labelled(sources: list[str]) -> dict[str, str]:
    """Each video under its file name, or its whole path where names repeat."""
    twice = next((source for source in sources if sources.count(source) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice; a video can't be compared with itself")
    names = [Path(source.rstrip("/")).stem or source for source in sources]
    labels = [s if names.count(n) > 1 or n == "truth" else n for n, s in zip(names, sources, strict=True)]
    return dict(zip(map(printable, labels), sources, strict=True))
