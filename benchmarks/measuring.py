"""What bars.py and peers.py measure of the outputs on a scenario, and how adapters give them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from scenarios import Moment, Scenario
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio

from holdsteady import StabilizedModel, stabilize
from holdsteady.errors import HoldsteadyError
from holdsteady.evaluation.intervals import bootstrap_interval
from holdsteady.evaluation.scoring import both_flows
from holdsteady.host.resolve import resolve_ready, without_input
from holdsteady.metrics import class_flips, flicker_error

BASE = "frame by frame"
Figures = dict[str, float]


class Score(Protocol):
    """Measures outputs as they come."""

    def update(self, moment: Moment, output: Tensor) -> None: ...

    def compute(self) -> Figures: ...


class PictureScore:
    """PSNR and flicker error against the truth, and mean |Laplacian| of grey over the truth's."""

    def __init__(self) -> None:
        self._series: dict[str, list[float]] = {"psnr": [], "flicker": [], "laplacian": [], "true laplacian": []}
        self._last: tuple[Tensor, Tensor] | None = None

    def update(self, moment: Moment, output: Tensor) -> None:
        assert moment.truth is not None
        image, truth = output.clamp(0, 1), moment.truth.clamp(0, 1)
        self._series["psnr"].append(psnr(image, truth))
        if self._last is not None:
            self._series["flicker"].append(100 * flicker_error(image, self._last[0], truth, self._last[1]).item())
        self._series["laplacian"].append(laplacian(image))
        self._series["true laplacian"].append(laplacian(truth))
        self._last = image.clone(), truth.clone()

    def compute(self) -> Figures:
        means = {name: statistics.fmean(values) for name, values in self._series.items()}
        return {**means, "laplacian": means["laplacian"] / means.pop("true laplacian")}

    def intervals(self) -> dict[str, list[float]]:
        """95 % intervals of PSNR and flicker error, as means over frames of such clips have them."""
        return {name: list(bootstrap_interval([self._series[name]])) for name in ("psnr", "flicker")}


class MomentScore:
    """PSNR of one frame alone, the one of number ``after``."""

    def __init__(self, after: int = 6) -> None:
        self._after, self._seen, self._psnr = after, 0, 0.0

    def update(self, moment: Moment, output: Tensor) -> None:
        if self._seen == self._after:
            assert moment.truth is not None
            self._psnr = psnr(output.clamp(0, 1), moment.truth)
        self._seen += 1

    def compute(self) -> Figures:
        return {"psnr": self._psnr}


class ClassScore:
    """Class flips along the motion of the input in %, and agreement with the classes on the clean clip in %.

    Masks are two classes, one side of a half or the other. Logits are brought to the size of the input first.
    """

    def __init__(self) -> None:
        self._flips: list[float] = []
        self._agreement: list[float] = []
        self._last: tuple[Tensor, Tensor] | None = None

    def update(self, moment: Moment, output: Tensor) -> None:
        logits = output if output.shape[1] > 3 else torch.cat((1 - output, output), dim=1)[:, [0, -1]]
        logits = F.interpolate(logits, size=moment.frame.shape[2:], mode="bilinear")
        if moment.truth is not None:
            self._agreement.append(100 * (logits.argmax(dim=1) == moment.truth).float().mean().item())
        if self._last is not None:
            flows = both_flows(moment.frame, self._last[1])
            self._flips.append(100 * class_flips(logits, self._last[0], *flows).item())
        self._last = logits.clone(), moment.frame

    def compute(self) -> Figures:
        figures = {"flips": statistics.fmean(self._flips)}
        return figures | ({"agreement": statistics.fmean(self._agreement)} if self._agreement else {})


def psnr(image: Tensor, truth: Tensor) -> float:
    """dB, 100 at most."""
    return min(100.0, peak_signal_noise_ratio(image, truth, data_range=1.0).item())


def laplacian(image: Tensor) -> float:
    """Mean |Laplacian| of the mean over channels."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(image.mean(dim=1, keepdim=True), kernel).abs().mean().item()


class Recorded:
    """A model that gives what it was told to."""

    def __init__(self) -> None:
        self.output: Tensor = torch.empty(0)

    def __call__(self, _frame: Tensor) -> Tensor:
        return self.output


@dataclass
class Runner:
    """An adapter over recorded outputs; where the first one is blind, as ``holdsteady fix`` runs it."""

    adapter: str
    steady: StabilizedModel | None = None

    def __post_init__(self) -> None:
        self.model, self.adapters = Recorded(), resolve_ready(self.adapter)

    def step(self, moment: Moment) -> Tensor:
        """The stabilized output."""
        if self.steady is None:
            adapters = without_input(self.adapters) if moment.is_blind else self.adapters
            self.steady = stabilize(self.model, adapters)
        self.model.output = moment.output
        with torch.inference_mode():
            output: Tensor = self.steady(moment.frame)
        return output


def measure(
    scenario: Scenario, adapters: Sequence[str], score: Callable[[], Score], frames: int | None = None
) -> tuple[dict[str, Figures], dict[str, str]]:
    """The figures of the base and of each adapter, with gains and ratios; and why adapters that refused did."""
    scores = {BASE: score()} | {adapter: score() for adapter in adapters}
    runners = {adapter: Runner(adapter) for adapter in adapters}
    refused: dict[str, str] = {}
    for moment in islice(scenario.play(), frames):
        scores[BASE].update(moment, moment.output)
        for adapter, runner in runners.items():
            if adapter in refused:
                continue
            try:
                scores[adapter].update(moment, runner.step(moment))
            except HoldsteadyError as error:
                refused[adapter] = str(error)
    found = {name: one.compute() for name, one in scores.items() if name not in refused}
    return {name: figures | against(figures, found[BASE]) for name, figures in found.items()}, refused


def against(figures: Figures, base: Figures) -> Figures:
    """Gain in PSNR, and ratio of flicker error or of flips. A base without any error has nothing to be gained on."""
    found = {}
    if "flicker" in figures and base["psnr"] < 99:
        found = {"gain": figures["psnr"] - base["psnr"], "ratio": figures["flicker"] / max(base["flicker"], 1e-6)}
    elif "flips" in figures:
        found = {"ratio": figures["flips"] / max(base["flips"], 1e-6)}
    return found
