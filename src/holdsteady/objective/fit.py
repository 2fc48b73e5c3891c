"""Relative depth in the units of the truth, by one scale and shift for a whole clip."""

from torch import Tensor

from holdsteady.errors import LayoutError
from holdsteady.metrics.depth import affine_fit


def fit_by_first(outputs: Tensor, targets: Tensor) -> Tensor:
    """A clip of relative depth, by the least-squares scale and shift of its *first* frame, which all frames share.

    A loss after a fit of each frame can't see a scale and a shift that drift, and so can't teach a model to hold them;
    after this one wandering away from the first frame costs (DyFN, arXiv 2605.25308). No gradient goes through the fit.

    Args:
        outputs: ỹ (B, T, 1, H, W), in any units.
        targets: y of the same shape; NaN is left out.

    Returns:
        s ỹ + b, likewise. A stream whose first frame has no truth stays as it is.

    Raises:
        LayoutError: the shapes differ, or it is not one channel.
    """
    if outputs.shape != targets.shape or outputs.dim() != 5 or outputs.shape[2] != 1:
        raise LayoutError(
            f"relative depth is fitted as clips (B, T, 1, H, W), got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )
    fit = affine_fit(outputs[:, 0, 0].detach(), targets[:, 0, 0])
    known = ~fit.scale.isnan()
    scale, shift = fit.scale.where(known, 1.0), fit.shift.where(known, 0.0)
    along = (-1, 1, 1, 1, 1)
    return scale.to(outputs.dtype).view(along) * outputs + shift.to(outputs.dtype).view(along)
