"""Wide flicker: exposure, white balance, tone and colour of whole regions.

What separates it from a true change of light is the input. So the *relation* of output to input is held steady, in
cells of 8×8 pixels: z ≈ A x + b for each channel. It is averaged over time along the motion, and the output is moved to
the average, as far as its deviation from it is new in every frame and what is left of the last output agrees: where
the deviation persists, the relation itself has changed, and nothing is corrected (docs/method.md, (14) to (16)).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from holdsteady.adapters.cell import Memory
from holdsteady.adapters.means import CELL, between, box_mean, cell_mean, enlarge, limits, shrink, value_range
from holdsteady.eager import can_look
from holdsteady.flow.warp import hold_within, warp_bilinear

_RIDGE = 1e-2  # of the squared range of the input
_SLOWEST = 0.05  # the least weight of the present in the average
_FULL, _NONE = 0.75, 0.95  # correlation of one frame's deviation with the last one's: all is corrected, nothing is
_REGION = 5  # side, in cells, of what wide flicker changes as one
_LOCAL, _WIDE = 0.6, 0.8  # share of a deviation that its means over regions have: nothing is corrected, all is
_FLAT = 1e-2  # range of an input, over its largest value, that says nothing
_EVIDENCE = 0.15  # weight of the present in the averages of evidence
_LITTLE, _MUCH = 0.1, 0.2  # share of the difference to the memory that a correction takes: nothing is corrected, all is
_OTHER = 0.4  # change of the input's cells along the motion, over their variance: another picture


def new_relation(z: Tensor) -> Memory:
    """The memory of :func:`steady_relation` before it has seen a frame."""
    height, width = -(-z.shape[2] // CELL), -(-z.shape[3] // CELL)
    nan = torch.full((), torch.nan, device=z.device)
    return {"relation": nan.repeat(len(z), 4 * z.shape[1], height, width), "evidence": nan.repeat(len(z), 7)}


def relation(z: Tensor, x: Tensor, span: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(14) A and b of z ≈ A x + b, and the means of z and x, each (B, C, h, w) in cells.

    Where the input is flat, A is that of the whole image.

    Args:
        z: the output at half its size (B, C, ⌈H/2⌉, ⌈W/2⌉), which noise in the input misleads less.
        x: the input, likewise.
        span: range of the input, (B, 1, 1, 1).
    """
    mean_z, mean_x, mean_xx, mean_xz = (cell_mean(value, CELL // 2) for value in (z, x, x * x, x * z))
    variance, covariance = mean_xx - mean_x * mean_x, mean_xz - mean_x * mean_z
    ridge = (_RIDGE * span**2).clamp_min(1e-30)
    whole = covariance.mean(dim=(2, 3), keepdim=True) / variance.mean(dim=(2, 3), keepdim=True).clamp_min(1e-30)
    slope = (covariance + ridge * whole) / (variance + ridge)
    return slope, mean_z - slope * mean_x, mean_z, mean_x


def steady_relation(
    z: Tensor,
    frames: tuple[Tensor, Tensor],
    flow: Tensor,
    memory: Memory,
    halves: Sequence[Tensor],
    always: bool = False,
) -> tuple[Tensor, Memory]:
    """(15), (16): z without its wide flicker, within its own range, and the memory for the next frame.

    Args:
        z: z_t (B, C, H, W).
        frames: x_t and x_{t−1}, likewise.
        flow: from t back to t−1 (B, 2, H, W) in pixels.
        memory: from the last frame or from :func:`new_relation`: ``relation``, the average of A and b, the last
            deviation and the means of x (B, 4·C, h, w); ``evidence`` (B, 7), how many frames were seen, four averages
            of products of deviations, and two of the correction against the difference to the memory.
        halves: z_t, z̃_{t−1} as it lay, and z̃_{t−1} brought to the present, at half their size.
        always: correct without asking for evidence.
    """
    channels, (x, last_x) = z.shape[1], frames
    lowest, highest = limits(x)
    half_z, still, moved = halves
    half_x = shrink(x, 2)
    slope, offset, mean_z, mean_x = relation(half_z, half_x, highest - lowest)
    now, none = torch.cat((slope, offset), dim=1), torch.zeros_like(mean_z)
    age = memory["evidence"][:, :1, None, None]
    is_new, kept = age.isnan(), memory["relation"]
    if not can_look(z) or bool(is_new.any()):  # the first frame had no step of its own
        first = relation(still, shrink(last_x, 2), value_range(last_x))
        kept = torch.where(is_new, torch.cat((*first[:2], none, first[3]), dim=1), kept)
    old = _moved(kept, flow)
    # After a cut that nobody announced, the average is of another picture.
    change = _mean((mean_x - old[:, 3 * channels :]).square())
    is_cut = change > _OTHER * mean_x.var(dim=(2, 3), correction=0, keepdim=True).mean(dim=1, keepdim=True)
    old = torch.where(is_cut, torch.cat((now, none, mean_x), dim=1), old)
    age = torch.where(is_cut, 1.0, torch.where(is_new, 2.0, age))
    average = torch.lerp(old[:, : 2 * channels], now, (1 / age).clamp_min(_SLOWEST))
    difference = average - now

    # (15) Is the deviation from the average new in this frame, or as it was in the last one?
    deviation = mean_z - (old[:, :channels] * mean_x + old[:, channels : 2 * channels])
    before = old[:, 2 * channels : 3 * channels]
    # Is it of whole regions, or of single cells, as what is left of noise?
    products = [deviation * before, deviation.square(), before.square(), box_mean(deviation, _REGION).square()]
    # And does the correction bring the output nearer to the last one?
    taken, apart = _line(difference, half_x), moved - half_z
    products += [taken * (2 * apart - taken), apart.square()]
    found = torch.cat([_mean(product) for product in products], dim=1)
    evidence = memory["evidence"][:, 1:, None, None]
    evidence = torch.where(evidence.isnan() | is_cut, found, torch.lerp(evidence, found, _EVIDENCE))
    # Not "+ 1e-30", which converters to ONNX take for nothing: where the output is the input these are 0/0.
    persists = evidence[:, :1] / (0.5 * (evidence[:, 1:2] + evidence[:, 2:3])).clamp_min(1e-30)
    wide = evidence[:, 3:4] / evidence[:, 1:2].clamp_min(1e-30)
    gained = evidence[:, 4:5] / evidence[:, 5:].clamp_min(1e-30)
    engaged = between(persists, _NONE, _FULL) * between(wide, _LOCAL, _WIDE) * between(gained, _LITTLE, _MUCH)

    # (16) The average moves on, and the output to it.
    # A flat input, as a black frame or a flash, has no relation to anything: the memory waits.
    is_flat = highest - lowest <= _FLAT * torch.maximum(highest, -lowest)
    engaged = torch.where((age > 2) & ~is_flat, torch.ones_like(engaged) if always else engaged, 0.0)
    # The first deviation has none before it, and is no evidence.
    evidence = torch.cat((age + 1, torch.where(age > 2, evidence, torch.nan)), dim=1)[:, :, 0, 0]
    after = {
        "relation": torch.where(is_flat, memory["relation"], torch.cat((average, deviation, mean_x), dim=1)),
        "evidence": torch.where(is_flat[:, :, 0, 0], memory["evidence"], evidence),
    }
    if can_look(z) and not bool(engaged.any()):
        return z, after
    # No value leaves the range of what was seen.
    return hold_within(torch.addcmul(z, engaged, _line(difference, x)), z), after


def _line(cells: Tensor, x: Tensor) -> Tensor:
    """A x + b for A and b in cells (B, 2·C, h, w) and x (B, C, H, W)."""
    slope, offset = enlarge(cells, (x.shape[2], x.shape[3])).chunk(2, dim=1)
    return torch.addcmul(offset, slope, x)


def _mean(value: Tensor) -> Tensor:
    """Mean of each stream, (B, 1, 1, 1)."""
    return value.mean(dim=(1, 2, 3), keepdim=True)


def _moved(cells: Tensor, flow: Tensor) -> Tensor:
    """Cells (B, C, h, w) brought to the present along a flow (B, 2, H, W) in pixels."""
    return warp_bilinear(cells, shrink(flow, CELL) / CELL)
