"""What the player shows: one video with the pictures to compare beside each other, so that they can't drift apart."""

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from PIL import Image

from holdsteady.report.pictures import Picture
from holdsteady.video.color import BT709, Tags, from_rgb

_LARGEST, _SMALLEST = 960, 240
# A frame far from a keyframe takes long to get to.
_KEYFRAMES = 12
_LIMITED = 1  # FFmpeg's number


def tile_size(width: int, height: int) -> tuple[int, int]:
    """The even size at which a picture is shown: large ones are shrunk, small ones enlarged by a whole number."""
    factor = min(1.0, _LARGEST / max(width, height))
    if factor == 1 and min(width, height) < _SMALLEST:
        factor = max(1, min(math.ceil(_SMALLEST / min(width, height)), _LARGEST // max(width, height)))
    return max(2, 2 * round(width * factor / 2)), max(2, 2 * round(height * factor / 2))


class Preview:
    """Writes H.264 that browsers play, a frame at a time; a context manager.

    Attributes:
        tile: (width, height) of each picture in it, in pixels; (0, 0) before the first frame.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        # Rates of broken files have denominators that no container holds.
        self._stream = self._container.add_stream("libx264", rate=rate.limit_denominator(1001))
        self._count = 0
        self.tile = (0, 0)

    def add(self, pictures: Mapping[str, Picture]) -> None:
        """Add a frame: pictures RGB (H, W, 3), of one size, from left to right."""
        first = next(iter(pictures.values()))
        if not self._count:
            self.tile = tile_size(first.shape[1], first.shape[0])
            self._open(len(pictures))
        shrinks = self.tile[1] < first.shape[0]
        # Enlarged pixels stay what they are: smoothing here would hide what is to be compared.
        how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
        tiles = [cv2.resize(picture, self.tile, interpolation=how) for picture in pictures.values()]
        tags = Tags(BT709, _LIMITED, False)
        frame = from_rgb(np.concatenate(tiles, axis=1).astype(np.uint8), "yuv420p", tags)
        frame.pts = self._count
        self._container.mux(self._stream.encode(frame))
        self._count += 1

    def _open(self, number: int) -> None:
        stream = self._stream
        stream.width, stream.height = self.tile[0] * number, self.tile[1]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = _KEYFRAMES
        stream.codec_context.time_base = 1 / Fraction(stream.codec_context.framerate)
        stream.codec_context.colorspace, stream.codec_context.color_range = BT709, _LIMITED
        stream.codec_context.color_primaries = stream.codec_context.color_trc = BT709
        stream.options = {"preset": "veryfast", "crf": "17", "bf": "0"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._count:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def save_strip(columns: list[Picture], path: Path) -> None:
    """Columns (H, 3) of frames beside each other, as PNG without a frame around it."""
    Image.fromarray(np.stack(columns, axis=1)).save(path)
