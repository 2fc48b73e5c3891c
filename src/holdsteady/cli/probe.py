"""``holdsteady probe``: what a source is, and what will become of it."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady.errors import printable
from holdsteady.video.probe import Pictures, Probe
from holdsteady.video.probe import probe as look


def probe(
    source: Annotated[str, typer.Argument(metavar="IN", help="Anything that holdsteady run reads.")],
    sink: Annotated[
        str | None,
        typer.Option("--for", metavar="OUT", help="The result in mind; default: like the source.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show what a video is, and what becomes of each of its streams in a result.

    Nothing is written: OUT need not exist; it only gives the kind of the result.

    Examples:

        holdsteady probe film.mkv

        holdsteady probe film.mkv --for film.mp4

        holdsteady probe frames/ --json
    """
    found = look(source, sink)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), indent=2, default=str))
        return
    console = Console(soft_wrap=True)
    for label, text in [
        *_facts(found),
        *_streams(found),
        ("result", f"{found.sink}: {found.encoder}, {found.encoded_as}"),
    ]:
        console.print(f"[bold]{label:<12}[/]{escape(printable(text))}")
    for text in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(printable(text))}")


def _facts(found: Probe) -> list[tuple[str, str]]:
    """The facts in words, each with its label."""
    pictures = found.pictures
    frames = "" if pictures.frames is None else f", about {pictures.frames} frames"
    length = "of unknown length" if found.duration is None else f"{found.duration:.2f} s"
    rows = [
        ("source", f"{found.source}: {found.container}, {length}{frames}"),
        ("pictures", ", ".join(_picture_facts(pictures))),
        ("colours", ", ".join(_colour_facts(pictures))),
    ]
    if found.tags:
        rows.append(("tags", ", ".join(f"{key}: {value}" for key, value in found.tags.items())))
    return rows


def _picture_facts(pictures: Pictures) -> list[str]:
    codec = " ".join(filter(None, (pictures.codec, pictures.profile and f"({pictures.profile})")))
    rate = f"{float(pictures.rate):.6g} frames per second"
    turn = f"to be turned by {pictures.rotation}° counter-clockwise" if pictures.rotation else ""
    shown = f"shown as {pictures.shown_width}x{pictures.shown_height}"
    return [
        text
        for text in (
            codec,
            f"{pictures.width}x{pictures.height}",
            f"pixel aspect {pictures.pixel_aspect}" if pictures.pixel_aspect != 1 else "",
            "mirrored" if pictures.mirrored else "",
            turn,
            shown if (pictures.shown_width, pictures.shown_height) != (pictures.width, pictures.height) else "",
            f"{rate} on average (variable)" if pictures.variable_rate else rate,
            "interlaced" if pictures.interlaced else "",
            "with alpha" if pictures.alpha else "",
        )
        if text
    ]


def _colour_facts(pictures: Pictures) -> list[str]:
    named = {
        "range": pictures.range,
        "matrix": pictures.matrix,
        "primaries": pictures.primaries,
        "transfer": pictures.transfer,
        "chroma": pictures.chroma_location,
    }
    facts = [f"{pictures.bits} bits ({pictures.pixel_format})"]
    facts += [f"{label} {name}" for label, name in named.items() if name is not None]
    display, light = pictures.mastering_display, pictures.light_levels
    if display is not None:
        facts.append(f"mastered at {display['darkest']:g} to {display['brightest']:g} cd/m²")
    if light is not None:
        facts.append(f"light levels {light['brightest']} and {light['average']} cd/m²")
    return facts


def _streams(found: Probe) -> list[tuple[str, str]]:
    """What there is beside the pictures and what becomes of it, each with its label."""
    rows = []
    for stream in found.streams:
        what = " ".join(filter(None, (stream.kind, stream.codec, stream.language, stream.title)))
        becomes = stream.fate if stream.encoder is None else f"{stream.fate} to {stream.encoder}"
        label = "chapters" if stream.index < 0 else f"stream {stream.index}"
        what = stream.codec if stream.index < 0 else what
        rows.append((label, f"{what}: {becomes}" + (f" ({stream.why})" if stream.why else "")))
    return rows
