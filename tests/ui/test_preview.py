"""The video that the player shows."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from holdsteady.ui.preview import Preview, save_strip, tile_size
from holdsteady.video import open_video


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((1920, 1080), (960, 540)),
        ((1080, 1920), (540, 960)),
        ((640, 360), (640, 360)),
        ((641, 361), (640, 360)),
        ((176, 144), (352, 288)),
        ((90, 1600), (54, 960)),
        ((8, 8), (240, 240)),
        ((3840, 2), (960, 2)),
    ],
)
def test_tiles_are_even_and_small_ones_grow_by_whole_numbers(size: tuple[int, int], tile: tuple[int, int]) -> None:
    assert tile_size(*size) == tile


def test_pictures_lie_beside_each_other_and_any_frame_is_near_a_keyframe(tmp_path: Path) -> None:
    path = tmp_path / "preview.mp4"
    grey = [np.full((120, 160, 3), value, np.uint8) for value in (40, 120, 200)]
    with Preview(path, Fraction(30000, 1001)) as preview:
        for number in range(30):
            preview.add({"a": grey[0], "b": grey[1], "c": grey[2] if number < 15 else grey[0]})
    width, height = preview.tile
    assert (width, height) == (320, 240)
    with open_video(str(path)) as reader:
        frames = [frame.pixels for frame in reader]
        assert (len(frames), reader.info.rate, reader.info.width) == (30, Fraction(30000, 1001), 3 * width)
    for number, third in ((14, 200), (15, 40)):
        middles = [frames[number][120, at * width + 160].tolist() for at in range(3)]
        np.testing.assert_allclose(middles, [[40] * 3, [120] * 3, [third] * 3], atol=3)
    with av.open(str(path)) as container:
        keys = [at for at, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    assert max(np.diff(keys)) <= 12
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it can be played before it is loaded whole"


def test_strips_have_a_column_for_each_frame(tmp_path: Path) -> None:
    from PIL import Image

    columns = [np.full((50, 3), value, np.uint8) for value in (0, 100, 200)]
    save_strip(columns, tmp_path / "slice.png")
    pixels = np.asarray(Image.open(tmp_path / "slice.png"))
    assert pixels.shape == (50, 3, 3)
    assert pixels[0, :, 0].tolist() == [0, 100, 200]
