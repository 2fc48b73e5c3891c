"""Wide flicker: exposure, white balance, tone and colour of whole regions.

What separates it from a true change of light is the input. So the *relation* of output to input is held steady, in
cells of 8×8 pixels: z ≈ A x + b for each channel. It is averaged over time along the motion, and the output is moved to
the average, as far as its deviation from it is new in every frame: where the deviation persists, the relation itself
has changed, and nothing is corrected (docs/method.md, (14) to (16)).
"""

import torch
from torch import Tensor

from holdsteady.adapters.cell import Memory
from holdsteady.adapters.means import CELL, cell_mean, enlarge, limits, shrink
from holdsteady.flow.warp import hold_within, warp_bilinear

_RIDGE = 1e-2  # of the squared range of the input
_SLOWEST = 0.05  # the least weight of the present in the average
_FULL, _NONE = 0.5, 0.9  # correlation of one frame's deviation with the last one's: all is corrected, nothing is
_FLAT = 1e-2  # range of an input, over its largest value, that says nothing
_EVIDENCE = 0.15  # weight of the present in the average of that correlation


def new_relation(z: Tensor) -> Memory:
    """The memory of :func:`steady_relation` before it has seen a frame."""
    height, width = -(-z.shape[2] // CELL), -(-z.shape[3] // CELL)
    nan = torch.full((), torch.nan, device=z.device)
    return {"relation": nan.repeat(len(z), 3 * z.shape[1], height, width), "evidence": nan.repeat(len(z), 4)}


def relation(z: Tensor, x: Tensor, span: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(14) A and b of z ≈ A x + b, and the means of z and x, each (B, C, h, w) in cells.

    Where the input is flat, A is that of the whole image.

    Args:
        z: the output (B, C, H, W).
        x: the input, likewise.
        span: its range, (B, 1, 1, 1).
    """
    mean_z, mean_x, mean_xx, mean_xz = (cell_mean(value) for value in (z, x, x * x, x * z))
    variance, covariance = mean_xx - mean_x * mean_x, mean_xz - mean_x * mean_z
    ridge = _RIDGE * span**2 + 1e-30
    whole = covariance.mean(dim=(2, 3), keepdim=True) / variance.mean(dim=(2, 3), keepdim=True).clamp_min(1e-30)
    slope = (covariance + ridge * whole) / (variance + ridge)
    return slope, mean_z - slope * mean_x, mean_z, mean_x


def steady_relation(z: Tensor, x: Tensor, flow: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
    """(15), (16): z without its wide flicker, within its own range, and the memory for the next frame.

    Args:
        z: z_t (B, C, H, W).
        x: x_t, likewise.
        flow: from t back to t−1 (B, 2, H, W) in pixels.
        memory: from the last frame or from :func:`new_relation`: ``relation``, the average of A and b and the last
            deviation (B, 3·C, h, w); ``evidence`` (B, 4), three averages of products of deviations, and how many
            frames were seen.
    """
    channels = z.shape[1]
    lowest, highest = limits(x)
    slope, offset, mean_z, mean_x = relation(z, x, highest - lowest)
    now = torch.cat((slope, offset), dim=1)
    is_new = memory["evidence"][:, 3:, None, None].isnan()
    old = torch.where(is_new, torch.cat((now, torch.zeros_like(mean_z)), dim=1), _moved(memory["relation"], flow))
    age = torch.where(is_new, 1.0, memory["evidence"][:, 3:, None, None])

    # (15) Is the deviation from the average new in this frame, or as it was in the last one?
    deviation = mean_z - (old[:, :channels] * mean_x + old[:, channels : 2 * channels])
    last = old[:, 2 * channels :]
    products = torch.stack(
        [(deviation * last).mean((1, 2, 3)), deviation.square().mean((1, 2, 3)), last.square().mean((1, 2, 3))], dim=1
    )
    before = memory["evidence"][:, :3]
    evidence = torch.where(before.isnan(), products, torch.lerp(before, products, _EVIDENCE))
    persists = evidence[:, 0] / (0.5 * (evidence[:, 1] + evidence[:, 2]) + 1e-30)
    engaged = ((_NONE - persists) / (_NONE - _FULL)).clamp(0, 1)[:, None, None, None]

    # (16) The average moves on, and the output to it.
    average = torch.lerp(old[:, : 2 * channels], now, (1 / age).clamp_min(_SLOWEST))
    # A flat input, as a black frame or a flash, has no relation to anything: the memory waits.
    is_flat = highest - lowest <= _FLAT * torch.maximum(highest, -lowest)
    engaged = torch.where((age > 2) & ~is_flat, engaged, 0.0)
    change = enlarge(engaged * (average - now), (z.shape[2], z.shape[3]))
    # The first deviation has none before it, and is no evidence.
    evidence = torch.where(age[:, :, 0, 0] > 2, evidence, torch.nan)
    learned = torch.cat((average, deviation), dim=1), torch.cat((evidence, age[:, :, 0, 0] + 1), dim=1)
    after = {
        "relation": torch.where(is_flat, memory["relation"], learned[0]),
        "evidence": torch.where(is_flat[:, :, 0, 0], memory["evidence"], learned[1]),
    }
    corrected = torch.addcmul(z, change[:, :channels], x) + change[:, channels:]
    return hold_within(corrected, z), after  # no value leaves the range of what was seen


def _moved(cells: Tensor, flow: Tensor) -> Tensor:
    """Cells (B, C, h, w) brought to the present along a flow (B, 2, H, W) in pixels."""
    return warp_bilinear(cells, shrink(flow, CELL) / CELL)
