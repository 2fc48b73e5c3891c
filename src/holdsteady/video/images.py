"""Reading image files as a clip of 25 frames per second."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np

from holdsteady.errors import VideoError

from .color import RGB
from .frame import VideoFrame, VideoInfo
from .picture import Picture, profile, read_picture

RATE = Fraction(25)
# By depth and alpha.
_PIX_FMT = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts `f2.png` before `f10.png`."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def image_info(
    name: str,
    first: Picture,
    rate: Fraction,
    frames: int,
    time_base: Fraction,
    *,
    fine_rate: Fraction | None = None,
    end: Fraction | None = None,
    has_times: bool = False,
) -> VideoInfo:
    """The facts of a clip of images, by the first of them."""
    deep = bool(first.pixels.dtype == np.uint16)
    return VideoInfo(
        name=name,
        width=first.pixels.shape[1],
        height=first.pixels.shape[0],
        rate=rate,
        time_base=time_base,
        pixel_aspect=Fraction(1),
        display_matrix=None,
        rotation=0,
        colorspace=RGB,
        color_range=2,
        color_primaries=2,
        color_trc=2,
        pix_fmt=_PIX_FMT[deep, first.alpha is not None],
        bits=16 if deep else 8,
        start_time=Fraction(0),
        frames=frames,
        has_alpha=first.alpha is not None,
        fine_rate=fine_rate,
        end=end,
        has_times=has_times,
    )


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

    skipped = concealed = 0

    def __init__(
        self, name: str, paths: Sequence[Path], start: float | None = None, duration: float | None = None
    ) -> None:
        first = round((start or 0) * RATE)
        end = len(paths) if duration is None else first + max(1, round(duration * RATE))
        self._paths, self._first = list(paths[first:end]), first
        if not self._paths:
            raise VideoError(
                f"{name}: start {start:g} s is beyond the end "
                f"({len(paths)} images, {float(len(paths) / RATE):g} s at {RATE} images per second)"
            )
        picture = read_picture(self._paths[0])
        self._shape, self._dtype = picture.pixels.shape, picture.pixels.dtype
        self.info = image_info(name, picture, RATE, len(self._paths), 1 / RATE)
        colours = profile(self._paths[0])
        if colours is not None:
            self.info = replace(
                self.info, unkept=(f"the colour profile {colours}, by which its colours look different",)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing stays open between images."""

    def __iter__(self) -> Iterator[VideoFrame]:
        warned = False
        for number, path in enumerate(self._paths, self._first):
            pixels, alpha = read_picture(path)
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
            if alpha is not None and not self.info.has_alpha:
                if not warned:
                    warnings.warn(f"{path}: its alpha is left out, for {self._paths[0].name} has none", stacklevel=2)
                warned, alpha = True, None
            elif alpha is None and self.info.has_alpha:
                alpha = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
            yield VideoFrame(pixels, number, self.info.time_base, alpha, path.stem)
