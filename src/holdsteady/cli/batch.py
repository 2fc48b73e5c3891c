"""``holdsteady batch``: a model over many videos, with a manifest of what was done."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, ShownOptions, takes_model_options, takes_shown_options
from holdsteady.cli.signals import Stop
from holdsteady.errors import ConfigError


class Engine(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


@options.takes_run_options(without=("start", "duration", "side_by_side"))
@takes_model_options()
@takes_shown_options
def batch(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IN", help="Videos, globs, and folders, whose subfolders are taken too."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results and manifest.json.")],
    model: Annotated[str, typer.Option(help="As in `holdsteady run`.")],
    adapter: Annotated[str, typer.Option(help="As in `holdsteady run`.")] = "motion-fixed",
    strength: options.Strength = 1.0,
    suffix: Annotated[
        str | None, typer.Option(help="Type of the results, as .mkv; default each file's own.", show_default=False)
    ] = None,
    streams: Annotated[
        int, typer.Option(min=1, help="How many files at a time go through the model as a batch; helps small frames.")
    ] = 1,
    engine: Annotated[Engine, typer.Option(help="This process, or the workers of a Ray cluster.")] = Engine.LOCAL,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray's workers; default one a GPU, or one a CPU.", show_default=False)
    ] = None,
    *,
    how: video.RunOptions,
    given: ModelOptions,
    shown: ShownOptions,
    stop: Stop,
) -> None:
    """Run an image model over many videos, held steady by an adapter.

    What was done already, of the same file, model, adapter and options, is skipped. What was interrupted, even by a
    power cut, resumes inside its file from the last checkpoint. A file that fails is reported at the end, and the
    others are finished; the exit code is then 1.

    Unfinished results wait losslessly in OUT/.unfinished: for 1080p about 3 MB a frame.

    Examples:

        holdsteady batch archive/ --out steady/ --model denoise

        holdsteady batch 'tapes/*.mov' more.mp4 --out steady/ --model denoise --suffix .mkv --crf 16

        holdsteady batch small/ --out steady/ --model denoise --streams 4

        holdsteady batch archive/ --out steady/ --model my_model.py:build --engine ray --workers 8
    """
    from dataclasses import replace

    from holdsteady.device import pick_device
    from holdsteady.jobs.batch import batch as run_batch
    from holdsteady.jobs.manifest import Entry
    from holdsteady.jobs.work import Order

    if shown.values is not None or shown.values_as is not None:
        raise ConfigError("--values: a batch keeps pictures; use holdsteady run for the values of single files")
    order = Order(
        model,
        adapter,
        weights=given.weights,
        card=given.card,
        trust=given.trust,
        inside=given.inside,
        strength=strength,
        style=shown.style,
        # On Ray, each worker picks its own.
        options=how if engine is Engine.RAY else replace(how, device=pick_device(str(how.device))),
    )
    console = Console(stderr=True, soft_wrap=True)
    begun = time.monotonic()

    def note(name: str, entry: Entry | None) -> None:
        if entry is None:
            console.print(escape(f"{name}: interrupted; the next run resumes"))
        elif entry.status == "failed":
            console.print(escape(f"{name}: failed: {entry.error}"))
        else:
            resumed = f", {entry.resumed} of them from an earlier run" if entry.resumed else ""
            console.print(escape(f"{name}: {entry.frames} frames in {entry.seconds:.1f} s{resumed}"))

    with options.files_progress() as progress, stop.gently() as begin:
        begin()
        report = run_batch(
            sources,
            out,
            order,
            engine=engine.value,
            streams=streams,
            workers=workers,
            suffix=suffix,
            overwrite=how.overwrite,
            progress=progress,
            note=note,
            stop=stop.event,
        )
    seconds = time.monotonic() - begun
    console.print(
        f"{len(report.done)} done, {len(report.skipped)} skipped, {len(report.failed)} failed, {len(report.left)} left "
        f"in {seconds:.1f} s; see {escape(str(out / 'manifest.json'))}"
    )
    for name, error in report.failed.items():
        console.print(escape(f"failed: {name}: {error}"))
    if stop.signal is not None:
        stop.told = True
        raise typer.Exit(stop.exit_code)
    if report.failed:
        raise typer.Exit(1)
