"""Display matrices, and pictures turned and mirrored by them."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from holdsteady.video import VideoInfo
from holdsteady.video.orientation import as_stored, orientation, straightened, upright

ONE = 1 << 16
# For each EXIF orientation 1 to 8: where the stored x and y axes point to on the screen (x to the right, y down), and
# the picture [[1, 2], [3, 4]] as it is seen.
CASES = [
    ((1, 0), (0, 1), [[1, 2], [3, 4]]),
    ((-1, 0), (0, 1), [[2, 1], [4, 3]]),
    ((-1, 0), (0, -1), [[4, 3], [2, 1]]),
    ((1, 0), (0, -1), [[3, 4], [1, 2]]),
    ((0, 1), (1, 0), [[1, 3], [2, 4]]),
    ((0, 1), (-1, 0), [[3, 1], [4, 2]]),
    ((0, -1), (-1, 0), [[4, 2], [3, 1]]),
    ((0, -1), (1, 0), [[2, 4], [1, 3]]),
]


def info(matrix: tuple[int, ...] | None) -> VideoInfo:
    rotation, mirrored = orientation(matrix)
    return VideoInfo(
        name="a", width=2, height=2, rate=Fraction(25), time_base=Fraction(1, 25), pixel_aspect=Fraction(4, 3),
        display_matrix=matrix, rotation=rotation, mirrored=mirrored, colorspace=2, color_range=0, color_primaries=2,
        color_trc=2, pix_fmt="yuv420p", bits=8, start_time=Fraction(0), frames=None,
    )  # fmt: skip


@pytest.mark.parametrize(("right", "down", "seen"), CASES)
def test_every_orientation_is_seen_as_its_matrix_says(right, down, seen):
    matrix = (right[0] * ONE, right[1] * ONE, 0, down[0] * ONE, down[1] * ONE, 0, 0, 0, 1 << 30)
    facts = info(matrix)
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(upright(picture, facts), seen)
    colours = np.arange(18, dtype=np.uint16).reshape(2, 3, 3)
    np.testing.assert_array_equal(as_stored(upright(colours, facts), facts), colours)
    assert upright(colours, facts).flags.c_contiguous


def test_aspect_of_a_picture_that_is_stored_upright():
    lying = info((0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30))
    assert straightened(lying) == dataclasses.replace(
        lying, rotation=0, display_matrix=None, pixel_aspect=Fraction(3, 4)
    )
    mirrored = straightened(info((-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)))
    assert (mirrored.pixel_aspect, mirrored.mirrored, mirrored.display_matrix) == (Fraction(4, 3), False, None)
    assert orientation((0,) * 9) == orientation(None) == (0, False)
