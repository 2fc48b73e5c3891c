"""Clip means, and S and R of the theory, against loops over frames."""

import pytest
import torch

from holdsteady.errors import MetricError
from holdsteady.metrics import flicker_error, instability, instability_rms, over_clip, robustness, stability


def clip(seed: int, length: int = 5) -> torch.Tensor:
    return torch.rand(2, length, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_over_clip_is_the_mean_over_consecutive_pairs() -> None:
    pred, truth = clip(0), clip(1)
    expected = sum(flicker_error(pred[:, t], pred[:, t - 1], truth[:, t], truth[:, t - 1]) for t in range(1, 5)) / 4
    torch.testing.assert_close(over_clip(flicker_error, pred, truth), expected)


def test_over_clip_leaves_out_pairs_without_a_value() -> None:
    pred = clip(2)
    pred[0, 4] = torch.nan
    result = over_clip(instability, pred)
    torch.testing.assert_close(result[0], over_clip(instability, pred[:, :4])[0])
    torch.testing.assert_close(result[1], over_clip(instability, pred[1:])[0])


def test_stability_and_robustness_are_negated_sums() -> None:
    pred, truth = clip(3), clip(4)
    by_hand = torch.zeros(2)
    for b in range(2):
        for t in range(1, 5):
            by_hand[b] -= (pred[b, t] - pred[b, t - 1]).norm()
    torch.testing.assert_close(stability(instability, pred), by_hand)
    by_hand = torch.zeros(2)
    for b in range(2):
        for t in range(5):
            by_hand[b] -= (pred[b, t] - truth[b, t]).square().mean().sqrt()
    torch.testing.assert_close(robustness(instability_rms, pred, truth), by_hand)


def test_the_best_of_both_is_zero() -> None:
    truth = clip(5)
    assert robustness(instability, truth, truth).eq(0).all()
    assert stability(instability, truth[:, :1].expand(-1, 5, -1, -1, -1)).eq(0).all()


def test_clips_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(MetricError, match="1 frames along axis 1"):
        over_clip(instability, clip(0, length=1))
    with pytest.raises(MetricError, match="same B and T"):
        over_clip(flicker_error, clip(0), clip(0, length=4))
    with pytest.raises(MetricError, match="got none"):
        over_clip(flicker_error)
    with pytest.raises(MetricError, match="same B and T"):
        stability(instability, torch.zeros(3))
