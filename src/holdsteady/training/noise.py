"""The noise of footage, measured between its own frames: how strong at which brightness, how coarse, how coloured."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions.noise import Grain, soft_weights
from holdsteady.flow.dis import DISFlow
from holdsteady.flow.warp import warp

Pixels = npt.NDArray[np.uint8]

_SIDE = 16  # of the blocks in which noise is looked for, in pixels
_FLOW = DISFlow(max_height=480, smooth=1.5)
_FLAT = 0.35  # the share of the blocks of a brightness that is looked at, those with the least detail
_LOW = 0.4  # the quantile of their variances that is taken: what did not move as the flow says only adds
_CLIPPED = 0.02  # share of black and white pixels above which a block tells nothing
_BINS = 8  # steps of brightness, with as many blocks each
_FEWEST = 24  # blocks that are enough
_SIZES = np.linspace(0, 3, 61)


@dataclass(frozen=True)
class _Blocks:
    """Of N blocks: mean brightness, detail, variances of grey and colour, and their products with the neighbour."""

    level: Tensor
    detail: Tensor
    grey: Tensor
    colour: Tensor
    grey_beside: Tensor
    colour_beside: Tensor

    def where(self, chosen: Tensor) -> "_Blocks":
        return _Blocks(*(value[chosen] for value in vars(self).values()))


def measure_noise(pairs: Iterable[tuple[Pixels, Pixels]]) -> Grain | None:
    """The noise of neighbouring frames, as the corruption that adds the like; None where too little tells of it.

    The earlier frame is brought to the later one by whole pixels, so that its noise stays what it is. Half the squared
    difference in blocks with little detail is the variance of the noise; its curve over the brightness is a straight
    line (Foi et al. 2008), and its correlation with the next pixel says how coarse it is.

    Args:
        pairs: a frame and the one before, (H, W, 3) RGB each.
    """
    found = [blocks for pair in pairs if (blocks := _look(*map(_values, pair))) is not None]
    if not found:
        return None
    every = _Blocks(*(torch.cat([getattr(one, name) for one in found]) for name in vars(found[0])))
    if len(every.level) < _FEWEST:
        return None
    flat, levels, variances = [], [], []
    for part in every.level.argsort().chunk(_BINS):
        blocks = every.where(part)
        blocks = blocks.where(blocks.detail <= blocks.detail.quantile(_FLAT))
        total = blocks.grey + blocks.colour
        variance = total.quantile(_LOW)
        levels.append(blocks.level.mean().item())
        variances.append(variance.item())
        flat.append(blocks.where(total <= 1.5 * variance))
    chosen = _Blocks(*(torch.cat([getattr(one, name) for one in flat]) for name in vars(flat[0])))
    sigma, gain = _line(np.array(levels), np.array(variances))
    grey, colour = chosen.grey.sum().item(), chosen.colour.sum().item()
    return Grain(
        sigma=round(sigma, 5),
        gain=round(gain, 6),
        size=_size(chosen.grey_beside.sum().item() / max(grey, 1e-12)),
        colour=round(colour / max(grey + colour, 1e-12), 2),
        colour_size=_size(chosen.colour_beside.sum().item() / max(colour, 1e-12)),
    )


def _values(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def _look(present: Tensor, previous: Tensor) -> _Blocks | None:
    """The blocks of a pair (1, 3, H, W) of which something can be told."""
    height, width = (side // _SIDE * _SIDE for side in present.shape[-2:])
    if min(height, width) < 2 * _SIDE:
        return None
    flow = _FLOW(present, previous).round()
    before = warp(previous, flow)
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in present.shape[-2:]), indexing="ij")
    x, y = columns + flow[0, 0], rows + flow[0, 1]
    outside = (x < 0) | (y < 0) | (x > present.shape[-1] - 1) | (y > present.shape[-2] - 1)
    ends = torch.cat((present, before), dim=1)
    clipped = ((ends <= 0) | (ends >= 1)).any(dim=1, keepdim=True) | outside
    mean = F.avg_pool2d((present + before).mean(dim=1, keepdim=True) / 2, 5, 1, 2, count_include_pad=False)
    down, right = torch.gradient(mean, dim=(2, 3))

    def blocks(value: Tensor) -> Tensor:
        cut = value[..., :height, :width]
        return F.unfold(cut, _SIDE, stride=_SIDE).view(cut.shape[1], _SIDE, _SIDE, -1).permute(3, 0, 1, 2)

    change = blocks((present - before) / 2**0.5)
    change = change - change.mean(dim=(2, 3), keepdim=True)  # light that changes is no noise
    grey = change.mean(dim=1, keepdim=True)
    colour = change - grey
    found = _Blocks(
        _mean(blocks(mean)),
        _mean(blocks(down.square() + right.square())),
        _mean(grey.square()),
        _mean(colour.square()),
        _beside(grey),
        _beside(colour),
    )
    # What a codec has copied has no noise to tell of.
    told = (_mean(blocks(clipped.float())) <= _CLIPPED) & (found.grey > 0)
    return found.where(told)


def _mean(blocks: Tensor) -> Tensor:
    return blocks.mean(dim=(1, 2, 3))


def _beside(blocks: Tensor) -> Tensor:
    """Mean product with the next pixel to the right and below."""
    return (_mean(blocks[..., 1:] * blocks[..., :-1]) + _mean(blocks[..., 1:, :] * blocks[..., :-1, :])) / 2


def _line(levels: npt.NDArray[np.float64], variances: npt.NDArray[np.float64]) -> tuple[float, float]:
    """σ and gain, neither below zero, of the line σ² + gain · level through variances."""
    # Relative errors are alike, so the dark end counts as much as the bright one.
    weights = 1 / np.maximum(variances, 1e-9)
    slope, at_black = np.polyfit(levels, variances, 1, w=weights) if np.ptp(levels) > 1e-3 else (-1.0, 0.0)
    if slope <= 0:
        slope, at_black = 0.0, float(np.average(variances, weights=weights))
    elif at_black < 0:
        slope, at_black = float(np.average(variances / np.maximum(levels, 1e-3))), 0.0
    return float(np.sqrt(at_black)), float(slope)


def _size(correlation: float) -> float:
    """The Gaussian after which noise is as much like that of the next pixel."""
    if correlation <= 0.02:
        return 0.0
    known = [float((w[1:] * w[:-1]).sum()) for w in map(soft_weights, _SIZES.tolist())]
    return round(float(np.interp(correlation, known, _SIZES)), 2)
