"""``holdsteady fix``: steady a video that some other tool has processed."""

from functools import partial
from typing import Annotated

import typer

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.signals import Stop
from holdsteady.fixing import fix as fix_video


@options.takes_run_options(without=("dtype",))
def fix(
    processed: Annotated[str, typer.Argument(metavar="PROCESSED", help="The video to steady.")],
    sink: Annotated[str, typer.Argument(metavar="OUT", help="Video file, folder for PNG images, or -.")],
    original: Annotated[
        str | None,
        typer.Option(help="The video before it was processed: its motion is followed instead.", show_default=False),
    ] = None,
    adapter: Annotated[
        str, typer.Option(help="motion-fixed, output-fixed:0.8, output-gaussian:2, or a folder.")
    ] = "motion-fixed",
    strength: options.Strength = 1.0,
    both_ways: options.BothWays = False,
    deflicker: options.Deflicker = False,
    *,
    how: video.RunOptions,
    stop: Stop,
) -> None:
    """Steady a video that was processed frame by frame elsewhere. No model is needed.

    Give --original when the processed video is not a natural picture (depth, masks, line drawings): the motion is then
    taken from the original.

    Examples:

        holdsteady fix upscaled.mp4 steady.mp4

        holdsteady fix depth.mp4 steady.mp4 --original camera.mp4

        holdsteady fix colourised.mkv steady.mkv --strength 0.7 --start 60 --duration 10

        holdsteady fix graded.mp4 steady.mp4 --original camera.mp4 --deflicker
    """
    work = partial(
        fix_video,
        processed,
        sink,
        adapter,
        original=original,
        strength=strength,
        both_ways=both_ways,
        deflicker=deflicker,
        how=how,
    )
    options.watch(processed, sink, stop, work)
