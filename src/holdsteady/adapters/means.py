"""Means over places and channels, and the way back to the size of a map."""

from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.choose import tunable

#: Side of a cell, in which relations, noise and what comes back are known.
CELL = 8


@tunable
def shrink(value: Tensor, scale: int) -> Tensor:
    """Means over squares of scale × scale pixels, (B, C, H, W) → (B, C, ⌈H/scale⌉, ⌈W/scale⌉)."""
    return value if scale == 1 else F.avg_pool2d(value, scale, ceil_mode=True, count_include_pad=False)


@tunable
def enlarge(value: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B, C, h, w) brought to another size (H, W) bilinearly, which may be a smaller one."""
    if value.shape[-2:] == size:
        return value
    return F.interpolate(value, size=size, mode="bilinear", align_corners=False)


def enlarge_rows(value: Tensor, scale: int, rows: slice, width: int) -> Tensor:
    """Some rows of a map (B, C, h, w), enlarged bilinearly, of which each place is a square as of :func:`shrink`.

    Args:
        rows: of the result, which is (B, C, rows, width).
    """
    first, last = max(rows.start // scale - 1, 0), -(-rows.stop // scale) + 1
    near = value[:, :, first:last]
    grown = enlarge(near, (scale * near.shape[2], scale * near.shape[3]))
    return grown[:, :, rows.start - scale * first : rows.stop - scale * first, :width]


@tunable
def box_mean(value: Tensor, side: int = 5) -> Tensor:
    """Mean over the side×side pixels around each one, of an odd side, that are inside the image, (B, C, H, W)."""
    return F.avg_pool2d(value, side, stride=1, padding=side // 2, count_include_pad=False)


def cell_mean(value: Tensor, side: int = CELL) -> Tensor:
    """Means over cells of side×side pixels and the 3×3 cells around, (B, C, H, W) → (B, C, ⌈H/side⌉, ⌈W/side⌉)."""
    return box_mean(shrink(value, side), 3)


@tunable
def channel_mean(value: Tensor) -> Tensor:
    """Mean over the channels, (B, C, H, W) → (B, 1, H, W)."""
    return value.mean(dim=1, keepdim=True)


@tunable
def energy(value: Tensor) -> Tensor:
    """Mean of the squares over the channels, (B, C, H, W) → (B, 1, H, W)."""
    return value.square().mean(dim=1, keepdim=True)


def between(value: Tensor, none: float, full: float) -> Tensor:
    """0 up to one limit, 1 from the other on, a line between the two; the second limit may be the smaller one."""
    return ((value - none) / (full - none)).clamp(0, 1)


def limits(value: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest value of each stream, (B, 1, 1, 1)."""
    every = (1, 2, 3)  # torch.aminmax looks at one value at a time
    return value.amin(every, keepdim=True), value.amax(every, keepdim=True)


def value_range(value: Tensor) -> Tensor:
    """The largest minus the smallest value of each stream, (B, 1, 1, 1)."""
    low, high = limits(value)
    return high - low
