"""``holdsteady check``: how unsteady a video is, and where."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video
from holdsteady.cli import options
from holdsteady.errors import VideoError
from holdsteady.folders import write_whole
from holdsteady.video.orientation import upright
from holdsteady.video.pairing import since_first

if TYPE_CHECKING:
    from holdsteady.check.check import Frame


def check(
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="The video to look at.")],
    original: Annotated[
        str | None,
        typer.Option(
            help="The video before it was processed: what is in it is not held against VIDEO.", show_default=False
        ),
    ] = None,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all as JSON; - prints it.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a plot and the JSON.", show_default=False)] = None,
    cuts: options.Cuts = "auto",
    start: options.Start = None,
    duration: options.Duration = None,
    deinterlace: options.Deinterlace = False,
) -> None:
    """Tell how unsteady a video is, where, and what to do about it.

    A score of 1 is just noticeable, and 3 is obvious; it can be compared between videos. It is made of wide
    flicker, in percent of the light, and detail flicker, in percent of the detail. With --original, the original's own
    flicker is subtracted, and lost detail counts.

    Examples:

        holdsteady check film.mp4

        holdsteady check upscaled.mp4 --original camera.mp4 --out report

        holdsteady check film.mp4 --json - --start 60 --duration 30
    """
    # Here, not above: matplotlib takes seconds to load, and the other commands don't need it.
    from holdsteady.check.advice import advise
    from holdsteady.check.check import check as look
    from holdsteady.report.check import as_json as in_json
    from holdsteady.report.check import percent, save_plot, table

    if as_json not in (None, "-"):
        video.check_report(str(as_json), source, original)
    if out is not None:
        video.check_folder(out, ("check.png", "check.json"), source, original)
    is_new_shot = video.open_cuts(cuts)
    with ExitStack() as stack, options.frame_progress("checking") as progress:
        part = {"start": start, "duration": duration}
        reader = stack.enter_context(video.open_video(source, **part, deinterlace=deinterlace))
        info = reader.info
        before = None
        if original is not None:
            before = stack.enter_context(video.open_original(original, info, **part, deinterlace=deinterlace))
        frames = _frames(reader, before, is_new_shot)
        found = look(frames, info.rate, progress=lambda done: progress(done, info.frames))
    is_new_shot.warn_of_rest()
    advice = advise(found.whole, source, original)
    text = json.dumps(in_json(found, advice, source, original), indent=1, ensure_ascii=False)
    if out is not None:
        with options.results_in(out):
            save_plot(found, source, out / "check.png")
            write_whole(out / "check.json", f"{text}\n")
    if as_json == "-":
        typer.echo(text)
        return
    if as_json is not None:
        _write(Path(as_json), text)
    console = Console(soft_wrap=True)
    whole = found.whole
    console.print(
        f"[bold]score {whole.score:.2f}[/]: wide flicker {percent(whole.wide)} % of the light, detail flicker "
        f"{percent(whole.detail)} % of the detail"
        + ("" if whole.lost is None else f", {percent(whole.lost)} % of the detail lost"),
        highlight=False,
    )
    if original is not None:
        console.print(
            f"the original's own, not counted: wide {percent(whole.source_wide)} %, detail "
            f"{percent(whole.source_detail)} %",
            highlight=False,
        )
    if len(found.shots) > 1:
        worst = sorted(found.shots, key=lambda shot: shot.figures.score, reverse=True)[:10]
        console.print(table(worst, f"the worst of {len(found.shots)} shots"))
    if found.worst():
        console.print(table(found.worst(), "the worst seconds"))
    console.print(escape(advice.why), highlight=False)
    for line in (advice.command, advice.instead and f"{advice.instead}   (if you have the model)"):
        if line:
            console.print(f"    {escape(line)}", highlight=False)


def _frames(
    reader: video.Reader, before: video.Reader | None, is_new_shot: Callable[[int, video.Pixels], bool]
) -> "Iterator[Frame]":
    """Frames of a source, each with that of the original at its time; they end where the original ends."""
    from holdsteady.check.check import Frame

    info = reader.info
    pairing = None if before is None else video.Pairing(before, info)
    if before is not None:
        video.warn_of_mismatch(info, before.info)
    for number, frame in enumerate(reader):
        pixels, time = upright(frame.pixels, info), since_first(frame, info, number)
        new_shot = is_new_shot(number, pixels) and number > 0
        other = None
        if pairing is not None and before is not None:
            paired = pairing.at(time, number)
            if paired is None:
                raise VideoError(f"{before.info.name} is shorter than {info.name}: it ends before {float(time):.2f} s")
            other = upright(paired.pixels, before.info)
        yield Frame(pixels, time, new_shot, other)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # names of files may be no text
    except OSError as error:
        raise VideoError(f"can't write {path}: {error.strerror}") from error
