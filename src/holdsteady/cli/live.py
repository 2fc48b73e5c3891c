"""``holdsteady live``: a model on a camera or stream, stabilized, with as little delay as there can be."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, ShownOptions, takes_model_options, takes_shown_options
from holdsteady.cli.signals import Stop
from holdsteady.errors import ConfigError
from holdsteady.exports.manifest import is_export
from holdsteady.live.run import KEYS, Strength
from holdsteady.live.run import run as run_live
from holdsteady.live.stats import Stats

if TYPE_CHECKING:
    from holdsteady.video.border import Border


@options.takes_run_options(without=("start", "duration", "deinterlace", "side_by_side"))
@takes_model_options()
@takes_shown_options
def live(
    model: Annotated[str, typer.Option(help="As in holdsteady run, also the folder of an export.")],
    source: Annotated[str, typer.Option(help="Camera number, URL, - for y4m, or a file, played at its rate.")] = "0",
    sink: Annotated[
        str,
        typer.Option(help="window, a video file, - for y4m, v4l2:/dev/video9, or udp://, srt://, rtmp://, rtsp://."),
    ] = "window",
    adapter: Annotated[
        str | None, typer.Option(help="As in holdsteady run; default: motion-fixed.", show_default=False)
    ] = None,
    strength: options.Strength = 1.0,
    compile: options.CompileFlag = False,
    *,
    how: video.RunOptions,
    given: ModelOptions,
    shown: ShownOptions,
    stop: Stop,
) -> None:
    """Run a model on a live source, and show the newest frame each time: frames are dropped, never queued.

    The status line says how old a picture is when it is shown (latency: the median and what 95 % of the last 120 stay
    under), and how many frames were dropped because the model was at work.

    Keys in a window: + and - change the strength, 0 switches it off and on, r forgets what was seen, q quits.

    Examples:

        holdsteady live --source 0 --sink window --model denoise

        holdsteady live --source 0 --sink v4l2:/dev/video9 --model denoise --adapter motion-fixed

        holdsteady live --source rtsp://camera/stream --sink steady.mkv --model out/

        holdsteady live --source in.mp4 --sink - --model denoise | ffplay -
    """
    if shown.values is not None or shown.values_as is not None:
        raise ConfigError("--values goes with holdsteady run: live frames are dropped")
    step, border, on_cut, knob = _runner(model, adapter, strength, compile, how, given, shown)
    console = Console(stderr=True)
    if sink == "window":
        console.print(f"keys: {KEYS}")
    with stop.gently() as begin, _status_line(console, knob) as show:
        begin()  # a file is finished, and not thrown away
        stats = run_live(source, sink, step, border, how, on_cut=on_cut, strength=knob, status=show, stop=stop.event)
    console.print(escape(f"{sink}: {_in_words(stats)}"), soft_wrap=True)
    if stop.signal is not None:
        stop.told = True
        raise typer.Exit(stop.exit_code)


def _runner(
    model: str,
    adapter: str | None,
    strength: float,
    compile: bool,
    how: video.RunOptions,
    given: ModelOptions,
    shown: ShownOptions,
) -> "tuple[Any, Border, Any, Strength]":
    """The step, what its frames are, what makes it forget, and its strength; an export runs without PyTorch."""
    if is_export(model):
        from holdsteady.cli.run import refuse_settled
        from holdsteady.exports.runner import ExportRunner
        from holdsteady.video.arrays import Arrays

        flags = {"--adapter": adapter, "--strength": strength != 1, "--compile": compile}
        refuse_settled(model, flags, how, given, shown)
        exported = ExportRunner(model)
        return exported.step, Arrays(), exported.reset, Strength(exported.strength, None)
    from holdsteady.device import pick_device
    from holdsteady.host.resolve import resolve_ready
    from holdsteady.models.runner import FrameRunner
    from holdsteady.video.tensors import Tensors, dtype_of

    adapters, device = resolve_ready(adapter or "motion-fixed"), pick_device(str(how.device))
    runner = FrameRunner(
        given.load(model, adapters),
        adapters,
        strength=strength,
        device=device,
        dtype=dtype_of(how.dtype),
        compile=compile,
        style=shown.style,
    )
    return runner.step, Tensors(device, how.dtype), runner.reset, Strength(strength, runner.set_strength)


@contextmanager
def _status_line(console: Console, knob: Strength) -> Iterator[Any]:
    """A line on stderr that follows; nothing where stderr is no terminal."""
    with Live(console=console, auto_refresh=False, transient=True) as line:
        last = [0.0]

        def show(stats: Stats) -> None:
            if stats.seconds - last[0] > 0.2:
                last[0] = stats.seconds
                line.update(Text(f"{_in_words(stats)}, strength {knob.value:g}"), refresh=True)

        yield show


def _in_words(stats: Stats) -> str:
    return (
        f"{stats.frames} frames, {stats.rate:.1f} frames/s, latency {1000 * stats.latency(0.5):.0f} ms "
        f"(95 %: {1000 * stats.latency(0.95):.0f} ms), model {1000 * stats.work:.0f} ms, dropped {stats.dropped}"
    )
