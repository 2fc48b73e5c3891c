"""Reading a folder or a glob of images as a clip of 25 frames per second."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import cv2
import numpy as np

from holdsteady.errors import VideoError

from .color import RGB
from .frame import Pixels, VideoFrame, VideoInfo

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
RATE = Fraction(25)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts `f2.png` before `f10.png`."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


class ImageReader:
    """Frames from image files of one size and depth.

    Args:
        name: The source as the user gave it.
        paths: The files, in order.
        start, duration: Seconds to skip and to keep, at 25 frames per second.

    Raises:
        VideoError: No file is left after `start`, or the first can't be read. While iterating: a
            file can't be read or differs from the first in size or depth.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], start: float | None = None, duration: float | None = None
    ) -> None:
        first = round((start or 0) * RATE)
        end = len(paths) if duration is None else first + max(1, round(duration * RATE))
        self._paths = list(paths[first:end])
        if not self._paths:
            raise VideoError(
                f"{name}: start {start:g} s is beyond the end "
                f"({len(paths)} images, {float(len(paths) / RATE):g} s at {RATE} images per second)"
            )
        pixels = _read(self._paths[0])
        self._shape, self._dtype = pixels.shape, pixels.dtype
        deep = pixels.dtype == np.uint16
        self.info = VideoInfo(
            name=name,
            width=pixels.shape[1],
            height=pixels.shape[0],
            rate=RATE,
            time_base=1 / RATE,
            pixel_aspect=Fraction(1),
            display_matrix=None,
            rotation=0,
            colorspace=RGB,
            color_range=2,
            color_primaries=2,
            color_trc=2,
            pix_fmt="rgb48le" if deep else "rgb24",
            bits=16 if deep else 8,
            start_time=Fraction(0),
            frames=len(self._paths),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing stays open between images."""

    def __iter__(self) -> Iterator[VideoFrame]:
        for number, path in enumerate(self._paths):
            pixels = _read(path)
            if pixels.shape != self._shape:
                raise VideoError(
                    f"{path}: size {pixels.shape[1]}x{pixels.shape[0]} differs from "
                    f"{self.info.width}x{self.info.height} of {self._paths[0].name}; "
                    f"all images of a clip need one size"
                )
            if pixels.dtype != self._dtype:
                raise VideoError(
                    f"{path}: {pixels.dtype.itemsize * 8} bits per component, but {self._paths[0].name} "
                    f"has {self.info.bits}; all images of a clip need one depth"
                )
            yield VideoFrame(pixels, number, self.info.time_base)


def _read(path: Path) -> Pixels:
    """RGB (H, W, 3) uint8 or uint16 of an image file; alpha is dropped, EXIF orientation applied."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise VideoError(f"{path}: can't be read: {error.strerror}") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
    except cv2.error as error:
        raise VideoError(f"{path}: can't be decoded as an image: {error.err}") from error
    if image is None:
        raise VideoError(f"{path}: not an image that can be decoded ({data.size} bytes)")
    if image.dtype not in (np.uint8, np.uint16):
        raise VideoError(f"{path}: images of {image.dtype} are not supported; use 8 or 16 bits per component")
    return cast(Pixels, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
