"""``holdsteady fix``: steady a video that some other tool has processed."""

import warnings
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from holdsteady import video
from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import LATE_KINDS, OUTPUT_KINDS, AdapterConfig
from holdsteady.cli import options
from holdsteady.cli.signals import Stop
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, VideoError
from holdsteady.host.attach import stabilize
from holdsteady.host.resolve import AdapterLike, deflickering, resolve_ready
from holdsteady.video.orientation import upright
from holdsteady.video.tensors import to_tensor


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
    how = replace(how, device=pick_device(str(how.device)))
    video.check_sink(processed, sink, how.overwrite)
    chosen = resolve_ready(adapter)
    for one in chosen:
        _refuse_inner(one, adapter)
    if deflicker:
        if original is None:
            raise ConfigError(
                "--deflicker holds the processed video to its original: give it as --original. Where there is none, "
                "wide flicker can only be told from true changes of light by how it goes on, which is done anyway"
            )
        chosen = deflickering(chosen)
    with ExitStack() as stack:
        follow = None
        if original is not None:
            chosen = _following_input(chosen)
            reader = video.open_video(original, start=how.start, duration=how.duration, deinterlace=how.deinterlace)
            follow = _Original(stack.enter_context(reader), how.device)
        current: list[Tensor] = []
        steady = stabilize(lambda _frame: current[0], chosen, strength=strength).to(how.device)

        def step(frame: Tensor) -> Tensor:
            current[:] = [frame]
            return steady(frame if follow is None else follow.like(frame))

        from_the_end = steady.twin()

        def step_back(frame: Tensor, original: video.Pixels | None) -> Tensor:
            current[:] = [frame]
            return from_the_end(frame if follow is None or original is None else follow.as_like(original, frame))

        back = video.Backward(
            step_back, from_the_end.reset, (lambda: None) if follow is None else (lambda: follow.pixels)
        )
        work = partial(
            video.run,
            processed,
            sink,
            step,
            how,
            on_cut=steady.reset,
            on_frame=None if follow is None else follow.move_to,
            back=back if both_ways else None,
        )
        options.watch(processed, sink, stop, work)


class _Original:
    """The video before it was processed, frame by frame at the times of the processed one."""

    def __init__(self, reader: video.Reader, device: str | torch.device) -> None:
        self._info, self._device = reader.info, device
        self._pairing = video.Pairing(reader)
        self._frame: video.VideoFrame | None = None

    def move_to(self, processed: video.VideoInfo, time: Fraction) -> None:
        """Go to a time of the processed video, in seconds since its first frame.

        Raises:
            VideoError: the original has ended before.
        """
        if self._frame is None:
            differing = video.mismatch(processed, self._info)
            if differing is not None:
                warnings.warn(f"{differing}: frames are paired by their times", stacklevel=2)
        self._frame = self._pairing.at(time)
        if self._frame is None:
            raise VideoError(f"{self._info.name} is shorter than {processed.name}: it ends before {float(time):.2f} s")

    def like(self, frame: Tensor) -> Tensor:
        """The frame at that time (1, 3, H, W), of the size of `frame`."""
        return self.as_like(self.pixels, frame)

    @property
    def pixels(self) -> video.Pixels:
        """The frame at that time, upright."""
        assert self._frame is not None
        return upright(self._frame.pixels, self._info)

    def as_like(self, pixels: video.Pixels, frame: Tensor) -> Tensor:
        """Pixels of the original (H, W, 3) as (1, 3, h, w), of the size of `frame`."""
        before = to_tensor(pixels, self._device, torch.float32)
        if before.shape != frame.shape:
            before = F.interpolate(before, size=frame.shape[-2:], mode="bilinear", antialias=True)
        return before


def _refuse_inner(chosen: AdapterLike, spec: str) -> None:
    """Adapters that work inside a network have nothing to work on here."""
    config = chosen.config if isinstance(chosen, Adapter) else chosen
    if isinstance(config, AdapterConfig) and config.kind not in (*OUTPUT_KINDS, *LATE_KINDS):
        raise ConfigError(
            f"--adapter {spec}: {config.kind} works inside a network, and here there is none; "
            "take motion-fixed, live, output-fixed or output-gaussian"
        )


def _following_input(adapters: list[AdapterLike]) -> list[AdapterLike]:
    """The adapter with its flow taken from the frames before processing."""
    only = adapters[0] if len(adapters) == 1 else None
    if isinstance(only, AdapterConfig) and only.kind in ("motion-fixed", "live"):
        return [only.model_copy(update={"flow_from": "input"})]
    raise ConfigError("--original goes with --adapter motion-fixed or live: no other without weights follows motion")
