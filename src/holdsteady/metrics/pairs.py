"""Steadiness of a present frame next to the previous one: pure functions, one value per stream.

Frames are (B, ...), a batch of independent streams; the result is (B,). NaN in the truth, or in either
frame where no truth is given, leaves that element out; a frame with nothing left gives NaN. Definitions
as in "Instant Video Models" (arXiv 2512.03014), the flicker error aside, which is our own.
"""

from torch import Tensor

from holdsteady.metrics.masked import as_float, check_shapes, mean_where


def instability(present: Tensor, previous: Tensor) -> Tensor:
    """Whole-frame L2 norm ‖ŷ_t − ŷ_{t−1}‖₂, the instability that arXiv 2512.03014 reports.

    It grows with the square root of the frame's size; ``instability_rms`` does not. Compare it with the
    instability of the truth: less than that is over-smoothed, not steadier.

    Args:
        present: ŷ_t (B, ...), any range.
        previous: ŷ_{t−1}, of the same shape.

    Returns:
        (B,) ≥ 0, in the units of the frames; lower is steadier.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    rms = instability_rms(present, previous)
    known = ~(present.isnan() | previous.isnan())
    return rms * known.reshape(len(known), -1).sum(dim=1).sqrt()


def instability_rms(present: Tensor, previous: Tensor) -> Tensor:
    """Root mean square of ŷ_t − ŷ_{t−1} over the elements of a frame, comparable between sizes.

    Arguments, result and errors as in ``instability``.
    """
    check_shapes(present, previous)
    change = as_float(present) - as_float(previous)
    return mean_where(change.square(), ~(present.isnan() | previous.isnan())).sqrt()


def categorical_instability(logits: Tensor, logits_before: Tensor) -> Tensor:
    """Fraction of the pixels whose most likely class changes (arXiv 2512.03014).

    Args:
        logits: scores of the classes now, (B, C, H, W); a pixel with a NaN score is left out.
        logits_before: the same of the previous frame.

    Returns:
        (B,) in [0, 1]; lower is steadier.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    check_shapes(logits, logits_before)
    changed = logits.argmax(dim=1) != logits_before.argmax(dim=1)
    return mean_where(changed.float(), ~(logits.isnan() | logits_before.isnan()).any(dim=1))


def flicker_error(pred: Tensor, pred_before: Tensor, truth: Tensor, truth_before: Tensor) -> Tensor:
    """RMS of (ŷ_t − ŷ_{t−1}) − (y_t − y_{t−1}): how far the output's change is from the true change.

    Zero for the truth, and for the truth plus any error that stays. Frozen or blurred output of a moving
    scene, which plain instability rewards, has a large flicker error.

    Args:
        pred: ŷ_t (B, ...), any range; NaN where the truth is known makes the error infinite.
        pred_before: ŷ_{t−1}, of the same shape.
        truth: y_t, of the same shape; NaN leaves the element out.
        truth_before: y_{t−1}, of the same shape; NaN leaves the element out.

    Returns:
        (B,) ≥ 0, in the units of the frames; lower is better.

    Raises:
        MetricError: the shapes differ, or there is no batch axis.
    """
    check_shapes(pred, pred_before, truth, truth_before)
    error = (as_float(pred) - as_float(pred_before)) - (as_float(truth) - as_float(truth_before))
    return mean_where(error.square(), ~(truth.isnan() | truth_before.isnan())).sqrt()
