"""Depth metrics against NumPy's least squares and loops over pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holdsteady.errors import MetricError
from holdsteady.metrics import Affine, abs_rel, affine_fit, delta_accuracy, depth_drift, fit_affine, instability_rms


def depth_maps(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Related prediction and truth (2, 6, 7), the truth positive and with holes."""
    generator = torch.Generator().manual_seed(seed)
    truth = 1 + 5 * torch.rand(2, 6, 7, generator=generator)
    prediction = 0.3 * truth - 2 + 0.2 * torch.randn(2, 6, 7, generator=generator)
    holes = torch.rand(2, 6, 7, generator=generator) < 0.2
    return prediction, truth.masked_fill(holes, torch.nan)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_fit_and_scores_match_a_least_squares_solver(seed: int) -> None:
    prediction, truth = depth_maps(seed)
    fitted = fit_affine(prediction, truth)
    rel, delta = abs_rel(prediction, truth), delta_accuracy(prediction, truth)
    for b in range(2):
        known = ~truth[b].isnan()
        p, y = (m[b][known].double().numpy() for m in (prediction, truth))
        (a, c), *_ = np.linalg.lstsq(np.stack([p, np.ones_like(p)], axis=1), y, rcond=None)
        torch.testing.assert_close(fitted[b], (a * prediction[b] + c).float(), rtol=1e-4, atol=1e-4)
        errors, hits = [], []
        for d, t in zip(a * p + c, y, strict=True):
            errors.append(abs(d - t) / t)
            hits.append(d > 0 and max(d / t, t / d) < 1.25)
        assert rel[b].item() == pytest.approx(np.mean(errors), rel=1e-3)
        assert delta[b].item() == pytest.approx(np.mean(hits), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_shift_of_the_prediction_do_not_matter(seed: int, scale: float, shift: float) -> None:
    prediction, truth = depth_maps(seed)
    torch.testing.assert_close(
        fit_affine(scale * prediction + shift, truth), fit_affine(prediction, truth), rtol=1e-3, atol=1e-3
    )


def test_an_affine_copy_of_the_truth_is_perfect() -> None:
    _, truth = depth_maps(0)
    prediction = torch.where(truth.isnan(), 3.0, 0.01 * truth + 7)
    torch.testing.assert_close(abs_rel(prediction, truth), torch.zeros(2), atol=1e-3, rtol=0)
    assert delta_accuracy(prediction, truth).eq(1).all()


def test_shrinking_the_output_does_not_look_steady_after_the_fit() -> None:
    truth = 1 + torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    noise = 0.1 * torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(2))

    def steadiness(scale: float) -> float:
        now, before = (fit_affine(scale * (y + e), y) for y, e in zip(truth, noise, strict=True))
        return instability_rms(now, before).item()

    assert steadiness(0.01) == pytest.approx(steadiness(1.0), rel=1e-3)


def test_constant_prediction_becomes_the_mean_of_the_truth() -> None:
    _, truth = depth_maps(1)
    fitted = fit_affine(torch.full_like(truth, 0.1), truth)
    expected = truth.flatten(1).nanmean(dim=1)[:, None, None].expand_as(truth)
    torch.testing.assert_close(fitted, expected)


def test_frames_without_truth_give_nan_and_missing_predictions_the_worst_score() -> None:
    prediction, truth = depth_maps(2)
    truth[0] = torch.nan
    assert abs_rel(prediction, truth)[0].isnan()
    fit = affine_fit(prediction, truth)
    assert fit.scale.isnan().tolist() == fit.shift.isnan().tolist() == [True] + [False] * (len(truth) - 1)
    assert delta_accuracy(prediction, truth)[0].isnan()
    known = (~truth[1].isnan()).nonzero()
    whole = delta_accuracy(prediction, truth)[1]
    prediction[1] = torch.nan
    prediction[1, *known[0]] = 1.0
    assert abs_rel(prediction, truth)[1] == torch.inf
    assert delta_accuracy(prediction, truth)[1] <= 1 / len(known) < whole


def test_a_hole_in_the_prediction_does_not_spoil_the_fit_of_the_rest() -> None:
    prediction, truth = depth_maps(3)
    holed, masked = prediction.clone(), truth.clone()
    holed[:, 2, :3] = torch.nan
    masked[:, 2, :3] = torch.nan
    rest = ~holed.isnan()
    torch.testing.assert_close(fit_affine(holed, truth)[rest], fit_affine(prediction, masked)[rest])


def test_shapes_must_match() -> None:
    with pytest.raises(MetricError, match="one shape"):
        abs_rel(torch.zeros(1, 4, 4), torch.zeros(1, 4, 5))


def drifting(scales: list[float], shifts: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip (1, T, 6, 7) whose outputs become the truth by these scales and shifts."""
    truth = torch.stack([depth_maps(seed)[1][0] for seed in range(len(scales))])[None]
    s, t = (torch.tensor(values).view(1, -1, 1, 1) for values in (scales, shifts))
    return torch.where(truth.isnan(), 0.5, (truth - t) / s), truth


def test_a_clip_gets_one_fit_from_all_of_its_frames() -> None:
    prediction, truth = drifting([2.0, 2.5, 3.0], [0.0, 1.0, 0.0])
    fit = affine_fit(prediction, truth)
    known = ~truth.isnan()
    p, y = (x[known].double().numpy() for x in (prediction, truth))
    (scale, shift), *_ = np.linalg.lstsq(np.stack([p, np.ones_like(p)], axis=1), y, rcond=None)
    assert (fit.scale.item(), fit.shift.item()) == pytest.approx((scale, shift), rel=1e-6)
    assert abs_rel(prediction, truth).item() == pytest.approx(np.mean(abs(scale * p + shift - y) / y), rel=1e-5)


def test_one_fit_a_frame_hides_a_drift_that_one_a_clip_shows() -> None:
    prediction, truth = drifting([2.0, 2.5, 3.0, 4.0], [0.0, 1.0, 0.0, 0.5])
    each = abs_rel(prediction[0], truth[0])
    torch.testing.assert_close(each, torch.zeros(4), atol=1e-5, rtol=0)
    assert abs_rel(prediction, truth).item() > 0.05
    assert delta_accuracy(prediction[0], truth[0]).eq(1).all()
    assert delta_accuracy(prediction, truth).item() < 1


def test_drift_is_the_deviation_of_the_fits() -> None:
    scales, shifts = [2.0, 2.5, 3.0, 4.0], [0.0, 1.0, 0.0, 0.5]
    prediction, truth = drifting(scales, shifts)
    scale, shift = depth_drift(affine_fit(prediction[0], truth[0]), torch.tensor(2.0))
    assert scale.item() == pytest.approx(np.std(np.log(scales)), rel=1e-4)
    assert shift.item() == pytest.approx(np.std(shifts) / 2, rel=1e-4)
    still = depth_drift(Affine(torch.tensor([3.0, 3.0, torch.nan]), torch.tensor([1.0, 1.0, torch.nan])), shift)
    assert [value.item() for value in still] == [0, 0]
    assert depth_drift(Affine(torch.tensor([1.0, 0.0]), torch.zeros(2)), shift)[0].isinf()


def test_disparities_are_fitted_to_the_inverse() -> None:
    _, truth = depth_maps(0)
    disparity = torch.where(truth.isnan(), 0.1, 4 / truth + 3)
    torch.testing.assert_close(abs_rel(disparity, truth, disparity=True), torch.zeros(2), atol=1e-5, rtol=0)
    assert (abs_rel(disparity, truth) > 0.05).all()
    # What would be behind infinity is as far as the farthest truth.
    disparity[0, 0, 0], truth[0, 0, 0] = -100.0, torch.nan
    depth = fit_affine(disparity, truth, disparity=True)
    assert depth[0, 0, 0].item() == pytest.approx(truth[0].nan_to_num(0).max().item(), rel=1e-4)
