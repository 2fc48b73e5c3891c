"""A picture as it is measured: of one size for all videos, in octaves of detail and the light of small cells."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from holdsteady.errors import extra

with extra("cv", "looking for flicker"):
    import cv2

Array: TypeAlias = npt.NDArray[np.float32]

#: The shorter side of a picture as it is measured: a video and a smaller copy of it get about the same figures.
SIDE = 288
#: Sides of the cells whose light is followed, in pixels as measured.
CELL = 16
# Between two of these standard deviations lies an octave of detail. What is finer than the first can't be followed
# along a motion of parts of a pixel; what is coarser than the last is light.
_SIGMAS = (0.7, 1.4, 2.8, 5.6)
OCTAVES = len(_SIGMAS) - 1


@dataclass(frozen=True)
class Bands:
    """A picture (H, W, 3) in [0, 1], split.

    Attributes:
        picture: as measured.
        light: what is wide in it, a Gaussian of 5.6 pixels.
        detail: octaves of detail, the finest first.
    """

    picture: Array
    light: Array
    detail: tuple[Array, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.shape[0], self.picture.shape[1]


def split(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], size: tuple[int, int] | None = None) -> Bands:
    """RGB (H, W, 3) of 8 or 16 bits, shrunk to what is measured or brought to a size (h, w), and split."""
    height, width = pixels.shape[:2]
    if size is None:
        scale = min(1.0, SIDE / min(height, width))
        size = max(2, round(height * scale)), max(2, round(width * scale))
    picture: Array = pixels.astype(np.float32) / np.float32(255 if pixels.dtype == np.uint8 else 65535)
    if size != (height, width):
        way = cv2.INTER_AREA if size[0] < height else cv2.INTER_CUBIC
        picture = cast(Array, cv2.resize(picture, (size[1], size[0]), interpolation=way))
    blurred = [blur(picture, sigma) for sigma in _SIGMAS]
    detail = tuple(fine - coarse for fine, coarse in pairwise(blurred))
    return Bands(picture, blurred[-1], detail)


def blur(picture: Array, sigma: float) -> Array:
    """A Gaussian of a standard deviation in pixels, (H, W) or (H, W, C)."""
    return cast(Array, cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def in_cells(values: Array) -> Array:
    """Means over cells of about 16 pixels, (H, W) or (H, W, C)."""
    height, width = (max(1, round(side / CELL)) for side in values.shape[:2])
    return cast(Array, cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA))


def moved(values: Array, flow: Array) -> Array:
    """Values (H, W, C) brought to the present along a flow (H, W, 2) in pixels, bicubic."""
    y, x = np.mgrid[0 : values.shape[0], 0 : values.shape[1]].astype(np.float32)
    place = x + flow[..., 0], y + flow[..., 1]
    return cast(Array, cv2.remap(values, *place, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
