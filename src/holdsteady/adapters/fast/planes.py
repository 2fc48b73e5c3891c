"""Means and resizing of float32 maps without gradients: OpenCV, a plane at a time.

Torch pools by looking at every value of every window, and resizes a fifth as fast.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def shrink(value: Tensor, scale: int) -> Tensor:
    """As ``means.shrink``; what is left at the right and at the bottom is pooled."""
    if scale == 1:
        return value
    height, width = (side // scale for side in value.shape[2:])
    if not height or not width:
        return _pooled(value, scale)
    import cv2

    inner = value[:, :, : scale * height, : scale * width]
    small = _each_plane(inner, (height, width), lambda a, b: cv2.resize(a, b.shape[::-1], b, 0, 0, cv2.INTER_AREA))
    if value.shape[3] > scale * width:
        small = torch.cat((small, _pooled(value[:, :, : scale * height, scale * width :], scale)), dim=3)
    if value.shape[2] > scale * height:
        small = torch.cat((small, _pooled(value[:, :, scale * height :], scale)), dim=2)
    return small


def _pooled(value: Tensor, scale: int) -> Tensor:
    return F.avg_pool2d(value, scale, ceil_mode=True, count_include_pad=False)


def enlarge(value: Tensor, size: tuple[int, int]) -> Tensor:
    """As ``means.enlarge``."""
    import cv2

    if value.shape[-2:] == size:
        return value
    return _each_plane(value, size, lambda a, b: cv2.resize(a, b.shape[::-1], b, 0, 0, cv2.INTER_LINEAR))


def box_mean(value: Tensor, side: int = 5) -> Tensor:
    """As ``means.box_mean``: running sums."""
    import cv2

    height, width = (value.new_tensor(neighbours(size, side)) for size in value.shape[2:])
    weight = (1 / (height[:, None] * width)).numpy()

    def mean(plane: np.ndarray, out: np.ndarray) -> None:
        cv2.boxFilter(plane, -1, (side, side), out, normalize=False, borderType=cv2.BORDER_CONSTANT)
        out *= weight

    return _each_plane(value, (value.shape[2], value.shape[3]), mean)


def neighbours(size: int, side: int) -> Sequence[float]:
    """How many of the ``side`` places around each one are inside."""
    around = side // 2
    return [min(place, around) + min(size - 1 - place, around) + 1 for place in range(size)]


def energy(value: Tensor) -> Tensor:
    """As ``means.energy``, without the squares of all channels side by side."""
    total = value[:, :1].square()
    for channel in value.unbind(1)[1:]:
        total.addcmul_(channel.unsqueeze(1), channel.unsqueeze(1))
    return total.div_(value.shape[1])


def _each_plane(value: Tensor, size: tuple[int, int], work: Callable[[np.ndarray, np.ndarray], object]) -> Tensor:
    """A map (B, C, H, W), made by a function that fills planes of a size, given planes."""
    result = value.new_empty((*value.shape[:2], *size))
    planes = value.detach().contiguous().flatten(0, 1).numpy()
    for plane, out in zip(planes, result.flatten(0, 1).numpy(), strict=True):
        work(plane, out)
    return result
