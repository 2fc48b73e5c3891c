"""Ways of others, made again from what is published of them, along the optical flow that ours follows too."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from scenarios import Moment
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.dis import DISFlow
from holdsteady.flow.warp import resize_flow, warp

SEARCH = DISFlow(smooth=1.0)


def degrain(moments: Sequence[Moment], radius: int, threshold: float) -> list[Tensor]:
    """MVTools' MDegrain: the mean of a frame and its neighbours along the motion, on both sides, weighted by SAD.

    A neighbour weighs max(0, (T² − S²)/(T² + S²)), where S is the mean absolute difference in blocks of 8×8 pixels.

    Args:
        moments: a scenario.
        radius: how many neighbours on each side.
        threshold: T, for values in [0, 1]; thSAD = 400, the default, is about 0.025.
    """
    outputs = [moment.output for moment in moments]
    found = []
    for number, present in enumerate(outputs):
        total, weights = present.clone(), torch.ones_like(present[:, :1])
        for other in range(max(0, number - radius), min(len(outputs), number + radius + 1)):
            if other != number:
                moved = warp(outputs[other], SEARCH(present, outputs[other]))
                weight = degrain_weight(present, moved, threshold)
                total, weights = total + weight * moved, weights + weight
        found.append(total / weights)
    return found


def recursive_degrain(moments: Sequence[Moment], threshold: float) -> list[Tensor]:
    """The same weight for the last output alone, which is causal."""
    found: list[Tensor] = []
    for moment in moments:
        present = moment.output
        if found:
            moved = warp(found[-1], SEARCH(present, found[-1]))
            weight = degrain_weight(present, moved, threshold)
            present = (present + weight * moved) / (1 + weight)
        found.append(present)
    return found


def degrain_weight(present: Tensor, moved: Tensor, threshold: float) -> Tensor:
    """max(0, (T² − S²)/(T² + S²)), (B, 1, H, W)."""
    difference = (present - moved).abs().mean(dim=1, keepdim=True)
    blocks = F.avg_pool2d(difference, 8, ceil_mode=True, count_include_pad=False)
    squared = F.interpolate(blocks, size=present.shape[2:], mode="bilinear").square()
    return ((threshold**2 - squared) / (threshold**2 + squared)).clamp_min(0)


def guided_deflicker(moments: Sequence[Moment], strength: float, both: bool, threshold: float = 0.1) -> list[Tensor]:
    """ComfyUI's VideoDeflicker, as its documentation describes it; the weight's exact form is not given there.

    Each frame follows the last result along the motion of the guide, found on a shrunk copy; less where the two, or the
    guide and its own last frame, differ by more than the threshold. ``both`` averages a pass forth and one back.
    """
    if both:
        back = guided_deflicker(moments[::-1], strength, both=False, threshold=threshold)[::-1]
        forth = guided_deflicker(moments, strength, both=False, threshold=threshold)
        return [(one + other) / 2 for one, other in zip(forth, back, strict=True)]
    found = [moments[0].output]
    for last, now in pairwise(moments):
        size = (now.output.shape[2], now.output.shape[3])
        flow = SEARCH(now.frame, last.frame)
        moved = warp(found[-1], resize_flow(flow, size))
        guide = F.interpolate((now.frame - warp(last.frame, flow)).abs(), size=size, mode="bilinear", antialias=True)
        changes = ((now.output - moved).abs(), guide)
        apart = sum((change.mean(dim=1, keepdim=True) / threshold).square() for change in changes)
        weight = strength * torch.exp(-torch.as_tensor(apart))
        found.append((now.output + weight * moved) / (1 + weight))
    return found


def steady_statistics(moments: Sequence[Moment], present: float) -> list[Tensor]:
    """Means and standard deviations of channels, averaged over time, as DyFN steadies them at a latent; here fixed.

    Args:
        moments: a scenario.
        present: weight of the present frame in the average.
    """
    found, kept = [], None
    for moment in moments:
        value = moment.output
        now = torch.cat((value.mean(dim=(2, 3), keepdim=True), value.std(dim=(2, 3), keepdim=True)))
        kept = now if kept is None else torch.lerp(kept, now, present)
        found.append((value - now[:1]) / now[1:].clamp_min(1e-6) * kept[1:] + kept[:1])
    return found
