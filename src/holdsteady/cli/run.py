"""``holdsteady run``: a model over a video, stabilized."""

from pathlib import Path
from typing import Annotated

import typer

from holdsteady import api, video
from holdsteady.cli import options


@options.takes_run_options()
def run(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="Video, folder or glob of images, camera number, URL, or -.")
    ],
    sink: Annotated[str, typer.Argument(metavar="OUT", help="Video file, folder for PNG images, or -.")],
    model: Annotated[str, typer.Option(help="Name of a shipped model, file.py:name, or a torchvision model.")],
    weights: Annotated[Path | None, typer.Option(help="Safetensors for the model.", show_default=False)] = None,
    adapter: Annotated[
        str,
        typer.Option(
            help="none, motion-fixed, output-fixed:0.8, output-gaussian:2, simple-fixed:0.9, nafnet16-light "
            "(ships here), a folder, or several joined by +."
        ),
    ] = "motion-fixed",
    strength: options.Strength = 1.0,
    compile: options.CompileFlag = False,
    *,
    how: video.RunOptions,
) -> None:
    """Run an image model over a video, frame by frame, held steady by an adapter.

    The model's output is shown as it is where it is a picture; depth in grey, by the range of its first frame; class
    logits (four channels or more) in a colour for each class.

    Audio, subtitles, times, shape and colour tags are kept. Ctrl-C ends early and keeps what was done.

    Examples:

        holdsteady run noisy.mp4 clean.mp4 --model nafnet16-denoise

        holdsteady run noisy.mp4 clean.mp4 --model nafnet16-denoise --adapter nafnet16-light

        holdsteady run in.mp4 out.mkv --model my_model.py:build --weights w.safetensors --adapter my-adapter/

        holdsteady run 'frames/*.png' out/ --model nafnet16-denoise --adapter output-fixed:0.8

        holdsteady run in.mov out.mov --model nafnet16-denoise --start 10 --duration 5 --side-by-side
    """
    with options.frame_progress(Path(source).name or source) as progress:
        summary = api.run(
            source,
            sink,
            model,
            adapter,
            weights=weights,
            strength=strength,
            compile=compile,
            progress=progress,
            **vars(how),
        )
    options.report(summary, sink)
