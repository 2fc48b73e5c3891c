"""Which way up a picture is: display matrices, and pictures turned and mirrored by them."""

from dataclasses import replace
from fractions import Fraction
from math import atan2, degrees
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from .frame import VideoInfo

Picture = TypeVar("Picture", bound=npt.NDArray[np.generic])


def orientation(matrix: tuple[int, ...] | None) -> tuple[int, bool]:
    """What a display matrix asks for: whether to mirror left to right, and degrees to turn counter-clockwise after it.

    Args:
        matrix: FFmpeg's nine integers, or None.

    Returns:
        Degrees (0, 90, 180, 270), and whether to mirror first. A degenerate matrix asks for nothing.
    """
    if matrix is None:
        return 0, False
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    area = a * d - b * c
    if area == 0:
        return 0, False
    if area < 0:
        a, b = -a, -b
    return round(-degrees(atan2(b, a)) / 90) % 4 * 90, area < 0


def upright(picture: Picture, info: VideoInfo) -> Picture:
    """A stored picture (H, W, …) as it is to be seen."""
    if info.mirrored:
        picture = cast(Picture, picture[:, ::-1])
    return _whole(np.rot90(picture, info.rotation // 90)) if info.rotation or info.mirrored else picture


def as_stored(picture: Picture, info: VideoInfo) -> Picture:
    """The inverse of `upright`."""
    if not info.rotation and not info.mirrored:
        return picture
    picture = cast(Picture, np.rot90(picture, -(info.rotation // 90)))
    return _whole(picture[:, ::-1] if info.mirrored else picture)


def straightened(info: VideoInfo) -> VideoInfo:
    """The facts of a source whose pictures are stored upright; width and height stay those of the source."""
    if info.display_matrix is None:
        return info
    lies = info.rotation in (90, 270)
    aspect = Fraction(1) / info.pixel_aspect if lies else info.pixel_aspect
    return replace(info, rotation=0, mirrored=False, display_matrix=None, pixel_aspect=aspect)


def _whole(picture: npt.NDArray[np.generic]) -> Picture:  # type: ignore[type-var]
    return cast(Picture, np.ascontiguousarray(picture))
