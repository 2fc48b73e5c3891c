"""Warping a map along a flow."""

from functools import reduce
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.eager import can_look
from holdsteady.flow.opencv import can_remap, enlarge, remap, takes, wants_gradient

_BICUBIC: dict[str, Any] = {"mode": "bicubic", "padding_mode": "border", "align_corners": False}
_CUBIC = -0.75  # the a of cubic convolution, as grid_sample has it


def warp(memory: Tensor, flow: Tensor) -> Tensor:
    """Memory warped to the current frame: w[p] = memory[p + flow(p)], bicubic, border padding (docs/method.md, (7)).

    Bicubic interpolation can overshoot; the result is clamped to each channel's range, so that no
    value leaves the range of its history.

    Args:
        memory: (B, C, H, W).
        flow: (B, 2, H, W) in pixels, to the right and down.
    """
    source = widened(memory)
    return hold_within(sample(source, *places(flow.to(source.dtype))), source).to(memory.dtype)


def places(flow: Tensor, step: int = 1) -> tuple[Tensor, Tensor]:
    """Where each pixel, or every ``step``-th of every ``step``-th row, comes from by a flow (B, 2, H, W): x and y."""
    height, width = flow.shape[-2:]
    move = flow[..., ::step, ::step]
    x = torch.arange(0, width, step, device=flow.device, dtype=flow.dtype) + move[:, 0]
    return x, torch.arange(0, height, step, device=flow.device, dtype=flow.dtype)[:, None] + move[:, 1]


def hold_within(value: Tensor, *histories: Tensor) -> Tensor:
    """A new map (B, C, h, w), which may be written over, held within the range of each channel of (B, C, H, W)."""
    # torch.aminmax: no gradient in 2.6, and it looks at one value at a time.
    low = reduce(torch.minimum, (history.amin((2, 3), keepdim=True) for history in histories))
    high = reduce(torch.maximum, (history.amax((2, 3), keepdim=True) for history in histories))
    if not can_look(value) or wants_gradient(value, *histories):
        return value.clamp(low, high)
    for image, *bounds in zip(value, low.flatten(1).tolist(), high.flatten(1).tolist(), strict=True):
        for plane, least, most in zip(image, *bounds, strict=True):
            plane.clamp_(least, most)  # a fourth of the time that bounds for all places take
    return value


def resize(value: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B, C, h, w) resized to (H, W) bilinearly, without aliasing.

    Half precision is resized in 32 bits: torch has no kernel for it on a CPU.
    """
    if value.shape[-2:] == size:
        return value
    return F.interpolate(widened(value), size=size, mode="bilinear", antialias=True).to(value.dtype)


def widened(value: Tensor) -> Tensor:
    """A value in at least 32 bits."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def warp_bilinear(value: Tensor, flow: Tensor) -> Tensor:
    """value[p + flow(p)], (B, C, H, W), bilinear with border padding: for what is compared or coarse, not shown."""
    height, width = value.shape[-2:]
    x, y = places(flow)
    if can_remap(value, x, y):
        return remap(value, x, y, cubic=False)
    grid = torch.stack((x * (2 / width) + (1 / width - 1), y * (2 / height) + (1 / height - 1)), dim=-1)
    return F.grid_sample(value, grid.to(value.dtype), mode="bilinear", padding_mode="border", align_corners=False)


def warp_nearest(value: Tensor, flow: Tensor) -> Tensor:
    """value[p + flow(p)] at the nearest place inside, (B, C, H, W): for what is not to be mixed, as classes."""
    height, width = value.shape[-2:]
    x, y = places(flow)
    x, y = x.round().long().clamp(0, width - 1), y.round().long().clamp(0, height - 1)
    place = (y * width + x).flatten(1)[:, None].expand(-1, value.shape[1], -1)
    return value.flatten(2).gather(2, place).view_as(value)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow (B, 2, h, w) in pixels resized to another image size (H, W), displacements scaled with it."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor((size[1] / width, size[0] / height))[:, None, None]
    if takes(flow):
        return enlarge(flow, size).mul_(ratio)
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * ratio


def sample(source: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values of a map (B, C, H, W) at the places x, y (B, h, w) in pixels: bicubic, border padding, (B, C, h, w)."""
    if source.device.type == "mps":  # its grid_sample refuses bicubic with border padding
        return sample_by_gather(source, x, y)
    if can_remap(source, x, y):
        return remap(source, x, y, cubic=True)
    height, width = source.shape[-2:]
    grid = torch.stack((x * (2 / width) + (1 / width - 1), y * (2 / height) + (1 / height - 1)), dim=-1)
    if source.device.type == "cpu" and torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        return cast(Tensor, _grid_sample_apart(source, grid))
    return _grid_sample(source, grid)


def sample_by_gather(source: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """:func:`sample` by sixteen look-ups, for devices without a bicubic kernel of their own."""
    height, width = source.shape[-2:]
    left, top = x.floor(), y.floor()
    columns, rows = _taps(x - left), _taps(y - top)
    flat = source.flatten(2)
    total = torch.zeros(*source.shape[:2], *x.shape[1:], dtype=source.dtype, device=source.device)
    for down, row_weight in enumerate(rows, -1):
        row = (top + down).clamp(0, height - 1)
        for right, column_weight in enumerate(columns, -1):
            place = (row * width + (left + right).clamp(0, width - 1)).long().flatten(1)
            value = flat.gather(2, place[:, None].expand(-1, flat.shape[1], -1)).unflatten(2, x.shape[1:])
            total = total + (row_weight * column_weight)[:, None] * value
    return total


def _taps(t: Tensor) -> list[Tensor]:
    """Weights of the four neighbours at −1, 0, 1 and 2, for a place t in [0, 1) between the two in the middle."""

    def near(d: Tensor) -> Tensor:
        return ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _grid_sample(source: Tensor, grid: Tensor) -> Tensor:
    if not can_look(source) or len(source) > 1 or source.requires_grad:
        return F.grid_sample(source, grid, **_BICUBIC)
    # On a CPU each image is the work of one thread: a single one is handed out once for each, with a part of the rows.
    lines, parts = grid.shape[1], torch.get_num_threads()
    share = -(-lines // parts)
    grid = F.pad(grid, (0, 0, 0, 0, 0, parts * share - lines)).reshape(parts, share, *grid.shape[2:])
    moved = F.grid_sample(source.expand(parts, -1, -1, -1), grid, **_BICUBIC)
    return moved.transpose(0, 1).flatten(1, 2)[None, :, :lines]


@torch.library.custom_op("holdsteady::grid_sample", mutates_args=())
def _grid_sample_apart(source: Tensor, grid: Tensor) -> Tensor:
    """For compiled graphs on a CPU, where the compiler's own code for it takes ten times as long."""
    return _grid_sample(source, grid).contiguous()


@_grid_sample_apart.register_fake
def _(source: Tensor, grid: Tensor) -> Tensor:
    return source.new_empty((*source.shape[:2], *grid.shape[1:3]))


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    bicubic, border = 2, 1
    gradients: tuple[Tensor, Tensor] = torch.ops.aten.grid_sampler_2d_backward(
        gradient.contiguous(), *ctx.saved_tensors, bicubic, border, False, ctx.needs_input_grad[:2]
    )
    return gradients


_grid_sample_apart.register_autograd(_backward, setup_context=_save)
