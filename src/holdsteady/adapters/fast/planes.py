"""Means and resizing of float32 maps without gradients: OpenCV, a plane at a time.

Torch pools by looking at every value of every window, and resizes a fifth as fast.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow import opencv
from holdsteady.flow.opencv import planes_of


def shrink(value: Tensor, scale: int) -> Tensor:
    """As ``means.shrink``; what is left at the right and at the bottom is pooled."""
    if scale == 1:
        return value
    height, width = (side // scale for side in value.shape[2:])
    if not height or not width:
        return _pooled(value, scale)
    import cv2

    small, left = value[:, :, : scale * height, : scale * width], scale
    while left > 1:  # OpenCV halves twice in a third of the time that it takes for a fourth
        factor = 2 if left % 2 == 0 else left
        rows, columns = (side // factor for side in small.shape[2:])
        small, planes = planes_of(small, (rows, columns))
        for plane, out in planes:
            cv2.resize(plane, (columns, rows), out, 0, 0, cv2.INTER_AREA)
        left //= factor
    if value.shape[3] > scale * width:
        small = torch.cat((small, _pooled(value[:, :, : scale * height, scale * width :], scale)), dim=3)
    if value.shape[2] > scale * height:
        small = torch.cat((small, _pooled(value[:, :, scale * height :], scale)), dim=2)
    return small


def _pooled(value: Tensor, scale: int) -> Tensor:
    return F.avg_pool2d(value, scale, ceil_mode=True, count_include_pad=False)


def enlarge(value: Tensor, size: tuple[int, int]) -> Tensor:
    """As ``means.enlarge``."""
    return value if value.shape[-2:] == size else opencv.enlarge(value, size)


def box_mean(value: Tensor, side: int = 5) -> Tensor:
    """As ``means.box_mean``: running sums, as if all was inside, and a correction near the border."""
    import cv2

    rows, columns = (_near_border(size, side) for size in value.shape[2:])
    result, planes = planes_of(value, (value.shape[2], value.shape[3]))
    for plane, out in planes:
        cv2.boxFilter(plane, -1, (side, side), out, borderType=cv2.BORDER_CONSTANT)
        for row, factor in rows:
            out[row] *= factor
        for column, factor in columns:
            out[:, column] *= factor
    return result


def _near_border(size: int, side: int) -> list[tuple[int, float]]:
    """The places of an axis from which fewer than ``side`` are inside, and how many times fewer."""
    around = side // 2
    places = {*range(min(around, size)), *range(max(size - around, 0), size)}
    return [(place, side / neighbours(place, size, side)) for place in places]


def neighbours(place: int, size: int, side: int) -> int:
    """How many of the ``side`` places around one are inside."""
    return min(place, side // 2) + min(size - 1 - place, side // 2) + 1


def channel_mean(value: Tensor) -> Tensor:
    """As ``means.channel_mean``, which looks at one value at a time."""
    total = value[:, :1].clone(memory_format=torch.contiguous_format)
    for channel in value.unbind(1)[1:]:
        total += channel.unsqueeze(1)
    return total.div_(value.shape[1])


def energy(value: Tensor) -> Tensor:
    """As ``means.energy``, without the squares of all channels side by side."""
    total = value[:, :1].square()
    for channel in value.unbind(1)[1:]:
        total.addcmul_(channel.unsqueeze(1), channel.unsqueeze(1))
    return total.div_(value.shape[1])
