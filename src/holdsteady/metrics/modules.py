"""Streaming shells around the functions: a batch of videos, frame by frame, in bounded memory.

Call the metric, or its ``update``, with the next frames (B, ...) of B streams, and ``compute`` at any time. Only the
last frame is remembered, and a sum and a count per stream. Calling it gives the figure of these frames alone, mean over
the streams; metrics of pairs have none for a first frame, which is NaN and leaves the mean as it is.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from holdsteady.errors import MetricError
from holdsteady.flow.dis import DISFlow, Flow
from holdsteady.metrics.classes import class_flips, motion_iou
from holdsteady.metrics.depth import abs_rel, delta_accuracy
from holdsteady.metrics.masked import check_shapes
from holdsteady.metrics.pairs import categorical_instability, flicker_error, instability, instability_rms
from holdsteady.metrics.warping import warp_error


class StreamMetric(Metric):
    """Base of the shells: mean over streams of each stream's mean over its frames, all frames alike.

    Frames whose value is NaN (nothing in them was known) are left out, and so are streams without any
    other frame. Between processes, the streams of each are put together. Keyword arguments are those of
    ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    # A frame's value depends on what was seen before, so torchmetrics may not merge separate updates.
    full_state_update = True

    total: list[Tensor]
    count: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Each list holds one tensor (B,): torchmetrics joins lists of unequal length across processes.
        self.add_state("total", default=[], dist_reduce_fx="cat")
        self.add_state("count", default=[], dist_reduce_fx="cat")
        self._previous: tuple[Tensor, ...] | None = None
        self._latest = torch.tensor(torch.nan)

    def forward(self, *frames: Tensor, **named: Tensor) -> Tensor:
        """Add the next frames as ``update`` does, and give their own figure, the mean over the streams, a scalar.

        NaN where no stream has one: for pairs at the first frame, after ``reset`` and after ``cut``.
        """
        # torchmetrics' own scores the frames a second time from a fresh state, in which no frame has a predecessor.
        self.update(*frames, **named)
        return self._latest

    def per_stream(self) -> Tensor:
        """Mean over the frames of each stream so far, (B,); NaN for a stream without a value."""
        if len(self.total) == 0:
            return torch.empty(0, device=self.device, dtype=self.dtype)
        return dim_zero_cat(self.total) / dim_zero_cat(self.count)

    def compute(self) -> Tensor:
        """Mean over the streams, a scalar; NaN if there is no value yet."""
        return self.per_stream().nanmean()

    def cut(self) -> None:
        """Forget the previous frame and keep the scores: the next frame begins another scene."""
        self._previous = None

    def reset(self) -> None:
        """Forget everything: the next frames belong to other videos."""
        super().reset()
        self.cut()

    def _add_pair(self, pair_metric: Callable[..., Tensor], *frames: Tensor) -> None:
        """Score frames next to their predecessors, given to ``pair_metric`` as present, previous, …"""
        if self._previous is None:
            values = torch.full((len(frames[0]),), torch.nan)
        else:
            for frame, before in zip(frames, self._previous, strict=True):
                if frame.shape != before.shape:
                    raise MetricError(
                        f"{type(self).__name__}: a frame of shape {tuple(frame.shape)} follows one of shape "
                        f"{tuple(before.shape)}; call reset() before other videos"
                    )
            pairs = zip(frames, self._previous, strict=True)
            values = pair_metric(*(side for now, before in pairs for side in (now, before.to(now.device))))
        self._add(values)
        # A copy: the caller may decode the next frame into the same memory.
        self._previous = tuple(frame.detach().clone() for frame in frames)

    def _add(self, values: Tensor) -> None:
        """Count one value per stream, (B,)."""
        if not self.total:
            count = torch.zeros(len(values), device=self.device, dtype=self.dtype)
            # NaN and not 0, or a MetricCollection would take metrics without a value yet for one and the same.
            self.total, self.count = [torch.full_like(count, torch.nan)], [count]
        (total,), (count,) = self.total, self.count
        if total.shape != values.shape:
            raise MetricError(
                f"{type(self).__name__}: {len(values)} streams follow {len(total)}; call reset() before other videos"
            )
        values = values.detach().to(total)
        self.total = [torch.where(count > 0, total + torch.where(values.isnan(), 0, values), values)]
        self.count = [count + ~values.isnan()]
        self._latest = values.nanmean()


class Instability(StreamMetric):
    """Whole-frame L2 norm of the change between frames, see ``instability``. Lower is steadier."""

    def update(self, pred: Tensor) -> None:
        """Add the next outputs (B, ...)."""
        self._add_pair(instability, pred)


class InstabilityRMS(StreamMetric):
    """RMS of the change between frames, see ``instability_rms``. Lower is steadier."""

    def update(self, pred: Tensor) -> None:
        """Add the next outputs (B, ...)."""
        self._add_pair(instability_rms, pred)


class CategoricalInstability(StreamMetric):
    """Fraction of pixels that change their class, see ``categorical_instability``. Lower is steadier."""

    def update(self, logits: Tensor) -> None:
        """Add the next class scores (B, C, H, W)."""
        self._add_pair(categorical_instability, logits)


class FlickerError(StreamMetric):
    """How far the output's change is from the true change, see ``flicker_error``. Lower is better."""

    def update(self, pred: Tensor, target: Tensor) -> None:
        """Add the next outputs and their truth, (B, ...) each."""
        self._add_pair(flicker_error, pred, target)


class AlongMotion(StreamMetric):
    """Base of what is measured along the motion between the clean input frames.

    Args:
        flow: finds the motion between clean frames.
        kwargs: those of ``torchmetrics.Metric``.
    """

    _function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

    def __init__(self, flow: Flow | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A ruler is finer than the flow that adapters follow.
        self._flow = flow or DISFlow(max_height=540)

    def update(self, pred: Tensor, clean: Tensor) -> None:
        """Add the next outputs (B, C, H, W) and the clean input images (B, C', H, W) they belong to."""
        self._add_pair(self._score, pred, clean)

    def _score(self, pred: Tensor, before: Tensor, clean: Tensor, clean_before: Tensor) -> Tensor:
        return self._function(pred, before, self._flow(clean, clean_before), self._flow(clean_before, clean))


class WarpError(AlongMotion):
    """Squared difference to the previous output warped along the motion, see ``warp_error``. Lower is steadier."""

    _function = staticmethod(warp_error)


class ClassFlips(AlongMotion):
    """Share of the visible pixels that change class along the motion, see ``class_flips``. Lower is steadier."""

    _function = staticmethod(class_flips)


class MotionIoU(AlongMotion):
    """mIoU of the classes with those before along the motion, see ``motion_iou``. Higher is steadier."""

    higher_is_better = True
    _function = staticmethod(motion_iou)


class AbsRel(StreamMetric):
    """Mean relative error of depth after an affine fit of each frame, see ``abs_rel``. Lower is better.

    Args:
        disparity: whether the outputs are disparities.
        kwargs: those of ``torchmetrics.Metric``.
    """

    _function: Callable[..., Tensor] = staticmethod(abs_rel)

    def __init__(self, *, disparity: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._disparity = disparity

    def update(self, pred: Tensor, target: Tensor) -> None:
        """Add the next depth maps and their truth, (B, H, W) each."""
        self._add(self._function(pred, target, disparity=self._disparity))


class DeltaAccuracy(AbsRel):
    """Share of depths within a factor 1.25 after the fit, see ``delta_accuracy``. Higher is better."""

    higher_is_better = True
    _function = staticmethod(delta_accuracy)


class ClipAbsRel(Metric):
    """Mean relative error of depth after one fit for the whole clip, see ``abs_rel``. Lower is better.

    All frames are kept until ``reset``: the fit of the last one decides on the error of the first. Called in a loop, it
    gives the figure of the clip so far.

    Args:
        disparity: whether the outputs are disparities.
        kwargs: those of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = True
    _function: Callable[..., Tensor] = staticmethod(abs_rel)

    pred: list[Tensor]
    target: list[Tensor]

    def __init__(self, *, disparity: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._disparity = disparity
        self.add_state("pred", default=[])
        self.add_state("target", default=[])

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Add the next depth maps, and give the figure of all so far."""
        self.update(pred, target)
        return self.compute()

    def update(self, pred: Tensor, target: Tensor) -> None:
        """Add the next depth maps and their truth, (B, H, W) each."""
        check_shapes(pred, target)
        # Copies: the caller may decode the next frame into the same memory.
        self.pred.append(pred.detach().clone())
        self.target.append(target.detach().clone())

    def compute(self) -> Tensor:
        """Mean over the streams, a scalar; NaN if there is no value yet."""
        if not self.pred:
            return torch.tensor(torch.nan)
        clips = (torch.stack(frames, dim=1) for frames in (self.pred, self.target))
        return self._function(*clips, disparity=self._disparity).nanmean()


class ClipDeltaAccuracy(ClipAbsRel):
    """Share of depths within a factor 1.25 after one fit for the clip, see ``delta_accuracy``. Higher is better."""

    higher_is_better = True
    _function = staticmethod(delta_accuracy)
