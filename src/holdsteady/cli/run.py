"""``holdsteady run``: a model over a video, stabilized."""

from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, ShownOptions, takes_model_options, takes_shown_options
from holdsteady.cli.signals import Stop
from holdsteady.errors import ConfigError
from holdsteady.exports.manifest import is_export


@options.takes_run_options()
@takes_model_options()
@takes_shown_options
def run(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="Video, folder or glob of images, camera number, URL, or -.")
    ],
    sink: Annotated[str, typer.Argument(metavar="OUT", help="Video file, folder for PNG images, or -.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a shipped model (holdsteady zoo); file.py:name; a file .pt, .pt2, .onnx, .pth or "
            ".safetensors; hf:NAME, smp:NAME, timm:NAME, or torchvision's name; or an export, as a folder or zip.",
            show_default=False,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="none, motion-fixed (default), output-fixed:0.8, output-gaussian:2, simple-fixed:0.9, nafnet16-light "
            "(ships here), a folder or zip, or several joined by +. motion-fixed@input steadies the frames first.",
            show_default=False,
        ),
    ] = None,
    strength: options.Strength = 1.0,
    both_ways: options.BothWays = False,
    deflicker: options.Deflicker = False,
    compile: options.CompileFlag = False,
    *,
    how: video.RunOptions,
    given: ModelOptions,
    shown: ShownOptions,
    stop: Stop,
) -> None:
    """Run an image model over a video, frame by frame, held steady by an adapter.

    What the model wants and gives is said by flags (--range, --kind, …), kept by adapters, or known for models of
    libraries; else it is guessed, and said in one line. Pictures are shown as they are; depth in grey, by a range that
    follows slowly; classes in a colour for each.

    Audio, subtitles, chapters, times, shape, transparency and colour tags are kept where the sink can hold them; what
    is left out is said. Ctrl-C and SIGTERM end early and keep what was done.

    Examples:

        holdsteady run noisy.mp4 clean.mp4 --model denoise-video

        holdsteady run noisy.mp4 clean.mp4 --model denoise-video --adapter denoise-video-clean

        holdsteady run in.mp4 out.mkv --model my_model.py:build --weights w.safetensors --adapter my-adapter/

        holdsteady run 'frames/*.png' out/ --model denoise --adapter output-fixed:0.8

        holdsteady run noisy.mp4 classes.mp4 --model segment --adapter motion-fixed@input+motion-fixed

        holdsteady run in.mov out.mov --model denoise --start 10 --duration 5 --side-by-side

        holdsteady run in.mp4 depth.mp4 --model hf:depth-anything/Depth-Anything-V2-Small-hf --colormap inferno

        holdsteady run in.mp4 out.mp4 --model net.onnx --range 0..255 --channels bgr --kind classes --overlay 0.5
    """
    if model is not None and is_export(model):
        flags = {"--adapter": adapter, "--strength": strength != 1, "--both-ways": both_ways, "--compile": compile}
        _run_export(source, sink, model, how, flags, given, shown, stop)
        return
    from holdsteady import api

    if model is None:
        raise typer.BadParameter(
            f"run takes a model. Of a noisy video: holdsteady run {source} {sink} --model denoise-video; "
            "holdsteady zoo lists what ships here. A video that a model has been through already: holdsteady fix",
            param_hint="--model",
        )
    console = Console(stderr=True, soft_wrap=True)
    work = partial(
        api.run,
        source,
        sink,
        model,
        adapter or "motion-fixed",
        strength=strength,
        both_ways=both_ways,
        deflicker=deflicker,
        compile=compile,
        note=lambda line: console.print(escape(line)),
        **vars(given),
        **vars(shown),
        **vars(how),
    )
    options.watch(source, sink, stop, work)


def _run_export(
    source: str,
    sink: str,
    folder: str,
    how: video.RunOptions,
    flags: dict[str, Any],
    given: ModelOptions,
    shown: ShownOptions,
    stop: Stop,
) -> None:
    """An export over a video, without PyTorch; it has its adapter in it, and its card."""
    from holdsteady.exports.runner import run_export

    refuse_settled(folder, flags, how, given, shown)
    options.watch(source, sink, stop, partial(run_export, source, sink, folder, how))


def refuse_settled(
    folder: str, flags: dict[str, Any], how: video.RunOptions, given: ModelOptions, shown: ShownOptions
) -> None:
    """Raise ConfigError for flags of what an export has settled already.

    Args:
        folder: of the export.
        flags: more of them, by name.
    """
    flags |= {"--weights": given.weights, "--trust": given.trust, "--inside": given.inside}
    flags |= {f"--{name.replace('_', '-')}": True for name in given.card.stated}
    flags |= {"--values": shown.values, "--values-as": shown.values_as, "--colormap and the like": shown.style}
    flags |= {"--device": how.device not in ("auto", "cpu"), "--dtype": how.dtype != "float32"}
    wrong = [flag for flag, value in flags.items() if value is not None and value is not False]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)}: {folder} is an export, in which that is settled already; leave it out")
