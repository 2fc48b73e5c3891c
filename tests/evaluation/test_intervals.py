"""Bootstrap intervals against what is known of means."""

import numpy as np
import pytest

from holdsteady.evaluation.intervals import bootstrap_interval


def test_it_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_interval([random.normal(2.0, 1.0, 200)], seed=trial)
        covered += low <= 2.0 <= high
    # 95 % of 200, less what 20 blocks a clip cost.
    assert covered >= 175


def test_neighbours_that_are_alike_widen_it() -> None:
    random = np.random.default_rng(2)
    loose = random.normal(size=400)
    alike = np.repeat(random.normal(size=40), 10)
    narrow, wide = (np.diff(bootstrap_interval([series]))[0] for series in (loose, alike))
    assert wide > 2 * narrow


def test_a_constant_has_no_width() -> None:
    assert bootstrap_interval([[3.0] * 30, [3.0] * 7]) == pytest.approx((3.0, 3.0))


def test_the_spread_between_clips_counts_from_three_on() -> None:
    clips = [[1.0] * 20, [2.0] * 20, [3.0] * 20]
    low, high = bootstrap_interval(clips)
    assert low < 1.5 and high > 2.5
    assert bootstrap_interval(clips[:2]) == pytest.approx((1.5, 1.5))


def test_what_was_not_measured_is_left_out() -> None:
    assert bootstrap_interval([[np.nan, 4.0, 4.0], [np.nan] * 3]) == pytest.approx((4.0, 4.0))
    assert np.isnan(bootstrap_interval([[np.nan]])).all()


def test_short_clips_have_a_width() -> None:
    low, high = bootstrap_interval([[1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0]])
    assert high - low > 1
