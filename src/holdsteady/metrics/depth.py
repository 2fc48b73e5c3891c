"""Accuracy of relative depth, known up to a scale and a shift: fit to the truth first, then compare.

Measure steadiness of depth on the result of ``fit_affine`` too: before the fit a model could look steady
by shrinking its output.
"""

import torch
from torch import Tensor

from holdsteady.metrics.masked import as_float, check_shapes, mean_where


def fit_affine(prediction: Tensor, truth: Tensor) -> Tensor:
    """Each frame's prediction scaled and shifted to the truth by least squares: a·prediction + b.

    Elements that are NaN in the truth, or not finite in the prediction, take no part in the fit. A
    constant prediction becomes the mean of the truth.

    Args:
        prediction: (B, H, W), any units.
        truth: (B, H, W); NaN where unknown.

    Returns:
        (B, H, W) in the units of the truth; also where the truth is unknown. NaN for a frame without truth.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    check_shapes(prediction, truth)
    prediction, truth = as_float(prediction), as_float(truth)
    valid = prediction.isfinite() & ~truth.isnan()
    axes = tuple(range(1, valid.dim()))
    count = valid.sum(dim=axes, keepdim=True)

    def mean(values: Tensor) -> Tensor:
        return torch.where(valid, values, 0).sum(dim=axes, keepdim=True) / count

    centred = prediction - mean(prediction)
    level = mean(truth)
    variance = mean(centred.square())
    scale = torch.where(variance > 0, mean(centred * (truth - level)) / variance, 0)
    return scale * centred + level


def abs_rel(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean of |d − y| / y, where d is the prediction after ``fit_affine``.

    Args:
        prediction: (B, H, W), any units; NaN where the truth is known makes the error infinite.
        truth: y (B, H, W), positive; NaN leaves the element out.

    Returns:
        (B,) ≥ 0; lower is better.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    error = (fit_affine(prediction, truth) - truth).abs() / truth
    return mean_where(error, ~truth.isnan())


def delta_accuracy(prediction: Tensor, truth: Tensor) -> Tensor:
    """δ < 1.25: fraction of pixels with max(d/y, y/d) < 1.25, d the prediction after ``fit_affine``.

    Args:
        prediction: (B, H, W), any units; NaN where the truth is known counts as inaccurate.
        truth: y (B, H, W), positive; NaN leaves the element out.

    Returns:
        (B,) in [0, 1]; higher is better.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    fitted = fit_affine(prediction, truth)
    accurate = (fitted > 0) & (fitted < 1.25 * truth) & (truth < 1.25 * fitted)
    return mean_where(accurate.float(), ~truth.isnan())
