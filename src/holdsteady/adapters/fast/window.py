"""Spatial fusion's sum over a window, forward and backward, without ever unfolding the memory.

All of it goes a strip of rows at a time. The logits are k² times as large as the value: to write them to main memory
and to read them back takes longer than to compute with them, and those of a strip stay in the cache. Where no backward
pass needs them, the head's last layer runs strip by strip too, and the logits never exist as a whole.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Rows = tuple[int, int]  # the first, and the first that no longer belongs

#: Logits of a strip, for each thread: 2 MiB. Half and twice as many take as long, a quarter a third longer.
_STRIP = 2**19
#: And at least as many places: torch's fast convolutions need that many.
_PLACES = 640


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
    """As ``method.spatial``: η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p + o], η the softmax of (0, logits)."""
    if _needs_backward(present, memory, logits):
        fused: Tensor = _Window.apply(present, memory, logits, kernel)
        return fused
    axis = _axis_of_channels(logits, kernel)
    strips = _strips(logits.shape)
    return _joined(_forward(present, memory, rows, logits[:, :, slice(*rows)], kernel, axis)[0] for rows in strips)


def spatial_by_layer(layer: nn.Conv2d, present: Tensor, memory: Tensor, hidden: Tensor, kernel: int) -> Tensor:
    """:func:`spatial` with the logits that ``layer`` gives.

    Args:
        layer: a head's last one, of stride 1, whose padding keeps the size.
        present, memory, kernel: as of :func:`spatial`.
        hidden: what the layer sees (B, width, H, W).
    """
    strips = _strips((len(hidden), layer.out_channels, *hidden.shape[2:]))
    if len(strips) == 1 or _needs_backward(present, memory, hidden, *layer.parameters()):
        return spatial(present, memory, layer(hidden), kernel)
    halo = layer.kernel_size[0] // 2

    def fused(rows: Rows) -> Tensor:
        logits = F.conv2d(_rows(hidden, rows, halo), layer.weight, layer.bias, padding=(0, layer.kernel_size[1] // 2))
        return _forward(present, memory, rows, logits, kernel, _axis_of_channels(logits, kernel))[0]

    return _joined(map(fused, strips))


def _needs_backward(*values: Tensor) -> bool:
    return torch.is_grad_enabled() and any(value.requires_grad for value in values)


def _joined(strips: Iterable[Tensor]) -> Tensor:
    done = list(strips)
    return done[0] if len(done) == 1 else torch.cat(done, dim=2)


def _forward(
    present: Tensor, memory: Tensor, rows: Rows, logits: Tensor, kernel: int, axis: int
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Some rows of the fused value (B, C, rows, W), and of its softmaxes what was taken off and the sum.

    Args:
        present, memory: whole.
        logits: of these rows.
        axis: that of the channels in the order in which to compute.
    """
    present, padded, logits = _laid_out(axis, present[:, :, slice(*rows)], _near(memory, rows, kernel), logits)
    logits = logits.unflatten(axis, (kernel**2, -1))
    top = _largest(logits, axis)
    weights = torch.exp(logits if top is None else logits - top.unsqueeze(axis))
    here = torch.ones_like(weights.select(axis, 0)) if top is None else torch.exp(-top)
    total, fused = here.clone(), here * present
    for weight, view in zip(weights.unbind(axis), _shifted(padded, present, kernel, axis), strict=True):
        total += weight
        fused.addcmul_(weight, view)
    top = None if top is None else _channels_first(top, axis)
    return _channels_first(fused.div_(total), axis), top, _channels_first(total, axis)


def _largest(logits: Tensor, axis: int) -> Tensor | None:
    """What each softmax takes off its logits, lest an exp be large beside any value; or None.

    Each stream is looked at by itself: none may depend on the others, be it in the last digit.
    """
    if logits.dtype not in (torch.float32, torch.float64) or logits.numel() == 0:
        return logits.amax(dim=axis).clamp_min(0)
    small = logits.flatten(1).amax(dim=1) < 10
    if small.all():
        return None
    top = logits.amax(dim=axis).clamp_min(0)
    return torch.where(small.reshape(-1, *(1,) * (top.ndim - 1)), 0, top)


class _Window(torch.autograd.Function):
    """The backward pass, written out: autograd would keep k² weights for each value, or compute all of it twice."""

    @staticmethod
    def forward(ctx: Any, present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
        ctx.kernel, ctx.axis = kernel, _axis_of_channels(logits, kernel)
        strips = [
            _forward(present, memory, rows, logits[:, :, slice(*rows)], kernel, ctx.axis)
            for rows in _strips(logits.shape)
        ]
        fused, total = _joined(strip[0] for strip in strips), _joined(strip[2] for strip in strips)
        top = _joined(torch.zeros_like(part) if off is None else off for _, off, part in strips)
        ctx.save_for_backward(memory, logits, fused, top, total)
        ctx.dtype = present.dtype
        return fused

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        memory, logits, fused, top, total = ctx.saved_tensors
        around, height = ctx.kernel // 2, memory.shape[2]
        to_memory = F.pad(torch.zeros_like(memory, dtype=gradient.dtype), (0, 0, around, around))
        to_present, to_logits = [], []
        for rows in _strips(logits.shape):
            parts = [value[:, :, slice(*rows)] for value in (logits, gradient, fused, top, total)]
            present_part, near_part, logits_part = _backward(
                _near(memory, rows, ctx.kernel), parts, ctx.kernel, ctx.axis
            )
            to_memory[:, :, rows[0] : rows[1] + 2 * around] += near_part.narrow(3, around, memory.shape[3])
            to_present.append(present_part.to(ctx.dtype))
            to_logits.append(logits_part.to(logits.dtype))
        return _joined(to_present), to_memory.narrow(2, around, height).to(memory.dtype), _joined(to_logits), None


def _backward(near: Tensor, parts: list[Tensor], kernel: int, axis: int) -> list[Tensor]:
    """Of some rows ∂/∂z_t = η_0 g, ∂/∂z̃[p+o] = η_o[p] g[p] and ∂/∂logit_o = η_o g (z̃[p+o] − fused[p]).

    Args:
        near: the padded memory that their windows reach.
        parts: logits, g, and what ``_forward`` gave.
        axis: as of ``_forward``.
    """
    padded, logits, gradient, fused, top, total = _laid_out(axis, near, *parts)
    logits = logits.unflatten(axis, (kernel**2, -1))
    is_shared = logits.shape[axis + 1] < gradient.shape[axis]
    g = gradient / total
    to_present = g * torch.exp(-top)
    weights, to_logits = torch.exp(logits - top.unsqueeze(axis)), torch.empty_like(logits)
    to_near = torch.zeros_like(padded, dtype=gradient.dtype)
    views, targets = (_shifted(around, fused, kernel, axis) for around in (padded, to_near))
    for index, (view, target) in enumerate(zip(views, targets, strict=True)):
        share = weights.select(axis, index) * g
        target += share
        share *= view - fused
        to_logits.select(axis, index).copy_(share.sum(dim=axis, keepdim=True) if is_shared else share)
    return [_channels_first(one, axis) for one in (to_present, to_near, to_logits.flatten(axis, axis + 1))]


def _strips(logits: Sequence[int]) -> list[Rows]:
    """Rows of each strip, for logits of a shape (B, k²·C or k², H, W)."""
    batch, channels, height, width = logits
    rows = max(torch.get_num_threads() * _STRIP // max(batch * channels * width, 1), -(-_PLACES // max(width, 1)))
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def _rows(value: Tensor, rows: Rows, halo: int) -> Tensor:
    """Rows of a map (B, C, H, W) with those around them, zero outside the image."""
    first, last, height = rows[0] - halo, rows[1] + halo, value.shape[2]
    inside = value[:, :, max(first, 0) : min(last, height)]
    outside = (max(-first, 0), max(last - height, 0))
    return F.pad(inside, (0, 0, *outside)) if any(outside) else inside


def _near(memory: Tensor, rows: Rows, kernel: int) -> Tensor:
    """What the windows of some rows reach, zero outside the image."""
    around = kernel // 2
    return F.pad(_rows(memory, rows, around), [around] * 2)


# The fusion works on values in the order in which the logits, by far the largest, lie in memory: (B, C, H, W), or
# (B, H, W, C) for channels-last. In another order than that of the axes it takes up to five times as long; and so it
# does channels-last where channels are few.


def _axis_of_channels(logits: Tensor, kernel: int) -> int:
    few = logits.shape[1] < 8 * kernel**2
    channels_first = logits.is_contiguous() or not logits.is_contiguous(memory_format=torch.channels_last)
    return 1 if few or channels_first else 3


def _laid_out(axis: int, *values: Tensor) -> list[Tensor]:
    """Maps (B, C, H, W) with their axes and their memory in one order, channels at ``axis``."""
    return [(value if axis == 1 else value.permute(0, 2, 3, 1)).contiguous() for value in values]


def _channels_first(value: Tensor, axis: int) -> Tensor:
    return value if axis == 1 else value.permute(0, 3, 1, 2)


def _shifted(padded: Tensor, inside: Tensor, kernel: int, axis: int) -> list[Tensor]:
    """What every place sees at each offset: views of a padded map, of the size of the map inside; both laid out."""
    rows = 2 if axis == 1 else 1
    height, width = inside.shape[rows], inside.shape[rows + 1]
    places = [(index // kernel, index % kernel) for index in range(kernel**2)]
    return [padded.narrow(rows, top, height).narrow(rows + 1, left, width) for top, left in places]
