"""Frames of one source at the times of another."""

import re
from fractions import Fraction

import numpy as np
import pytest

from holdsteady.video import open_video
from holdsteady.video.pairing import Pairing, mismatch, since_first


def numbered(make_clip, name, count, rate, pts=None):
    """A clip whose frames tell their number by their grey."""
    frames = [np.full((32, 48, 3), 40 + 4 * number, np.uint8) for number in range(count)]
    options = {"qp": "0", "preset": "ultrafast"}
    return make_clip(name, frames, time_base=Fraction(1, rate), rate=rate, pts=pts, options=options)


def pairs(one, other, **options):
    """For each frame of `one`, the number of the frame of `other`."""
    with open_video(one, **options) as reader, open_video(other, **options) as originals:
        pairing = Pairing(originals)
        found = [pairing.at(since_first(frame, reader.info, number)) for number, frame in enumerate(reader)]
    return [None if frame is None else round((int(frame.pixels[16, 24, 0]) - 40) / 4) for frame in found]


def test_another_rate_is_paired_by_time(make_clip):
    slow, fast = numbered(make_clip, "a.mkv", 10, 25), numbered(make_clip, "b.mkv", 20, 50)
    assert pairs(slow, fast) == list(range(0, 20, 2))
    assert pairs(fast, slow) == [number // 2 for number in range(20)]  # the earlier of two equally near
    assert pairs(slow, slow) == list(range(10))
    assert pairs(slow, fast, start=0.2) == list(range(10, 20, 2))


def test_rates_that_vary_are_paired_by_time(make_clip):
    pts = [0, 2, 3, 7, 9]
    phone, even = numbered(make_clip, "a.mkv", 5, 25, pts), numbered(make_clip, "b.mkv", 10, 25)
    assert pairs(phone, even) == pts
    assert pairs(even, phone) == [0, 0, 1, 2, 2, 2, 3, 3, 3, 4]


def test_a_shorter_source_ends(make_clip):
    long, short = numbered(make_clip, "a.mkv", 10, 25), numbered(make_clip, "b.mkv", 5, 25)
    assert pairs(long, short) == [0, 1, 2, 3, 4, 4, 4, None, None, None]
    assert pairs(short, long) == list(range(5))


def test_mismatch_is_told(make_clip, carphone):
    def info(path):
        with open_video(path) as reader:
            return reader.info

    a, b, c = (info(numbered(make_clip, *clip)) for clip in (("a.mkv", 10, 25), ("b.mkv", 20, 50), ("c.mkv", 20, 25)))
    assert mismatch(a, a) is None
    assert re.search(r"a\.mkv has 25 frames per second, .*b\.mkv 50$", mismatch(a, b))
    assert "takes 0.4 s" in mismatch(a, c)
    assert "0.8 s" in mismatch(a, c)
    assert mismatch(info(carphone), info(carphone)) is None


def test_sources_that_begin_late(make_clip):
    late = numbered(make_clip, "a.mkv", 5, 25, [75 + number for number in range(5)])
    assert pairs(late, numbered(make_clip, "b.mkv", 5, 25)) == pytest.approx([0, 1, 2, 3, 4])
