"""Distances δ of the loss: pure functions of two batches of frames, one value a stream.

Frames are (B, ...), B independent streams; the result is (B,), in float32 or better. NaN in the target
leaves that element out, of the value and of the gradient; a stream with nothing left gives 0 and no
gradient. Gradients reach both frames. RMSE, L1 and L2 are metrics (RMSE but for its ε), which the bounds
of ``docs/theory.md`` need; Charbonnier is one but for its ε; cross-entropy is none.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import LayoutError

Distance = Callable[[Tensor, Tensor], Tensor]
"""δ(pred (B, ...), target (B, ...)) → (B,)."""

EPSILON = 1e-6  # under the root of RMSE and Charbonnier, as in arXiv 2512.03014: their gradients stay finite at 0
IGNORED_CLASS = 255


def rmse(pred: Tensor, target: Tensor) -> Tensor:
    """Root mean square √(mean (p − q)² + 1e-6) of arXiv 2512.03014, in the units of the frames.

    Args:
        pred: (B, ...).
        target: of the same shape; NaN leaves the element out.

    Raises:
        LayoutError: the shapes differ, or there is no axis after B.
    """
    difference, known = _difference(pred, target)
    value = (_mean(difference.square(), known) + EPSILON).sqrt()
    # Without this a frame with nothing to compare would cost √ε.
    return torch.where(known.any(dim=1), value, 0)


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in the units of the frames; arguments and errors as in ``rmse``."""
    difference, known = _difference(pred, target)
    return _mean(difference.abs(), known)


def l2(pred: Tensor, target: Tensor) -> Tensor:
    """Whole-frame Euclidean norm ‖p − q‖₂; it grows with the frame's size. Its gradient at 0 is 0.

    Arguments and errors as in ``rmse``.
    """
    difference, _ = _difference(pred, target)
    squares = difference.square().sum(dim=1)
    differs = squares > 0
    return torch.where(differs, torch.where(differs, squares, 1).sqrt(), 0)


def charbonnier(pred: Tensor, target: Tensor) -> Tensor:
    """Mean of √((p − q)² + 1e-6), a smooth L1 (Charbonnier et al. 1994); arguments and errors as in ``rmse``."""
    difference, known = _difference(pred, target)
    return _mean((difference.square() + EPSILON).sqrt(), known)


def cross_entropy(pred: Tensor, target: Tensor) -> Tensor:
    """Mean over pixels of −Σ_c q_c log softmax(p)_c, in nats.

    Args:
        pred: logits (B, C, ...).
        target: soft labels (B, C, ...), the q of a pixel in [0, 1] and with sum one, where NaN in any class leaves
            the pixel out; or class numbers (B, ...) of an integer type, where 255 leaves the pixel out.

    Raises:
        LayoutError: the target has neither shape.
    """
    logits = _as_float(pred)
    if not target.is_floating_point() and pred.dim() >= 2 and target.shape == (len(pred), *pred.shape[2:]):
        costs = F.cross_entropy(logits, target.long(), ignore_index=IGNORED_CLASS, reduction="none")
        return _mean(costs[:, None].flatten(1), (target != IGNORED_CLASS)[:, None].flatten(1))
    if pred.shape != target.shape or pred.dim() < 2:
        raise LayoutError(
            f"cross-entropy needs logits (B, C, ...) and soft labels of that shape or whole class numbers (B, ...), "
            f"got {tuple(pred.shape)} and {target.dtype} {tuple(target.shape)}"
        )
    known = ~target.isnan().any(dim=1, keepdim=True)
    costs = -(torch.where(known, _as_float(target), 0) * torch.log_softmax(logits, dim=1)).sum(dim=1, keepdim=True)
    return _mean(costs.flatten(1), known.flatten(1))


def as_target(name: str, outputs: Tensor) -> Tensor:
    """An output (B, ...) in the form in which the distance of that name takes a target.

    For cross-entropy these are the soft labels softmax(ỹ), with which the next output is compared; nothing is
    detached, so that both get gradients. For the others it is the output itself.
    """
    return torch.softmax(_as_float(outputs), dim=1) if name == "cross-entropy" else outputs


DISTANCES: Mapping[str, Distance] = MappingProxyType(
    {"rmse": rmse, "l1": l1, "l2": l2, "charbonnier": charbonnier, "cross-entropy": cross_entropy}
)
"""Distances by the names that recipes use."""


def _as_float(frame: Tensor) -> Tensor:
    return frame.to(torch.promote_types(frame.dtype, torch.float32))


def _difference(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """p − q and where q is known, both (B, N); 0 where it is not."""
    if pred.shape != target.shape or pred.dim() < 2:
        raise LayoutError(
            f"frames to compare need one shape (B, ...), got {tuple(pred.shape)} and {tuple(target.shape)}"
        )
    known = ~target.isnan()
    # Masked on both sides of the difference: a NaN that is multiplied by a zero gradient stays a NaN.
    difference = torch.where(known, _as_float(pred) - torch.where(known, _as_float(target), 0), 0)
    return difference.flatten(1), known.flatten(1)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values (B, N) → (B,); 0 for a stream with none."""
    return torch.where(known, values, 0).sum(dim=1) / known.sum(dim=1).clamp_min(1)
