"""What changes in the output as the input itself does: the input's own grain and texture, which a memory would take.

It was not added by the network. Where it is faint, it is the grain of the camera; where it is far more than elsewhere
at the same light, it is texture that no search follows exactly. Both belong to the picture (docs/method.md, (24)).
Noise that a viewer would see is stronger and everywhere; what a network adds of its own does not follow its input.
"""

import torch
from torch import Tensor

from holdsteady.adapters.means import CELL, between, cell_mean, channel_mean, energy, limits
from holdsteady.flow.warp import places, sample

_APART = 4  # of the places, each so many-th row and column is looked at
_SIDE = CELL // _APART
# Faint grain: share of a change that the input's explains, from which on some is kept, and all; and the deviation of
# the input's grain in ranges of it, up to which all is, and some.
_OWN, _WHOLLY = 0.8, 0.92
_FAINT, _SEEN = 2.2 / 255, 3.2 / 255
# Unusual change: that share; how many times the usual energy; how many groups by light have one, which change and which
# light doesn't count; and how much steeper an image of JPEG is at the borders of its blocks.
_FOLLOWS, _TIMES = (0.65, 0.85), (2.5, 5.0)
_GROUPS, _STILL, _END = 4, 0.5 / 255, 0.04
_STEEPER = (1.25, 1.45)


def own_grain(change: Tensor, frame: Tensor, previous: Tensor, flow: Tensor, share: Tensor) -> Tensor:
    """(24) G in cells (B, 1, h, w), in [0, 1]: how far what changes in the output is the input's own.

    Args:
        change: of the output against the last one brought to the present, both without their wide flicker alone,
            mean over the channels, (B, 1, H, W).
        frame, previous: x_t and x_{t−1}, (B, C, H, W).
        flow: from t back to t−1, (B, 2, H, W) in pixels.
        share: of the last output as it lay, (B, 1, H, W); the input's is mixed likewise.
    """
    some = (..., slice(None, None, _APART), slice(None, None, _APART))
    moved = sample(previous, *places(flow.to(previous.dtype), _APART))
    by_channel = frame[some] - torch.lerp(moved, previous[some], share[some])
    out, into = change[some], channel_mean(by_channel)
    both, out, into = (cell_mean(product, _SIDE) for product in (out * into, out * out, into * into))
    explained = both.clamp_min(0).square() / (out * into).clamp_min(1e-30)
    # Both frames have grain, so half of the energy is that of one.
    low, high = limits(frame)
    span = (high - low).clamp_min(1e-15)
    grain = cell_mean(energy(by_channel), _SIDE) / (2 * span.square())
    faint = between(explained, _OWN, _WHOLLY) * between(grain, _SEEN**2, _FAINT**2)
    light = (cell_mean(channel_mean(frame[some]), _SIDE) - low) / span
    texture = between(explained, *_FOLLOWS) * between(grain / usual(grain, light), *_TIMES)
    # What JPEG leaves is in a part of the image only, too.
    return torch.maximum(faint, texture * between(steeper_at_blocks(frame), *reversed(_STEEPER)))


def usual(grain: Tensor, light: Tensor) -> Tensor:
    """The energy of noise in each cell as most cells of about its light have it: sensors' noise goes with the light.

    Args:
        grain: energies in ranges of the input, (B, 1, h, w).
        light: part of that range, (B, 1, h, w).

    Returns:
        (B, 1, h, w): the quarter of four groups by light, on a line between the middles of the groups. Cells that are
        as good as still, as bars are, and those at the ends of the range, where noise is cut off, don't count; a group
        of such cells has the most of the others.
    """
    order = light.flatten(1).argsort(dim=1)
    energies, light = (value.flatten(1).gather(1, order) for value in (grain, light))
    counts = (energies > _STILL**2) & (light > _END) & (light < 1 - _END)
    number = light.shape[1]
    place = torch.arange(number, device=grain.device)
    mine = counts[:, None] & (place * _GROUPS // number == torch.arange(_GROUPS, device=grain.device)[:, None])
    quarter = (mine.sum(dim=2, keepdim=True) - 1).clamp_min(0) // 4
    each = torch.where(mine, energies[:, None], torch.inf).sort(dim=2).values.gather(2, quarter)[..., 0]
    known = each.isfinite()
    most = torch.where(known, each, 0).amax(dim=1, keepdim=True)
    each = torch.where(known, each, torch.where(most > 0, most, 1.0))
    middle = ((place + 0.5) * _GROUPS / number - 0.5).clamp(0, _GROUPS - 1)
    below = middle.long()
    line = torch.lerp(each[:, below], each[:, (below + 1).clamp_max(_GROUPS - 1)], (middle - below).to(grain.dtype))
    return torch.empty_like(energies).scatter(1, order, line).view_as(grain)


def steeper_at_blocks(frame: Tensor) -> Tensor:
    """How much steeper an image (B, C, H, W) is between blocks of 8×8 pixels than beside, across and down the lesser.

    In every fourth line. About 1 is no block, more is JPEG; (B, 1, 1, 1). Images of one block have 0.
    """
    grey, found = channel_mean(frame), []
    for lines, axis in ((grey[..., ::_APART, :], 3), (grey[..., ::_APART], 2)):
        steps = lines.diff(dim=axis).abs().mean((1, 5 - axis))
        place = torch.arange(steps.shape[1], device=frame.device) % 8
        at, beside = (
            (steps * one).sum(dim=1) / one.sum().clamp_min(1) for one in (place == 7, (place == 6) | (place == 0))
        )
        found.append(at / beside.clamp_min(1e-15))
    return torch.minimum(*found)[:, None, None, None]
