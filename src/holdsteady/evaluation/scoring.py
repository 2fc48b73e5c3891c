"""What is measured of a task's outputs: images, relative depth, classes."""

from math import fsum, nan
from typing import Protocol

from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from holdsteady.flow.dis import DISFlow
from holdsteady.metrics import VideoScores
from holdsteady.metrics.depth import abs_rel, delta_accuracy, fit_affine
from holdsteady.metrics.pairs import categorical_instability, flicker_error, instability, instability_rms
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
        """Means over the frames."""
        ...

    def per_frame(self) -> dict[str, list[float]]:
        """Each figure for each frame; NaN where it was not measured."""
        ...


def make_scorer(output: Tensor) -> Scorer:
    """A scorer for outputs like this one: three channels are a image, one is depth, more are class logits."""
    channels = output.shape[1]
    return ImageScorer() if channels == 3 else DepthScorer() if channels == 1 else ClassScorer()


class ImageScorer:
    """PSNR, SSIM, both instabilities, flicker error, and warp error along the clean frames' motion."""

    def __init__(self) -> None:
        self._scores = VideoScores()
        self._warp = _Series()
        self._last: Tensor | None = None

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        image, truth = output.float().clamp(0, 1), truth.float().clamp(0, 1)
        self._scores.update(image, truth)
        value = nan
        if self._last is not None and flows is not None and image.shape[-2:] == flows[0].shape[-2:]:
            value = warp_error(image, self._last, *flows).item()
        self._warp.add(warp_error=value)
        self._last = image.clone()

    def cut(self) -> None:
        self._scores.cut()
        self._last = None

    def compute(self) -> dict[str, float]:
        return {**self._scores.compute(), **self._warp.compute()}

    def per_frame(self) -> dict[str, list[float]]:
        return {**self._scores.per_frame(), **self._warp.values}


class DepthScorer:
    """AbsRel and δ<1.25 after a fit of each frame to the truth; steadiness after the fit too."""

    def __init__(self) -> None:
        self._series = _Series()
        self._last: tuple[Tensor, Tensor] | None = None

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        depth, true = output[:, 0].float(), truth[:, 0].float()
        fitted = fit_affine(depth, true)
        figures = {"abs_rel": abs_rel(depth, true), "delta_accuracy": delta_accuracy(depth, true)}
        if self._last is not None:
            before, true_before = self._last
            figures["instability"] = instability(fitted, before)
            figures["instability_rms"] = instability_rms(fitted, before)
            figures["flicker_error"] = flicker_error(fitted, before, true, true_before)
            figures["target_instability_rms"] = instability_rms(true, true_before)
        self._series.add(**{name: value.item() for name, value in figures.items()})
        self._last = fitted, true

    def cut(self) -> None:
        self._last = None

    def compute(self) -> dict[str, float]:
        return self._series.compute()

    def per_frame(self) -> dict[str, list[float]]:
        return self._series.values


class ClassScorer:
    """Mean intersection over union of the classes over all frames, and the share of pixels that change class."""

    def __init__(self) -> None:
        self._series = _Series()
        self._last: Tensor | None = None
        self._miou: MulticlassJaccardIndex | None = None

    def update(self, output: Tensor, truth: Tensor, flows: Flows | None = None) -> None:
        wanted = truth.argmax(dim=1) if truth.ndim == 4 else truth
        chosen = output.argmax(dim=1)
        if self._miou is None:
            # Classes that neither the outputs nor the truth ever show are left out of the mean.
            self._miou = MulticlassJaccardIndex(output.shape[1], ignore_index=IGNORED_CLASS).to(output.device)
        self._miou.update(chosen, wanted)
        figures = {"pixel_accuracy": (chosen == wanted)[wanted != IGNORED_CLASS].float().mean().item()}
        if self._last is not None:
            figures["categorical_instability"] = categorical_instability(output, self._last).item()
        self._series.add(**figures)
        self._last = output.clone()

    def cut(self) -> None:
        self._last = None

    def compute(self) -> dict[str, float]:
        assert self._miou is not None
        return {"miou": self._miou.compute().item(), **self._series.compute()}

    def per_frame(self) -> dict[str, list[float]]:
        return self._series.values


class _Series:
    """A number for each frame and figure."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self._frames = 0

    def add(self, **figures: float) -> None:
        for name in figures:
            self.values.setdefault(name, [nan] * self._frames)
        for name, series in self.values.items():
            series.append(figures.get(name, nan))
        self._frames += 1

    def compute(self) -> dict[str, float]:
        measured = {name: [v for v in series if v == v] for name, series in self.values.items()}
        return {name: fsum(values) / len(values) for name, values in measured.items() if values}


def both_flows(clean: Tensor, before: Tensor) -> Flows:
    """The motion between two clean frames (1, 3, H, W), at their own size."""
    search = DISFlow(max_height=_FLOW_HEIGHT)
    return search(clean, before), search(before, clean)
