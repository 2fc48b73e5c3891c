"""Reading the pages of one image file as a clip: animated WebP, multi-page TIFF."""

import math
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from PIL import Image, ImageOps

from holdsteady.errors import VideoError

from .describe import MOST_SLOTS
from .frame import VideoFrame, VideoInfo
from .images import RATE, image_info
from .picture import Picture, bits, from_opencv, from_pillow, has_more, page_numbers

_MILLISECOND = Fraction(1, 1000)


def page_format(path: Path) -> str | None:
    """WEBP, TIFF or PNG for a file with several pictures of these formats, None for all else."""
    try:
        with Image.open(path) as image:
            return image.format if has_more(image) else None
    except Exception:  # no image, or a damaged one
        return None


class AnimationReader:
    """The pictures of one file with their times, or 25 a second where the format has none.

    Args:
        name: The source as the user gave it.
        path: The file.
        start, duration: Seconds to skip and to keep.

    Raises:
        VideoError: Nothing is left after `start`. While iterating: a page can't be decoded, or has another size or
            depth than the first.
    """

    skipped = concealed = 0

    def __init__(self, name: str, path: Path, start: float | None, duration: float | None) -> None:
        self._name, self._path = name, path
        self._image = Image.open(path)
        self._data = np.memmap(path, np.uint8, "r")
        begin = Fraction(start or 0).limit_denominator(10**6)  # 0.2 as 1/5
        times = [(page, time) for page, time in self._times() if time >= begin]
        if duration is not None:
            times = [(page, time) for page, time in times if time < begin + Fraction(duration).limit_denominator(10**6)]
        if not times:
            why = "it is shorter than that" if duration is None else f"or none begins within {duration:g} s"
            raise VideoError(f"{name}: has no picture after {start or 0:g} s; {why}")
        self._selected = times
        self._first = self._read(times[0][0])
        self.info: VideoInfo = image_info(
            name,
            self._first,
            self._rate,
            len(times),
            self._base,
            fine_rate=self._fine_rate,
            end=self._end,
            has_times=self._image.format != "TIFF",
        )

    @property
    def times(self) -> list[Fraction]:
        """Seconds at which the pictures are shown."""
        return [time for _, time in self._selected]

    def _times(self) -> list[tuple[int, Fraction]]:
        """Every page and its time in seconds; sets the rates, the time base and the end too."""
        self._base, self._rate = 1 / RATE, RATE
        self._fine_rate: Fraction | None = None
        self._end: Fraction | None = None
        pages = page_numbers(self._image, self._name)
        if self._image.format == "TIFF":
            return [(page, number / RATE) for number, page in enumerate(pages)]
        self._base = _MILLISECOND
        times: list[tuple[int, Fraction]] = []
        end = step = 0
        for page in pages:
            try:
                self._image.seek(page)
                self._image.load()
            except Exception as error:  # whatever Pillow makes of damaged ones
                if not times:
                    raise VideoError(f"{self._name}: picture {page} can't be decoded: {error}") from error
                warnings.warn(f"{self._name}: ends at picture {page}, which can't be decoded: {error}", stacklevel=2)
                break
            times.append((page, end * _MILLISECOND))
            length = int(self._image.info.get("duration", 0)) or 100
            end, step = end + length, math.gcd(step, length)
        self._end = end * _MILLISECOND
        if 1 / (step * _MILLISECOND) <= MOST_SLOTS:
            self._fine_rate = 1 / (step * _MILLISECOND)
        self._rate = (len(times) / (end * _MILLISECOND)).limit_denominator(1001)
        return times

    def _read(self, page: int) -> Picture:
        try:
            self._image.seek(page)
            if bits(self._image) <= 8:
                return from_pillow(ImageOps.exif_transpose(self._image))
            done, found = cv2.imdecodemulti(self._data, cv2.IMREAD_UNCHANGED, range=(page, page + 1))
        except Exception as error:  # whatever Pillow and OpenCV make of damaged ones
            raise VideoError(f"{self._name}: picture {page} can't be decoded: {error}") from error
        if not done or len(found) != 1:
            raise VideoError(f"{self._name}: picture {page} can't be decoded")
        return from_opencv(found[0], self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._image.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        for page, time in self._selected:
            picture = self._read(page)
            if picture.pixels.shape != self._first.pixels.shape or picture.pixels.dtype != self._first.pixels.dtype:
                raise VideoError(
                    f"{self._name}: picture {page} has another size or depth than the first; split the file there"
                )
            alpha = picture.alpha if self.info.has_alpha else None
            yield VideoFrame(picture.pixels, round(time / self._base), self._base, alpha)
