"""What changes in the output as the input itself does: the input's own grain and texture, which a memory would take.

It was not added by the network. Where it is faint, it is the grain of the camera; where it is far more than elsewhere
at the same light, it is texture that no search follows exactly. Both belong to the picture (docs/method.md, (24)).
Noise that a viewer would see is stronger and everywhere; what a network adds of its own does not follow its input.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.means import CELL, between, cell_mean, channel_mean, energy, limits
from holdsteady.flow.warp import places, sample

_APART = 4  # of the places, each so many-th row and column is looked at
_SIDE = CELL // _APART
# Faint grain is kept from a share of the change on that the input's explains, and wholly from another; up to a
# deviation of the input's grain, in ranges of it, and none from another on.
_OWN, _WHOLLY = 0.8, 0.92
_FAINT, _SEEN = 2.2 / 255, 3.2 / 255
# Unusual change: that share, and how many times the usual energy.
_FOLLOWS, _TIMES = (0.65, 0.85), (2.5, 5.0)
# Groups of cells by light, the deviation up to which a cell is still, and the ends of the range where noise is cut off.
_GROUPS, _STILL, _END = 4, 0.5 / 255, 0.04
_TIE = 1e-7
_STEEPER, _BORDERS = (1.25, 1.45), 6  # of blocks of JPEG: how much steeper they are between, and how many tell


def own_grain(change: Tensor, frame: Tensor, previous: Tensor, flow: Tensor, share: Tensor, steeper: Tensor) -> Tensor:
    """(24) G in cells (B, 1, h, w), in [0, 1]: how far what changes in the output is the input's own.

    Args:
        change: of the output against the last one brought to the present, both without their wide flicker alone,
            mean over the channels, (B, 1, H, W).
        frame, previous: x_t and x_{t−1}, (B, C, H, W).
        flow: from t back to t−1, (B, 2, H, W) in pixels.
        share: of the last output as it lay, (B, 1, H, W); the input's is mixed likewise.
        steeper: as of :func:`steeper_at_blocks`, of x_t at its own size.
    """
    some = (..., slice(None, None, _APART), slice(None, None, _APART))
    moved = sample(previous, *places(flow.to(previous.dtype), _APART))
    present = frame[some]
    by_channel = present - torch.lerp(moved, previous[some], share[some])
    out, into = change[some], channel_mean(by_channel)
    both, out, into = (cell_mean(product, _SIDE) for product in (out * into, out * out, into * into))
    explained = both.clamp_min(0).square() / (out * into).clamp_min(1e-30)
    low, high = limits(frame)
    span = (high - low).clamp_min(1e-15)
    # Both frames have grain, so half of the energy is that of one.
    grain = cell_mean(energy(by_channel), _SIDE) / (2 * span.square())
    faint = between(explained, _OWN, _WHOLLY) * between(grain, _SEEN**2, _FAINT**2)
    light = (cell_mean(channel_mean(present), _SIDE) - low) / span
    texture = between(explained, *_FOLLOWS) * between(grain / usual(grain, light), *_TIMES)
    # What JPEG leaves is in a part of the image only, too.
    return torch.maximum(faint, texture * between(steeper, *reversed(_STEEPER)))


def usual(grain: Tensor, light: Tensor) -> Tensor:
    """The energy of noise in each cell as most cells of about its light have it: sensors' noise goes with the light.

    Args:
        grain: energies in ranges of the input, (B, 1, h, w).
        light: part of that range, (B, 1, h, w).

    Returns:
        (B, 1, h, w): the quarter of four groups by light, on a line between the middles of the groups. Cells that are
        as good as still, as bars are, and those at the ends of the range, where noise is cut off, don't count; a group
        of such cells has the most of the others. Beyond any energy where all groups are such.
    """
    light = light.flatten(1)
    number = light.shape[1]
    # A little for the place: equal ones would lie as it happens, and ONNX has no stable order.
    order = (light + _TIE * torch.arange(number, device=light.device)).argsort(dim=1)
    energies, light = (value.flatten(1).gather(1, order) for value in (grain, light))
    size = -(-number // _GROUPS)
    counting = (energies > _STILL**2) & (light > _END) & (light < 1 - _END)
    groups = F.pad(torch.where(counting, energies, torch.inf), (0, _GROUPS * size - number), value=torch.inf)
    groups = groups.view(-1, _GROUPS, size).sort(dim=2).values
    counts = groups.isfinite().sum(dim=2, keepdim=True)
    quarter = groups.gather(2, (counts - 1).clamp_min(0) // 4)[..., 0]
    known = counts[..., 0] > 0
    most = torch.where(known, quarter, 0).amax(dim=1, keepdim=True)
    quarter = torch.where(known, quarter, torch.where(most > 0, most, torch.finfo(grain.dtype).max))
    place = (torch.arange(number, device=grain.device) + 0.5) / size - 0.5
    place = place.clamp(0, _GROUPS - 1).to(grain.dtype)
    below = place.long()
    line = torch.lerp(quarter[:, below], quarter[:, (below + 1).clamp_max(_GROUPS - 1)], place - below)
    return torch.empty_like(energies).scatter(1, order, line).view_as(grain)


def steeper_at_blocks(frame: Tensor) -> Tensor:
    """How much steeper an image (B, C, H, W) is between blocks of 8×8 pixels than in them, across and down the lesser.

    The median over the borders, in every fourth line. About 1 is no block, more is JPEG; (B, 1, 1, 1). Images of few
    blocks have 0.
    """
    found = []
    for lines, axis in ((frame[..., ::_APART, :], 3), (frame[..., ::_APART], 2)):
        steps = channel_mean(lines).diff(dim=axis).abs().mean((1, 5 - axis))
        number, padded = steps.shape[1], F.pad(steps, (6, 6))
        # Every second step on both sides: in an image of twice its size every other one is another.
        beside = sum((padded[:, first : first + number] for first in (0, 2, 4, 8, 10)), padded[:, 12:]) / 6
        place = torch.arange(number, device=frame.device)
        border = (place % 8 == 7) & (place + 6 < number)
        steeper = torch.where(border, steps / beside.clamp_min(1e-15), torch.inf)
        steeper = F.pad(steeper, (0, 1), value=torch.inf).sort(dim=1).values  # one column has no steps
        count = border.sum()
        middle = steeper.gather(1, (count // 2).expand(steeper.shape[0], 1))[:, 0]
        found.append(torch.where(count < _BORDERS, 0.0, middle))
    return torch.minimum(*found)[:, None, None, None]
