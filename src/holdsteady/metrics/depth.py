"""Accuracy of relative depth, known up to a scale and a shift: fit to the truth by least squares first, then compare.

One fit for each frame hides what people see most, a scale and a shift that drift; one fit for a whole clip shows it,
and is how the field compares models of video. Frames (B, H, W) get a fit each; clips (B, T, H, W) one each, from all of
their frames. Report both, and ``depth_drift`` beside them. Measure steadiness of depth after a fit too: before it a
model could look steady by shrinking its output.

Models of affine-invariant disparity, as most are, are fitted to 1/y: ``disparity=True``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from holdsteady.metrics.masked import as_float, check_shapes, mean_where


class Affine(NamedTuple):
    """A least-squares fit to the truth, scale·prediction + shift, (B,) each."""

    scale: Tensor
    shift: Tensor


def affine_fit(prediction: Tensor, truth: Tensor, *, disparity: bool = False) -> Affine:
    """Scale and shift that bring a prediction next to the truth, or next to 1/truth.

    Elements that are NaN in the truth, or not finite in the prediction, take no part.

    Args:
        prediction: frames (B, H, W) or clips (B, T, H, W), any units.
        truth: of the same shape, positive; NaN where unknown.
        disparity: whether the prediction is a disparity.

    Returns:
        Float64. A constant prediction has the scale 0 and the mean of the truth as shift; both are NaN without truth.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    check_shapes(prediction, truth)
    valid = (prediction.isfinite() & ~truth.isnan()).flatten(1)
    p, y = prediction.flatten(1).double(), truth.flatten(1).double()
    y = 1 / y if disparity else y
    count = valid.sum(dim=1)

    def mean(values: Tensor) -> Tensor:
        return torch.where(valid, values, 0).sum(dim=1) / count

    middle, level = mean(p), mean(y)
    centred = p - middle[:, None]
    variance = mean(centred.square())
    scale = torch.where(variance > 0, mean(centred * (y - level[:, None])) / variance, 0)
    scale = torch.where(count > 0, scale, torch.nan)
    return Affine(scale, level - scale * middle)


def apply_affine(fit: Affine, prediction: Tensor, truth: Tensor, *, disparity: bool = False) -> Tensor:
    """Depth from a prediction and its fit, in the units of the truth; arguments as in ``affine_fit``.

    A fitted disparity is inverted; what would be farther than the farthest truth is there, and not at infinity.
    """
    along = (-1, *(1 for _ in prediction.shape[1:]))
    fitted = fit.scale.view(along) * prediction.double() + fit.shift.view(along)
    if disparity:
        farthest = torch.where(truth.isnan(), 0, truth).flatten(1).amax(dim=1).double().view(along)
        fitted = torch.where(fitted.isnan(), torch.nan, 1 / torch.maximum(fitted, 1 / farthest))
    return fitted.to(as_float(prediction).dtype)


def fit_affine(prediction: Tensor, truth: Tensor, *, disparity: bool = False) -> Tensor:
    """The prediction after its ``affine_fit``, in the units of the truth; also where the truth is unknown.

    Arguments and errors as in ``affine_fit``. NaN for a frame or clip without truth.
    """
    fit = affine_fit(prediction, truth, disparity=disparity)
    return apply_affine(fit, prediction, truth, disparity=disparity)


def abs_rel(prediction: Tensor, truth: Tensor, *, disparity: bool = False) -> Tensor:
    """Mean of |d − y| / y, where d is the prediction after ``fit_affine``: by frames (B, H, W) or clips (B, T, H, W).

    Arguments and errors as in ``affine_fit``. NaN in the prediction where the truth is known makes the error infinite.

    Returns:
        (B,) ≥ 0; lower is better.
    """
    return relative_error(fit_affine(prediction, truth, disparity=disparity), truth)


def delta_accuracy(prediction: Tensor, truth: Tensor, *, disparity: bool = False) -> Tensor:
    """δ < 1.25: share of pixels with max(d/y, y/d) < 1.25, d the prediction after ``fit_affine``.

    Arguments and errors as in ``abs_rel``; NaN in the prediction where the truth is known counts as inaccurate.

    Returns:
        (B,) in [0, 1]; higher is better.
    """
    return within_a_quarter(fit_affine(prediction, truth, disparity=disparity), truth)


def relative_error(depth: Tensor, truth: Tensor) -> Tensor:
    """``abs_rel`` of depth that is fitted already."""
    return mean_where((depth - truth).abs() / truth, ~truth.isnan())


def within_a_quarter(depth: Tensor, truth: Tensor) -> Tensor:
    """``delta_accuracy`` of depth that is fitted already."""
    accurate = (depth > 0) & (depth < 1.25 * truth) & (truth < 1.25 * depth)
    return mean_where(accurate.float(), ~truth.isnan())


def depth_drift(fits: Affine, level: Tensor) -> tuple[Tensor, Tensor]:
    """How the fits of single frames wander over a clip.

    Args:
        fits: of each frame: scale s_t and shift t_t, (..., T) each.
        level: median of the truth (of its inverse for disparity) over the clip, of shape (...).

    Returns:
        The standard deviations over time of log s_t, and of t_t over the level; both are 0 for a model whose scale and
        shift stay. The first is infinite where a scale is not positive. Frames whose fit is NaN are left out.
    """
    known = ~fits.scale.isnan()
    logs = torch.where(fits.scale > 0, fits.scale, 0).log()
    return _deviation(logs, known), _deviation(fits.shift / level[..., None], known)


def _deviation(values: Tensor, known: Tensor) -> Tensor:
    count = known.sum(dim=-1)
    mean = torch.where(known, values, 0).sum(dim=-1, keepdim=True) / count[..., None]
    squares = torch.where(known, (values - mean).square(), 0).sum(dim=-1) / count
    # −∞ among the logarithms: a scale that is not positive.
    return torch.where((known & values.isinf()).any(dim=-1), torch.inf, squares.sqrt())
