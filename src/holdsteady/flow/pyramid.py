"""Optical flow of plain tensor operations: for graphs that can't call OpenCV, and for devices other than CPUs."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.dis import DISFlow
from holdsteady.flow.warp import resize_flow, warp_bilinear

_LEVELS = 5  # the coarsest is 1/16 of what is searched
_STEPS = 2  # at each level
_WINDOW = 11  # pixels that are taken to move together
_STIFF = 1e-3  # against the squared gradient of pictures in [0, 1]: what is flat does not move
_MOST = 1.5  # pixels that one step can move


@dataclass(frozen=True)
class PyramidFlow:
    """Lucas and Kanade's method (1981) from coarse to fine (Bouguet 2001), dense and in windows.

    A step looks for the motion that explains the difference left within each window, by least squares. There is nothing
    trained in it, and nothing that a graph can't hold.

    Attributes:
        scale: the search is done at one part in so many of the size.
        mend: as of ``DISFlow``: where no value near its place in the previous picture explains the present, the
            previous picture stands in.
    """

    scale: int = 1
    mend: bool = False

    @property
    def multiple(self) -> int:
        """What divides the sides of images that are halved without a rest."""
        return self.scale << (_LEVELS - 1)

    @staticmethod
    def like(flow: DISFlow, height: int) -> "PyramidFlow":
        """What stands in for a search of another kind, for pictures of about so many lines."""
        scale = 1
        while height / scale > 1.5 * flow.max_height:
            scale *= 2
        return PyramidFlow(scale, flow.mend)

    def __call__(self, present: Tensor, previous: Tensor) -> Tensor:
        """Flow (B, 2, H, W) in pixels between two images (B, C, H, W), such that present[p] ≈ previous[p + flow(p)]."""
        size = (present.shape[-2], present.shape[-1])
        grey = (image.detach().float().mean(dim=1, keepdim=True) for image in (present, previous))
        now, before = _in_one_range(*grey)
        if self.mend:
            now = _mended(now, before)
        pairs = [(_shrunk(now, self.scale), _shrunk(before, self.scale))]
        for _ in range(_LEVELS - 1):
            pairs.append((_shrunk(pairs[-1][0], 2), _shrunk(pairs[-1][1], 2)))
        flow = torch.zeros_like(pairs[-1][0]).repeat(1, 2, 1, 1)
        for fine, coarse in reversed(pairs):
            flow = resize_flow(flow, (fine.shape[-2], fine.shape[-1]))
            for _ in range(_STEPS):
                flow = flow + _step(fine, coarse, flow)
            flow = _mean(flow)
        return resize_flow(flow, size).to(present.dtype)


def _step(now: Tensor, before: Tensor, flow: Tensor) -> Tensor:
    """What a flow between two grey pictures (B, 1, h, w) has to be changed by, (B, 2, h, w)."""
    moved = warp_bilinear(before, flow)
    x, y = _gradient(moved)
    left = now - moved
    xx, xy, yy, xl, yl = _mean(torch.cat((x * x, x * y, y * y, x * left, y * left), dim=1)).split(1, dim=1)
    xx, yy = xx + _STIFF, yy + _STIFF
    change = torch.cat((yy * xl - xy * yl, xx * yl - xy * xl), dim=1) / (xx * yy - xy * xy)
    return change.clamp(-_MOST, _MOST)


def _gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences to the right and down."""
    around = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]) / 2
    return across, (around[..., 2:, 1:-1] - around[..., :-2, 1:-1]) / 2


def _mean(value: Tensor) -> Tensor:
    return F.avg_pool2d(value, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False)


def _shrunk(value: Tensor, scale: int) -> Tensor:
    return value if scale == 1 else F.avg_pool2d(value, scale, ceil_mode=True, count_include_pad=False)


def _in_one_range(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Both pictures (B, 1, H, W), their joint range brought to [0, 1]."""
    low = torch.minimum(now.amin((2, 3), keepdim=True), before.amin((2, 3), keepdim=True))
    high = torch.maximum(now.amax((2, 3), keepdim=True), before.amax((2, 3), keepdim=True))
    span = (high - low).clamp_min(1e-12)
    return (now - low) / span, (before - low) / span


def _mended(now: Tensor, before: Tensor) -> Tensor:
    """The present picture; the previous one where nothing within four pixels there is close to it."""
    tolerance = 0.1
    smooth, known = (F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False) for image in (now, before))
    above = F.max_pool2d(known, 9, stride=1, padding=4) + tolerance
    below = -F.max_pool2d(-known, 9, stride=1, padding=4) - tolerance
    strange = ((smooth < below) | (smooth > above)).float()
    return torch.where(F.max_pool2d(strange, 5, stride=1, padding=2) > 0, before, smooth)
