"""Validation: the same clips each time, and what the outputs look like."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from holdsteady.metrics.clips import over_clip
from holdsteady.metrics.pairs import flicker_error, instability_rms
from holdsteady.models.display import as_picture
from holdsteady.training.unroll import Batch, Unroll, Unrolled


@dataclass(frozen=True)
class Figures:
    """What a validation found of a clip, or means over its clips.

    Attributes:
        loss: the objective.
        accuracy, stability: its terms.
        psnr: dB against the targets, for a range of one; NaN where the targets are class numbers.
        flicker_error: RMS of the change that the targets don't have.
        instability_rms: RMS of the change.
    """

    loss: float
    accuracy: float
    stability: float
    psnr: float
    flicker_error: float
    instability_rms: float


def measure(unrolled: Unrolled) -> Figures:
    """The figures of clips that were run."""
    terms = unrolled.terms
    outputs, targets = unrolled.outputs.detach().float(), unrolled.targets.detach().float()
    psnr = flicker = float("nan")
    if outputs.shape == targets.shape:
        known = ~targets.isnan()
        squares = torch.where(known, outputs - targets, 0).square().flatten(2).sum(dim=2)
        error = squares / known.flatten(2).sum(dim=2).clamp_min(1)
        psnr = (-10 * torch.log10(error.clamp_min(1e-12))).mean().item()
        if outputs.shape[1] > 1:
            flicker = over_clip(flicker_error, outputs, targets).mean().item()
    change = over_clip(instability_rms, outputs).mean().item() if outputs.shape[1] > 1 else 0.0
    total, accuracy, stability = (float(term.detach()) for term in terms)
    return Figures(total, accuracy, stability, psnr, flicker, change)


@torch.no_grad()
def validate(unroll: Unroll, clips: Sequence[Batch]) -> tuple[list[Figures], list[Tensor]]:
    """Figures of each clip, and images of the first one's last frame: what the model sees, gives and should."""
    found: list[Figures] = []
    images: list[Tensor] = []
    for batch in clips:
        unrolled = unroll(batch)
        found.append(measure(unrolled))
        if not images:
            shown = [batch["corrupted"], unrolled.outputs, unrolled.targets]
            # Class numbers have no channels, and no image here.
            images = [as_picture(clip[:1, -1])[0] for clip in shown if clip.ndim == 5]
    return found, images


def mean_figures(found: Sequence[Figures]) -> Figures:
    """The means over clips."""
    return Figures(*(sum(getattr(f, name) for f in found) / len(found) for name in Figures.__dataclass_fields__))
