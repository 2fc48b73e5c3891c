"""Frames of one source at the times of another."""

import re
import warnings
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from holdsteady.video import open_video
from holdsteady.video.pairing import Pairing, mismatch, open_original, since_first, warn_of_mismatch


def numbered(make_clip, name, count, rate, pts=None):
    """A clip whose frames tell their number by their grey."""
    frames = [np.full((32, 48, 3), 40 + 4 * number, np.uint8) for number in range(count)]
    options = {"qp": "0", "preset": "ultrafast"}
    return make_clip(name, frames, time_base=Fraction(1, rate), rate=rate, pts=pts, options=options)


def pairs(one, other, **options):
    """For each frame of `one`, the number of the frame of `other`."""
    part = {"start": None, "duration": None, "deinterlace": False, **options}
    with open_video(one, **options) as reader, open_original(other, reader.info, **part) as originals:
        pairing = Pairing(originals, reader.info)
        found = [pairing.at(since_first(frame, reader.info, number), number) for number, frame in enumerate(reader)]
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


def test_images_have_no_times_and_are_paired_by_number(make_clip, tmp_path):
    video, fewer = numbered(make_clip, "a.mkv", 12, 30), numbered(make_clip, "b.mkv", 12, 10)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(12):
        cv2.imwrite(str(images / f"{number}.png"), np.full((32, 48, 3), 40 + 4 * number, np.uint8))
    for one in (video, fewer):
        assert pairs(one, str(images)) == pairs(str(images), one) == list(range(12))
    # --start counts images at 25 a second.
    assert pairs(video, str(images), start=0.2, duration=0.1) == [6, 7, 8]
    assert pairs(str(images), video, start=0.2, duration=0.12) == [5, 6, 7]
    assert pairs(str(images), str(images), start=0.2, duration=0.12) == [5, 6, 7]
    with open_video(video) as reader, open_video(str(images)) as others, warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_mismatch(reader.info, others.info)
        short = replace(others.info, frames=5)
        with pytest.raises(UserWarning, match=r"has 12 frames, .*images 5: frames are paired by their numbers"):
            warn_of_mismatch(reader.info, short)


@pytest.fixture
def numbered_images(tmp_path):
    """A folder of images as those of `numbered`."""

    def make(count):
        folder = tmp_path / "numbered"
        folder.mkdir()
        for number in range(count):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 48, 3), 40 + 4 * number, np.uint8))
        return str(folder)

    return make


def test_images_are_paired_by_number_with_a_rate_that_varies(make_clip, numbered_images):
    steps = [10] * 15 + [40] * 15
    phone = numbered(make_clip, "a.mp4", 30, 1000, [sum(steps[:number]) for number in range(30)])
    images = numbered_images(30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pairs(images, phone) == pairs(phone, images) == list(range(30))
        assert pairs(phone, images, start=0.2) == list(range(17, 30))
        assert pairs(images, phone, start=0.8) == list(range(20, 30))


def test_a_part_of_images_is_paired_with_a_video_of_another_rate(make_clip, numbered_images):
    fast, images = numbered(make_clip, "a.mkv", 40, 60), numbered_images(40)
    late, early = {"start": 1.2, "duration": 0.2}, {"start": 0.2, "duration": 0.2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pairs(images, fast, **late) == list(range(30, 35)), "by its times the video is over before"
        for one, other, part in ((images, fast, early), (fast, images, early)):
            with open_video(one, **part) as reader:
                originals = open_original(other, reader.info, **part, deinterlace=False)
            with originals:
                warn_of_mismatch(reader.info, originals.info)


def test_another_shape_is_told(carphone):
    with open_video(carphone) as reader:
        whole = replace(reader.info, width=720, height=576, pixel_aspect=Fraction(16, 15), name="a.mkv")

    def said(**facts):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_mismatch(whole, replace(whole, name="b.mkv", **facts))
        return [str(one.message) for one in caught]

    square = Fraction(1)
    assert said(width=1440, height=1152) == []
    assert said(width=360, height=288, pixel_aspect=square) == [], "a tool has lost the shape of pixels"
    assert said(width=768, pixel_aspect=square) == [], "a tool has made them square"
    assert said(width=576, height=720, rotation=90) == []
    assert said(width=720, height=580) == [], "a tool has padded it"
    (other,) = said(width=720, height=480, pixel_aspect=square)
    assert other.startswith("a.mkv is 720x576, but b.mkv is 720x480, which is stretched to it")
    assert len(said(rotation=90)) == 1
