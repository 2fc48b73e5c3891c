"""Pictures in another size, and two of them in one."""

from typing import Any, cast

import cv2
import numpy as np

from .orientation import Picture


def resized(picture: Picture, height: int, width: int) -> Picture:
    """A picture (H, W) or (H, W, 3) in another size: of averages where it shrinks, bicubic where it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    way = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_CUBIC
    return cast(Picture, cv2.resize(cast(Any, picture), (width, height), interpolation=way))


def beside(left: Picture, right: Picture) -> Picture:
    """Two pictures in one: `left`, resized to the size of `right` (h, w) or (h, w, 3), and it: twice as wide."""
    return cast(Picture, np.concatenate([resized(left, *right.shape[:2]), right], axis=1))
