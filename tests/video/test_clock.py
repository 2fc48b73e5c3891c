"""Continuous times from clocks that jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdsteady.video.clock import Timeline

VIDEO, SOUND = 0, 1


def closed(times, *, restarts=True, length=0.04):
    timeline = Timeline(restarts)
    return [time + timeline.shift(VIDEO, time, length) for time in times]


def at(*seconds):
    return pytest.approx(list(seconds))


def test_a_clock_that_starts_again_goes_on():
    assert closed([5.0, 5.04, 5.08, 0.0, 0.04]) == at(5.0, 5.04, 5.08, 5.12, 5.16)
    assert closed([5.0, 5.04, 0.0, 0.04], restarts=False) == at(5.0, 5.04, 5.08, 5.12)


def test_a_clock_that_wraps_goes_on():
    wrap = 2**33 / 90000
    assert closed([wrap - 0.08, wrap - 0.04, 0.0, 0.04]) == at(wrap - 0.08, wrap - 0.04, wrap, wrap + 0.04)


def test_far_ahead_is_a_jump_where_clocks_may_restart_and_else_a_pause():
    assert closed([0, 0.04, 11, 11.04]) == at(0, 0.04, 0.08, 0.12)
    assert closed([0, 0.04, 9, 9.04]) == at(0, 0.04, 9, 9.04)
    slide = [0, 0.04, 20, 20.04, 7200]
    assert closed(slide, restarts=False) == at(*slide)
    assert closed([0, 0.04, 2e5], restarts=False) == at(0, 0.04, 0.08)


def test_small_steps_back_are_left_alone():
    assert closed([0, 0.04, 0.02, 0.06]) == at(0, 0.04, 0.02, 0.06)
    assert closed([0, 0.04, 0.9, 0.5], restarts=False) == at(0, 0.04, 0.9, 0.5)


def test_a_pause_of_one_stream_is_none_while_the_other_goes_on():
    timeline = Timeline(True)
    timeline.shift(VIDEO, 0, 0.04)
    for number in range(300):
        assert timeline.shift(SOUND, number * 0.1, 0.1) == 0
    assert timeline.shift(VIDEO, 29.9, 0.04) == 0


def test_all_streams_make_the_same_jump():
    timeline = Timeline(True)
    for number in range(25):
        timeline.shift(VIDEO, 1 + number * 0.04, 0.04)
        timeline.shift(SOUND, 1 + number * 0.04, 0.04)
    assert timeline.shift(VIDEO, 0.5, 0.04) == pytest.approx(1.5)
    # A packet from before the jump that comes after it in the file belongs to the old clock.
    assert timeline.shift(SOUND, 2.0, 0.04) == 0
    assert timeline.shift(SOUND, 0.54, 0.04) == pytest.approx(1.5)
    assert timeline.shift(VIDEO, 0.54, 0.04) == pytest.approx(1.5)


@given(
    st.lists(st.tuples(st.integers(2, 20), st.floats(0, 9000)), min_size=1, max_size=6),
    st.booleans(),
)
def test_recordings_end_to_end_have_one_even_clock(parts, restarts):
    """Parts of a recording, each with a clock of its own that starts behind the end of the part before."""
    times, end = [], 10000.0
    for count, start in parts:
        begin = min(start, end - 2.0)
        times += [begin + k * 0.04 for k in range(count)]
        end = times[-1]
    moved = closed(times, restarts=restarts)
    assert moved == at(*(times[0] + k * 0.04 for k in range(len(times))))
