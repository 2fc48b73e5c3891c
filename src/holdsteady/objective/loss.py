"""The unified accuracy–stability–robustness loss of "Instant Video Models" (arXiv 2512.03014)."""

from typing import NamedTuple

import torch
from torch import Tensor

from holdsteady.errors import ConfigError, LayoutError
from holdsteady.flow.warp import warp
from holdsteady.objective.distances import DISTANCES, as_target


class LossTerms(NamedTuple):
    """The loss and its parts, scalars, means over the streams: total = accuracy + λ · stability.

    Attributes:
        total: what is minimised.
        accuracy: (1/T) Σ_t δ(ỹ_t, y_t).
        stability: (1/T) Σ_{t≥2} δ(ỹ_t, ỹ_{t−1}), without λ.
    """

    total: Tensor
    accuracy: Tensor
    stability: Tensor


def unified_loss(
    outputs: Tensor,
    targets: Tensor,
    *,
    stability: float,
    distance: str = "rmse",
    flows: Tensor | None = None,
    valid: Tensor | None = None,
) -> LossTerms:
    """L = (1/T) [Σ_t δ(ỹ_t, y_t) + λ Σ_{t≥2} δ(ỹ_t, ỹ_{t−1})], the mean over streams.

    ``outputs`` are those of corrupted frames for robustness, of clean ones for accuracy and stability alone. Gradients
    reach both frames of each pair. With ``flows`` the stability term is motion-compensated: ỹ_t is compared with
    ỹ_{t−1} warped along the motion, so that true motion costs nothing. Features take the place of outputs, and
    the base's features on clean frames that of targets, to stabilize a point.

    Args:
        outputs: ỹ (B, T, ...); (B, T, C, H, W) with flows. Logits (B, T, C, ...) for cross-entropy.
        targets: y of the same shape; NaN leaves an element out of the accuracy. For cross-entropy soft labels, or
            class numbers (B, T, ...) where 255 leaves a pixel out.
        stability: λ ≥ 0. Up to 1/2 the truth minimises L; from T − 1 a frozen output does (``docs/theory.md``).
        distance: δ, a name of ``DISTANCES``.
        flows: (B, T−1, 2, H, W) in pixels, from frame t back to frame t−1 of the *clean* clip, in the form of
            ``holdsteady.flow.warp.warp``.
        valid: (B, T−1, 1, H, W), boolean: where the flow can be trusted; elsewhere the stability term is silent.

    Raises:
        ConfigError: an unknown distance, λ < 0, or ``valid`` without flows.
        LayoutError: the shapes don't fit each other.
    """
    if distance not in DISTANCES:
        raise ConfigError(f"unknown distance '{distance}'; choose one of {', '.join(DISTANCES)}")
    if not stability >= 0:
        raise ConfigError(f"the weight of the stability term must be 0 or more, got {stability}")
    if outputs.dim() < 3 or outputs.shape[:2] != targets.shape[:2] or not outputs.shape[1]:
        raise LayoutError(
            f"outputs and targets need the same B and T ≥ 1 in (B, T, ...), "
            f"got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )
    delta = DISTANCES[distance]
    frames = outputs.shape[0] * outputs.shape[1]
    accuracy = delta(outputs.flatten(0, 1), targets.flatten(0, 1)).sum() / frames
    previous = _brought_forward(outputs, distance, flows, valid)
    steadiness = delta(outputs[:, 1:].flatten(0, 1), previous).sum() / frames
    return LossTerms(accuracy + stability * steadiness, accuracy, steadiness)


def _brought_forward(outputs: Tensor, distance: str, flows: Tensor | None, valid: Tensor | None) -> Tensor:
    """ỹ_{t−1} for t ≥ 2 as targets (B·(T−1), ...), warped along the flows, NaN where these can't be trusted."""
    previous = outputs[:, :-1].flatten(0, 1)
    if flows is None:
        if valid is not None:
            raise ConfigError("a mask of valid flow was given without flows")
        return as_target(distance, previous)
    batch, length = outputs.shape[:2]
    size = outputs.shape[3:]
    for name, given, channels in (("flows", flows, 2), ("valid", valid, 1)):
        if given is not None and (outputs.dim() != 5 or given.shape != (batch, length - 1, channels, *size)):
            raise LayoutError(
                f"for outputs (B, T, C, H, W) = {tuple(outputs.shape)}, {name} must be (B, T−1, {channels}, H, W), got "
                f"{tuple(given.shape)}; holdsteady.flow.warp.resize_flow brings a flow to another size"
            )
    # The softmax of cross-entropy comes after the warp, so that the labels still sum to one.
    target = as_target(distance, warp(previous, flows.flatten(0, 1)))
    return target if valid is None else torch.where(valid.flatten(0, 1), target, torch.nan)
