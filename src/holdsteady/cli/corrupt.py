"""``holdsteady corrupt``: noise, damage and weather on a video, to try models on."""

from dataclasses import replace
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.signals import Stop
from holdsteady.corruptions import CORRUPTIONS, make_corruption


def _show_list(wanted: bool) -> None:
    if not wanted:
        return
    table = Table(title="Corruptions: name:1 to name:5, or name:setting=value,…", title_justify="left")
    for heading in ("name", "setting", "default", "severities 1 to 5", "what it is"):
        table.add_column(heading, no_wrap=heading != "what it is", justify="right" if heading == "default" else "left")
    for name, cls in CORRUPTIONS.items():
        for number, (setting, field) in enumerate(cls.model_fields.items()):
            levels = "  ".join(f"{value:g}" for value in cls.severities.get(setting, ())) or "–"
            last = number == len(cls.model_fields) - 1
            shown = name if number == 0 else ""
            table.add_row(shown, setting, f"{field.default:g}", levels, field.description, end_section=last)
    console = Console()
    # As wide as it has to be when it goes to a file or another program.
    (console if console.is_terminal else Console(width=160)).print(table)
    raise typer.Exit


@options.takes_run_options(without=("cuts", "device", "dtype"))
def corrupt(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="Video, folder or glob of images, camera number, URL, or -.")
    ],
    sink: Annotated[str, typer.Argument(metavar="OUT", help="Video file, folder for PNG images, or -.")],
    spec: Annotated[
        str,
        typer.Option("--with", metavar="SPEC", help="rain, rain:3, jpeg:quality=20, gaussian+rain:2, mix(fog|snow)"),
    ],
    seed: options.Seed = 0,
    _list: Annotated[
        bool, typer.Option("--list", callback=_show_list, is_eager=True, help="Show all corruptions.")
    ] = False,
    *,
    how: video.RunOptions,
    stop: Stop,
) -> None:
    """Corrupt a video: noise, drops, distortion, compression, blur, light or weather.

    A corruption is at its default strength, or at a severity from 1 to 5 behind a colon, or has its settings named
    there; + puts several one after the other. It continues through cuts.

    Most video files keep colour at half the resolution, which smooths the colour of noise; PNGs in a folder keep it
    as it is.

    Examples:

        holdsteady corrupt in.mp4 rainy.mp4 --with rain:3

        holdsteady corrupt in.mp4 noisy/ --with gaussian:sigma=0.2+patch-drop --seed 7

        holdsteady corrupt in.mov out.mov --with snow:4+jpeg:quality=30 --side-by-side --duration 5

        holdsteady corrupt --list
    """
    video.check_sink(source, sink, how.overwrite)
    video.check_codec(sink, how.codec, how.crf)
    stream = make_corruption(spec).start(torch.Generator().manual_seed(seed))
    # A corruption has no shots.
    work = partial(video.run, source, sink, stream, replace(how, cuts="off"), on_cut=lambda: None)
    options.watch(source, sink, stop, work)
