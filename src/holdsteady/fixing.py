"""A video that some other tool has processed, steadied without its model; the command ``holdsteady fix``."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady import video
from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import LATE_KINDS, OUTPUT_KINDS, AdapterConfig
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, VideoError
from holdsteady.host.attach import stabilize
from holdsteady.host.resolve import AdapterLike, deflickering, resolve_ready, without_input
from holdsteady.video.orientation import upright
from holdsteady.video.tensors import to_tensor


def fix(
    processed: str,
    sink: str,
    adapter: str = "motion-fixed",
    *,
    original: str | None = None,
    strength: float = 1.0,
    both_ways: bool = False,
    deflicker: bool = False,
    how: video.RunOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    stop: threading.Event | None = None,
) -> video.Summary:
    """Steady a processed video.

    Args:
        processed, sink: as ``source`` and ``sink`` of :func:`holdsteady.run`.
        adapter: one that works at the output, ready to run.
        original: the video before it was processed, whose motion is followed instead.
        strength, both_ways, progress, stop: see :func:`holdsteady.run`.
        deflicker: hold wide flicker to the original always, which has to be given.
        how: how videos are read and written.

    Raises:
        ConfigError, AdapterError, VideoError: what was wrong, and where.
    """
    how = how or video.RunOptions()
    how = replace(how, device=pick_device(str(how.device)))
    video.check_sink(processed, sink, how.overwrite)
    video.check_apart(sink, original)
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
        if original is None:
            chosen = without_input(chosen)
        else:
            chosen = _following_input(chosen)
            follow = _Original(original, how, stack)
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
        return video.run(
            processed,
            sink,
            step,
            how,
            on_cut=steady.reset,
            on_frame=None if follow is None else follow.move_to,
            back=back if both_ways else None,
            progress=progress,
            stop=stop,
        )


class _Original:
    """The video before it was processed, frame by frame at the times of the processed one."""

    def __init__(self, name: str, how: video.RunOptions, stack: ExitStack) -> None:
        self._name, self._how, self._stack = name, how, stack
        self._pairing: video.Pairing | None = None
        self._frame: video.VideoFrame | None = None

    def move_to(self, processed: video.VideoInfo, time: Fraction, number: int) -> None:
        """Go to a frame of the processed video: its time in seconds since the first, and how many were read before it.

        Raises:
            VideoError: the original can't be opened, or has ended before.
        """
        if self._pairing is None:
            self._pairing = self._open(processed)
        self._frame = self._pairing.at(time, number)
        if self._frame is None:
            raise VideoError(f"{self._name} is shorter than {processed.name}: it ends before {float(time):.2f} s")

    def _open(self, processed: video.VideoInfo) -> video.Pairing:
        how = self._how
        reader = self._stack.enter_context(
            video.open_original(
                self._name, processed, start=how.start, duration=how.duration, deinterlace=how.deinterlace
            )
        )
        self._info = reader.info
        video.warn_of_mismatch(processed, self._info)
        return video.Pairing(reader, processed)

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
        before = to_tensor(pixels, self._how.device, torch.float32)
        if before.shape != frame.shape:
            before = F.interpolate(before, size=frame.shape[-2:], mode="bilinear", antialias=True)
        return before


def _refuse_inner(chosen: AdapterLike, spec: str) -> None:
    """Adapters that work inside a network, or before it, have nothing to work on here."""
    config = chosen.config if isinstance(chosen, Adapter) else chosen
    if not isinstance(config, AdapterConfig):
        return
    if config.is_at_input:
        raise ConfigError(f"--adapter {spec}: fix has no model that sees the input: leave out @input")
    if config.kind not in (*OUTPUT_KINDS, *LATE_KINDS):
        raise ConfigError(
            f"--adapter {spec}: {config.kind} works inside a network, and here there is none; "
            "take motion-fixed, live, output-fixed or output-gaussian"
        )
    if config.points not in (("output",), ("coarse",)):
        where = config.points[0]
        raise ConfigError(
            f"--adapter {spec}: '{where}' is inside a network, and here there is none: leave out @{where}"
        )


def _following_input(adapters: list[AdapterLike]) -> list[AdapterLike]:
    """The adapter with its flow taken from the frames before processing."""
    only = adapters[0] if len(adapters) == 1 else None
    if isinstance(only, AdapterConfig) and only.kind in ("motion-fixed", "live"):
        return [only.model_copy(update={"flow_from": "input"})]
    raise ConfigError("--original goes with --adapter motion-fixed or live: no other without weights follows motion")
