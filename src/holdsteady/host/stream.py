"""Whole videos and clips through a StabilizedModel, frame by frame."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdsteady.errors import LayoutError, extra
from holdsteady.host.frame import form_of, to_map
from holdsteady.host.state import StreamState

Advance = Callable[[Any, list[StreamState | None]], Any]


def outputs(advance: Advance, frames: Iterable[Any], cuts: str, *, keeps_graph: bool) -> Iterator[Any]:
    """The outputs of frames, from a new start.

    Args:
        advance: a StabilizedModel's.
        frames: of one size.
        cuts: ``auto``, ``off``, or a file with the numbers of frames.
        keeps_graph: whether gradients flow from frame to frame.
    """
    find_cuts = None if cuts == "off" else _Cuts(cuts)  # here, so that what is missing is told at once
    return _outputs(advance, frames, find_cuts, keeps_graph)


def _outputs(advance: Advance, frames: Iterable[Any], find_cuts: "_Cuts | None", keeps_graph: bool) -> Iterator[Any]:
    held: list[StreamState | None] = [None]
    for frame in frames:
        if find_cuts is not None:
            mask = find_cuts(frame)
            if held[0] is not None and any(mask):
                held[0] = held[0].reset(mask)
        output = advance(frame, held)
        if held[0] is not None and not keeps_graph:
            held[0] = held[0].detach()
        yield output
        del frame, output  # of a video in 4K neither is to wait here for the next one
    if find_cuts is not None:
        find_cuts.warn_of_rest()


class _Cuts:
    """Tells for each of several streams whether a frame begins a new shot."""

    def __init__(self, cuts: str) -> None:
        with extra("video", "looking for cuts"):
            from holdsteady.video.cuts import open_cuts
        self._open = lambda: open_cuts(cuts)
        self._detectors = [self._open()]
        self._number = 0

    def __call__(self, frame: Any) -> list[bool]:
        pictures = to_map(frame, form_of(frame)).detach()[:, :3].float().clamp(0, 1).mul(255).round().to(torch.uint8)
        pixels = pictures.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()
        while len(self._detectors) < len(pixels):
            self._detectors.append(self._open())
        found = [
            is_cut(self._number, np.ascontiguousarray(picture))
            for is_cut, picture in zip(self._detectors, pixels, strict=False)
        ]
        self._number += 1
        return found

    def warn_of_rest(self) -> None:
        """Say which numbers of a file lie past the last frame."""
        self._detectors[0].warn_of_rest()


def stacked(stream: Callable[[Iterable[Any]], Iterator[Any]], clip: Any, time_axis: int) -> Any:
    """The outputs of a clip's frames in one tensor or array.

    Args:
        stream: from frames to outputs.
        clip: a tensor or an array.
        time_axis: in which of its axes the frames follow each other, and in which the outputs will.
    """
    if not isinstance(clip, Tensor | np.ndarray) or not -clip.ndim <= time_axis < clip.ndim:
        shape = getattr(clip, "shape", None)
        raise LayoutError(
            f"a clip is a tensor or an array with an axis of time, time_axis = {time_axis}; this {type(clip).__name__} "
            + ("has no axes: take stream" if shape is None else f"has shape {tuple(shape)}")
        )
    time_axis %= clip.ndim
    if not clip.shape[time_axis]:
        raise LayoutError(f"the clip has no frames: its shape is {tuple(clip.shape)}, and axis {time_axis} is time")
    frames = clip.movedim(time_axis, 0) if isinstance(clip, Tensor) else np.moveaxis(clip, time_axis, 0)
    results = list(stream(frames))
    if all(isinstance(result, Tensor) for result in results):
        return torch.stack(results, dim=time_axis)
    if all(isinstance(result, np.ndarray) for result in results):
        return np.stack(results, axis=time_axis)
    kind = type(results[0]).__name__
    raise LayoutError(f"the model gives {kind} for a frame, which can't be stacked: take stream(frames)")
