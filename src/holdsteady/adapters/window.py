"""Spatial fusion's sum over a window, forward and backward, without ever unfolding the memory."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Offsets = tuple[tuple[int, int], ...]  # (down, right) in pixels


def fuse_window(present: Tensor, memory: Tensor, logits: Tensor, offsets: Offsets) -> Tensor:
    """η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p + o], η the softmax over (0, logits); zero outside the image.

    Args:
        present: z_t (B, C, H, W).
        memory: z̃_{t−1} (B, C, H, W).
        logits: (B, offsets·G, H, W), those of an offset next to each other, G dividing C.
        offsets: of the window.
    """
    if torch.is_grad_enabled() and any(value.requires_grad for value in (present, memory, logits)):
        fused: Tensor = _Spatial.apply(present, memory, logits, offsets)
        return fused
    return _spatial(present, memory, logits, offsets, _axis_of_channels(present, memory, logits))[0]


def _spatial(
    present: Tensor, memory: Tensor, logits: Tensor, offsets: Offsets, axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The fused value, and of each softmax the largest logit and the sum, laid out with channels at ``axis``."""
    present, memory, logits = _laid_out(axis, present, memory, logits)
    logits = logits.unflatten(axis, (len(offsets), -1))
    top = logits.amax(dim=axis).clamp_min(0)
    here = torch.exp(-top)
    groups, total = (logits.shape[axis + 1], -1), here.clone()
    fused = here.unsqueeze(axis + 1) * present.unflatten(axis, groups)
    for index, view in enumerate(_shifted(_padded(memory, offsets, axis), memory, offsets, axis)):
        weight = torch.exp(logits.select(axis, index) - top)
        total += weight
        fused.addcmul_(weight.unsqueeze(axis + 1), view.unflatten(axis, groups))
    return _channels_first(fused.div_(total.unsqueeze(axis + 1)).flatten(axis, axis + 1), axis), top, total


class _Spatial(torch.autograd.Function):
    """The way back, written out: autograd would keep k² weights for each value, or compute all of it twice."""

    @staticmethod
    def forward(ctx: Any, present: Tensor, memory: Tensor, logits: Tensor, offsets: Offsets) -> Tensor:
        ctx.axis = _axis_of_channels(present, memory, logits)
        fused, top, total = _spatial(present, memory, logits, offsets, ctx.axis)
        ctx.save_for_backward(present, memory, logits, fused, top, total)
        ctx.offsets = offsets
        return fused

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """With η the softmax: ∂/∂z_t = η_0 g, ∂/∂z̃[p+o] = η_o[p] g[p], ∂/∂logit_o = η_o g (z̃[p+o] − fused[p])."""
        offsets: Offsets = ctx.offsets
        axis: int = ctx.axis
        present, memory, logits, fused, top, total = ctx.saved_tensors
        dtypes = [value.dtype for value in (present, memory, logits)]
        logits, memory, fused, gradient = _laid_out(axis, logits, memory, fused, gradient)
        logits = logits.unflatten(axis, (len(offsets), -1))
        groups = (logits.shape[axis + 1], -1)
        g, fused = gradient.unflatten(axis, groups) / total.unsqueeze(axis + 1), fused.unflatten(axis, groups)
        to_present = (g * torch.exp(-top).unsqueeze(axis + 1)).flatten(axis, axis + 1)
        to_logits = torch.empty_like(logits)
        padded = _padded(memory, offsets, axis)
        collected = torch.zeros_like(padded, dtype=gradient.dtype)
        views, targets = (_shifted(whole, memory, offsets, axis) for whole in (padded, collected))
        for index, (view, target) in enumerate(zip(views, targets, strict=True)):
            share = torch.exp(logits.select(axis, index) - top).unsqueeze(axis + 1) * g
            target += share.flatten(axis, axis + 1)
            share *= view.unflatten(axis, groups) - fused
            to_logits.select(axis, index).copy_(share.sum(dim=axis + 1))
        to_memory = _shifted(collected, memory, ((0, 0),), axis, _reach(offsets))[0]
        gradients = (to_present, to_memory, to_logits.flatten(axis, axis + 1))
        return (*(_channels_first(one, axis).to(dtype) for one, dtype in zip(gradients, dtypes, strict=True)), None)


# The fusion works on values in the order in which the logits, by far the largest, lie in memory: (B, C, H, W), or
# (B, H, W, C) for channels-last. In another order than that of the axes it takes up to five times as long on a CPU.


def _axis_of_channels(*values: Tensor) -> int:
    largest = max(values, key=lambda value: value.shape[1])
    return 1 if largest.is_contiguous() or not largest.is_contiguous(memory_format=torch.channels_last) else 3


def _laid_out(axis: int, *values: Tensor) -> list[Tensor]:
    """Maps (B, C, H, W) with their axes and their memory in one order, channels at ``axis``."""
    return [(value if axis == 1 else value.permute(0, 2, 3, 1)).contiguous() for value in values]


def _channels_first(value: Tensor, axis: int) -> Tensor:
    return value if axis == 1 else value.permute(0, 3, 1, 2)


def _reach(offsets: Offsets) -> int:
    return max(max(abs(row), abs(column)) for row, column in offsets)


def _padded(memory: Tensor, offsets: Offsets, axis: int) -> Tensor:
    around = [_reach(offsets)] * 4
    return F.pad(memory, around if axis == 1 else [0, 0, *around])


def _shifted(padded: Tensor, inside: Tensor, offsets: Offsets, axis: int, reach: int | None = None) -> list[Tensor]:
    """What every place sees at each offset: views of a padded map, of the size of the map inside."""
    reach = _reach(offsets) if reach is None else reach
    rows = 2 if axis == 1 else 1
    height, width = inside.shape[rows], inside.shape[rows + 1]
    return [padded.narrow(rows, reach + y, height).narrow(rows + 1, reach + x, width) for y, x in offsets]
