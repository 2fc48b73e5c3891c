"""Whole clips (B, T, ...): means of the pair metrics, and the quantities S and R of the theory."""

from collections.abc import Callable

import torch
from torch import Tensor

from holdsteady.errors import MetricError

Distance = Callable[[Tensor, Tensor], Tensor]
"""A distance δ of two frames (B, ...) → (B,), such as ``instability_rms``."""


def over_clip(pair_metric: Callable[..., Tensor], *clips: Tensor) -> Tensor:
    """Mean of a pair metric over the frames t ≥ 2 of each stream; pairs that give NaN are left out.

    Args:
        pair_metric: called with the present and the previous frame of each clip in turn, such as
            ``flicker_error(pred, pred_before, truth, truth_before)`` for two clips; returns (B,).
        clips: (B, T, ...) each, T ≥ 2.

    Returns:
        (B,).

    Raises:
        MetricError: there is no clip, a clip is too short, or they differ in B or T.
    """
    return _pairwise(pair_metric, *clips).nanmean(dim=0)


def stability(distance: Distance, outputs: Tensor) -> Tensor:
    """Stability S = −Σ_{t≥2} δ(ŷ_t, ŷ_{t−1}) of arXiv 2512.03014.

    Called with the outputs of corrupted inputs it is the paper's corruption stability S_c.

    Args:
        distance: δ.
        outputs: ŷ (B, T, ...), T ≥ 2.

    Returns:
        (B,); higher is steadier. NaN distances stay NaN, since a sum over fewer frames means less.

    Raises:
        MetricError: the clip is too short.
    """
    return -_pairwise(distance, outputs).sum(dim=0)


def robustness(distance: Distance, outputs: Tensor, targets: Tensor) -> Tensor:
    """Robustness R_c = −Σ_t δ(f(x_t + ε_t), y_t) of arXiv 2512.03014.

    Args:
        distance: δ.
        outputs: outputs on corrupted inputs, (B, T, ...).
        targets: y (B, T, ...).

    Returns:
        (B,); higher is more robust. NaN distances stay NaN.

    Raises:
        MetricError: the clips differ in B or T, or have no frames.
    """
    length = _length(1, outputs, targets)
    return -torch.stack([distance(outputs[:, t], targets[:, t]) for t in range(length)]).sum(dim=0)


def _pairwise(pair_metric: Callable[..., Tensor], *clips: Tensor) -> Tensor:
    """Values (T − 1, B) of a pair metric."""
    values = []
    for t in range(1, _length(2, *clips)):
        frames = [frame for clip in clips for frame in (clip[:, t], clip[:, t - 1])]
        values.append(pair_metric(*frames))
    return torch.stack(values)


def _length(shortest: int, *clips: Tensor) -> int:
    """T, the same in all clips (B, T, ...) and at least ``shortest``."""
    sizes = {tuple(clip.shape[:2]) for clip in clips}
    if len(sizes) != 1 or min(clip.dim() for clip in clips) < 2:
        shapes = " and ".join(str(tuple(clip.shape)) for clip in clips)
        raise MetricError(f"expected clips (B, T, ...) with the same B and T, got {shapes or 'none'}")
    length = clips[0].shape[1]
    if length < shortest:
        raise MetricError(f"the clip has {length} frames along axis 1, but at least {shortest} are needed")
    return length
