"""What is measured of a task's outputs: images, relative depth, classes."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassJaccardIndex

from holdsteady.flow.dis import DISFlow
from holdsteady.metrics import VideoScores
from holdsteady.metrics.classes import class_flips, classes_before
from holdsteady.metrics.depth import (
    Affine,
    affine_fit,
    apply_affine,
    depth_drift,
    relative_error,
    within_a_quarter,
)
from holdsteady.metrics.pairs import categorical_instability, flicker_error, instability, instability_rms
from holdsteady.metrics.series import Series
from holdsteady.metrics.warping import warp_error
from holdsteady.objective.distances import IGNORED_CLASS

# A ruler is finer than the flow that adapters follow.
_FLOW_HEIGHT = 540

Flows = tuple[Tensor, Tensor]
"""Flow (1, 2, H, W) in pixels from a frame back to the one before, and the other way."""


class Scorer(Protocol):
    """Measures a stream of outputs as it comes."""

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        """An output (1, C, h, w), what it should be, and the motion of the clean frames since the last one."""
        ...

    def cut(self) -> None:
        """A new shot begins."""
        ...

    def compute(self) -> dict[str, float]:
        """Means over the frames, and figures of the whole clip."""
        ...

    def per_frame(self) -> dict[str, list[float]]:
        """Each figure for each frame, after ``compute``; NaN where it was not measured."""
        ...


def make_scorer(output: Tensor) -> Scorer:
    """A scorer for outputs like this one: three channels are an image, one is depth, more are class logits."""
    channels = output.shape[1]
    return ImageScorer() if channels == 3 else DepthScorer() if channels == 1 else ClassScorer()


class ImageScorer:
    """PSNR, SSIM, both instabilities, flicker error, and warp error along the clean frames' motion."""

    def __init__(self) -> None:
        self._scores = VideoScores()
        self._warp = Series()
        self._last: Tensor | None = None

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        image, truth = output.float().clamp(0, 1), truth.float().clamp(0, 1)
        self._scores.update(image, truth)
        figures = {}
        if self._last is not None and flows is not None and image.shape[-2:] == flows[0].shape[-2:]:
            figures["warp_error"] = warp_error(image, self._last, *flows)
        self._warp.add(_known(figures))
        self._last = image.clone()

    def cut(self) -> None:
        self._scores.cut()
        self._last = None

    def compute(self) -> dict[str, float]:
        return {**self._scores.compute(), **self._warp.compute()}

    def per_frame(self) -> dict[str, list[float]]:
        return {**self._scores.per_frame(), **self._warp.per_frame()}


class DepthScorer:
    """AbsRel, δ<1.25 and flicker error after a fit of each frame to the truth, and after one fit of the whole clip.

    The second, ``clip_…``, sees a scale and a shift that drift, which the first hides; ``scale_drift`` and
    ``shift_drift`` tell how far they do. Where the clip's outputs fall as the truth rises they are disparities, and are
    fitted as such. Frames wait for the clip's fit in a temporary file, and not in memory.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone with the scorer
        self._shape: tuple[int, ...] = ()
        self._cuts: set[int] = set()
        self._frames = 0
        self._series = Series()

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        both = torch.stack((output[:, 0].float(), truth[:, 0].float()))
        self._shape = tuple(both.shape)
        self._file.seek(0, os.SEEK_END)
        self._file.write(both.contiguous().cpu().numpy().data)
        self._frames += 1

    def cut(self) -> None:
        self._cuts.add(self._frames)

    def compute(self) -> dict[str, float]:
        disparity = _moments_fit(self._read(), disparity=False).scale.item() < 0
        clip_fit = _moments_fit(self._read(), disparity=disparity)
        self._series, fits, medians = Series(), [], []
        last: tuple[Tensor, Tensor, Tensor] | None = None
        for number, (depth, true) in enumerate(self._read()):
            fits.append(affine_fit(depth, true, disparity=disparity))
            medians.append((1 / true if disparity else true).nanmedian())
            fitted, shared = (apply_affine(fit, depth, true, disparity=disparity) for fit in (fits[-1], clip_fit))
            figures = {
                "abs_rel": relative_error(fitted, true),
                "delta_accuracy": within_a_quarter(fitted, true),
                "clip_abs_rel": relative_error(shared, true),
                "clip_delta_accuracy": within_a_quarter(shared, true),
            }
            if last is not None and number not in self._cuts:
                before, shared_before, true_before = last
                figures["instability"] = instability(fitted, before)
                figures["instability_rms"] = instability_rms(fitted, before)
                figures["flicker_error"] = flicker_error(fitted, before, true, true_before)
                figures["clip_flicker_error"] = flicker_error(shared, shared_before, true, true_before)
                figures["target_instability_rms"] = instability_rms(true, true_before)
            self._series.add(_known(figures))
            last = fitted, shared, true
        each = Affine(*(torch.cat(values) for values in zip(*fits, strict=True)))
        scale, shift = depth_drift(each, torch.stack(medians).nanmedian())
        return {**self._series.compute(), **_known({"scale_drift": scale, "shift_drift": shift})}

    def per_frame(self) -> dict[str, list[float]]:
        return self._series.per_frame()

    def _read(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs and truths (1, h, w), frame by frame."""
        count = int(np.prod(self._shape))
        for number in range(self._frames):
            self._file.seek(4 * count * number)
            values = np.frombuffer(self._file.read(4 * count), np.float32).reshape(self._shape)
            depth, true = torch.from_numpy(values.copy())
            yield depth, true


def _moments_fit(frames: Iterator[tuple[Tensor, Tensor]], *, disparity: bool) -> Affine:
    """``affine_fit`` of a clip that is not in memory, from sums over its frames; (1,) each."""
    count, sums = 0.0, torch.zeros(4, dtype=torch.float64)
    for depth, true in frames:
        valid = depth.isfinite() & ~true.isnan()
        p, y = depth[valid].double(), true[valid].double()
        y = 1 / y if disparity else y
        count += len(p)
        sums += torch.stack((p.sum(), y.sum(), (p * p).sum(), (p * y).sum()))
    p, y, squares, products = sums / count
    variance = squares - p * p
    scale = (products - p * y) / variance if variance > 1e-12 * squares else torch.zeros_like(p)
    return Affine(scale[None], (y - scale * p)[None])


class ClassScorer:
    """Mean intersection over union of the classes over all frames, and how many pixels change class.

    ``categorical_instability`` counts all changes; ``class_flips`` those along the motion of the clean frames, where it
    can be seen, and ``mc_iou`` is the mIoU of the classes with those before along this motion, over all pairs.
    """

    def __init__(self) -> None:
        self._series = Series()
        self._last: Tensor | None = None
        self._miou: dict[str, MulticlassJaccardIndex] = {}

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        wanted = truth.argmax(dim=1) if truth.ndim == 4 else truth
        chosen = output.argmax(dim=1)
        self._count("miou", output, chosen, wanted)
        figures = {"pixel_accuracy": (chosen == wanted)[wanted != IGNORED_CLASS].float().mean()}
        if self._last is not None:
            figures["categorical_instability"] = categorical_instability(output, self._last)
            if flows is not None:
                size = (flows[0].shape[-2], flows[0].shape[-1])
                now, before = (_resized(logits, size) for logits in (output, self._last))
                figures["class_flips"] = class_flips(now, before, *flows)
                self._count("mc_iou", output, now.argmax(dim=1), classes_before(before.argmax(dim=1), *flows))
        self._series.add(_known(figures))
        self._last = output.clone()

    def cut(self) -> None:
        self._last = None

    def compute(self) -> dict[str, float]:
        return {**{name: metric.compute().item() for name, metric in self._miou.items()}, **self._series.compute()}

    def per_frame(self) -> dict[str, list[float]]:
        return self._series.per_frame()

    def _count(self, name: str, output: Tensor, chosen: Tensor, wanted: Tensor) -> None:
        if name not in self._miou:
            # Classes that neither side ever shows are left out of the mean.
            self._miou[name] = MulticlassJaccardIndex(output.shape[1], ignore_index=IGNORED_CLASS).to(output.device)
        self._miou[name].update(chosen, wanted)


def _resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return logits if logits.shape[-2:] == size else F.interpolate(logits.float(), size=size, mode="bilinear")


def _known(figures: Mapping[str, Tensor]) -> dict[str, float]:
    """Those of the figures that there was something to measure for."""
    return {name: value.item() for name, value in figures.items() if not value.isnan()}


def both_flows(clean: Tensor, before: Tensor) -> Flows:
    """The motion between two clean frames (1, 3, H, W), at their own size."""
    search = DISFlow(max_height=_FLOW_HEIGHT)
    return search(clean, before), search(before, clean)
