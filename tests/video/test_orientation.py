"""Display matrices, and pictures turned and mirrored by them."""

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest

from holdsteady.video import VideoInfo, open_video, run, upright_tensors
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


QUARTERS = {1: (250, 20, 20), 2: (20, 250, 20), 3: (20, 20, 250), 4: (250, 250, 250)}


def quarters(picture):
    """The numbers of the colours in the four quarters of an RGB picture (H, W, 3) of 0 to 255."""
    height, width = picture.shape[:2]
    colours = np.array(list(QUARTERS.values()))
    return [
        [
            1 + int(np.abs(colours - picture[height * y // 4, width * x // 4].astype(int)).sum(axis=1).argmin())
            for x in (1, 3)
        ]
        for y in (1, 3)
    ]


@pytest.mark.parametrize(("right", "down", "seen"), CASES)
def test_pictures_leave_a_file_as_they_are_seen(tmp_path, right, down, seen):
    source = str(tmp_path / "a.mp4")
    # Display matrices move the picture back into view.
    size = np.array([64, 48])
    corners = np.outer([0, 64, 0, 64], right) + np.outer([0, 0, 48, 48], down)
    back = -corners.min(axis=0)
    matrix = [
        right[0] * ONE,
        right[1] * ONE,
        0,
        down[0] * ONE,
        down[1] * ONE,
        0,
        *(int(v) * ONE for v in back),
        1 << 30,
    ]
    pixels = np.zeros((48, 64, 3), np.uint8)
    for number, colour in QUARTERS.items():
        y, x = divmod(number - 1, 2)
        pixels[24 * y : 24 * y + 24, 32 * x : 32 * x + 32] = colour
    with av.open(source, "w") as container:
        stream = container.add_stream("libx264", rate=25, width=int(size[0]), height=int(size[1]))
        stream.pix_fmt = "yuv420p"
        stream.set_display_matrix(matrix)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    with open_video(source) as reader:
        (tensor,) = upright_tensors(reader)
    assert quarters(tensor[0].permute(1, 2, 0).numpy() * 255) == seen
    for name in ("frames", "b.mp4", "b.mkv", "b.avi"):
        given = []

        def step(frame, given=given):
            given.append(frame[0].permute(1, 2, 0).numpy() * 255)
            return frame

        run(source, str(tmp_path / name), step, on_cut=lambda: None)
        assert quarters(given[0]) == seen
        with open_video(str(tmp_path / name)) as reader:
            (frame,) = reader
        assert quarters(upright(frame.pixels, reader.info)) == seen, name
        if name in ("frames", "b.avi"):
            assert (reader.info.rotation, reader.info.mirrored) == (0, False)
