"""The method in pure functions: how a present value and what is remembered become the stabilized value.

Names: ``present`` is z_t, ``memory`` is z̃_{t−1} (or what takes its place), both maps (B, C, H, W). All
arguments are finite; what happens to NaN, infinities and first frames is decided in ``stabilizers.py``.
Every result is a convex combination of present and memory (and of zero, where a window leaves the image).
"""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.adapters.bands import in_bands
from holdsteady.adapters.window import Offsets, can_look, fuse_window, fuse_window_by, reach


def is_finite(value: Tensor) -> Tensor:
    """Where a value is neither NaN nor infinite; torch.isfinite takes three times as long on a CPU."""
    return (value - value) == 0


def is_all_finite(*values: Tensor) -> bool:
    """Whether it is certain that no value is NaN or infinite: one pass over each, on CPUs; False where it is slow."""
    if not all(can_look(value) for value in values):
        return False
    # Finite values whose sum overflows are said to be uncertain, which costs time alone.
    return all(bool(value.detach().sum(dtype=torch.float32).isfinite()) for value in values)


def count_non_finite(value: Tensor) -> Tensor:
    """How many values of each stream are NaN or infinite: (B, …) → (B,)."""
    if is_all_finite(value):
        return torch.zeros(len(value), dtype=torch.long)
    return (~is_finite(value)).flatten(1).sum(dim=1)


def ema(present: Tensor, memory: Tensor, beta: Tensor | float) -> Tensor:
    """Exponential moving average β z_t + (1−β) z̃_{t−1}; β is the weight of the present, in [0, 1]."""
    # Not memory + β (present − memory), which overflows in half precision and is not the base at β = 1.
    return beta * present + (1 - beta) * memory


def gaussian_weights(sigma: float) -> Tensor:
    """Weights (N,) of a causal Gaussian window, newest first; N − 1 ≥ 3σ and their sum is one."""
    age = torch.arange(math.ceil(3 * sigma) + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (age / sigma) ** 2)
    return (weights / weights.sum()).float()


def controlled(present: Tensor, memory: Tensor, logits: Tensor) -> Tensor:
    """Controlled fusion β ⊙ z_t + (1−β) ⊙ z̃_{t−1} with 1−β = sigmoid(logits).

    Args:
        present: z_t (B, C, H, W).
        memory: z̃_{t−1} (B, C, H, W).
        logits: (B, G, H, W), G dividing C: each is shared by C/G neighbouring channels.
    """
    beta = torch.sigmoid(-logits)
    if logits.shape[1] in (1, present.shape[1]):
        return ema(present, memory, beta)
    split = (logits.shape[1], -1)
    return ema(present.unflatten(1, split), memory.unflatten(1, split), beta.unsqueeze(2)).flatten(1, 2)


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int, dilations: tuple[int, ...] = (1,)) -> Tensor:
    """Spatial fusion: the present and windows of the memory, weighted by a softmax for each value.

    z̃_t[p] = η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p + o], where η is the softmax over (0, logits); the
    memory is zero outside the image. It is never unfolded: the windows are shifted views of one padded copy, added
    up one by one.

    Args:
        present: z_t (B, C, H, W).
        memory: z̃_{t−1} (B, C, H, W).
        logits: (B, D·k²·G, H, W), G dividing C: a window for each G-th part of the channels. The G logits of an
            offset lie next to each other, offsets row by row from the top left, windows in the order of ``dilations``.
        kernel: k, odd.
        dilations: for each of the D windows, the step between its offsets in pixels.
    """
    return fuse_window(present, memory, logits, window_offsets(kernel, dilations))


def spatial_by(
    layer: nn.Conv2d, present: Tensor, memory: Tensor, hidden: Tensor, kernel: int, dilations: tuple[int, ...] = (1,)
) -> Tensor:
    """:func:`spatial` with the logits ``layer(hidden)``, which need not exist as a whole: they take most of its memory.

    Args:
        layer: the last of a head, of stride 1; its padding keeps the size.
        hidden: what it sees, (B, width, H, W).
        present, memory, kernel, dilations: as of :func:`spatial`.
    """
    return fuse_window_by(layer, present, memory, hidden, window_offsets(kernel, dilations))


class WindowHead(Protocol):
    """A head at the size of its point: ``logits(hidden(values))``, each place from those within ``reach`` pixels."""

    @property
    def logits(self) -> Any: ...

    @property
    def reach(self) -> int: ...

    def hidden(self, values: list[Tensor]) -> Tensor: ...


def spatial_in_bands(
    head: WindowHead,
    values: list[Tensor],
    present: Tensor,
    memory: Tensor,
    kernel: int,
    dilations: tuple[int, ...] = (1,),
) -> Tensor:
    """:func:`spatial_by` with all of a head, a band of rows at a time where a frame is large.

    Args:
        values: what the head sees, maps (B, …, H, W).
        present, memory, kernel, dilations: as of :func:`spatial`.
    """

    def fused(rows: slice) -> Tensor:
        hidden = head.hidden([value[:, :, rows] for value in values])
        return spatial_by(head.logits, present[:, :, rows], memory[:, :, rows], hidden, kernel, dilations)

    widest = max(sum(value.shape[1] for value in values), head.logits.in_channels)
    return in_bands(fused, present, widest, max(head.reach, reach(window_offsets(kernel, dilations))))


def window_offsets(kernel: int, dilations: tuple[int, ...] = (1,)) -> Offsets:
    """(row, column) of each offset o of :func:`spatial`, in the order of its logits."""
    return tuple(
        (step * (index // kernel - kernel // 2), step * (index % kernel - kernel // 2))
        for step in dilations
        for index in range(kernel * kernel)
    )


def local_difference(present: Tensor, warped: Tensor) -> Tensor:
    """5×5 box mean of |z_t − w_t| averaged over channels, (B, 1, H, W)."""
    difference = (present - warped).abs().mean(dim=1, keepdim=True)
    return box_mean(difference)


def nearer(present: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """At each place the one of two memories (B, C, H, W) that differs less from the present around it (5×5)."""
    with torch.no_grad():
        chosen = local_difference(present, first) < local_difference(present, second)
    return torch.where(chosen, first, second)


def box_mean(value: Tensor) -> Tensor:
    """5×5 box mean of a map (B, C, H, W); at the border the mean of what lies inside the image."""
    # By sums of shifted views, first down, then across: pooling uses one thread for a map of one channel.
    for axis in (2, 3):
        size = value.shape[axis]
        padded = F.pad(value, (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0))
        total = padded.narrow(axis, 0, size) + padded.narrow(axis, 1, size)
        for offset in (2, 3, 4):
            total = total + padded.narrow(axis, offset, size)
        place = torch.arange(size, device=value.device)
        inside = (place.clamp(max=2) + place.flip(0).clamp(max=2) + 1).to(value.dtype)
        value = total / (inside[:, None] if axis == 2 else inside)
    return value


def motion_fixed_weight(present: Tensor, warped: Tensor, memory_weight: float, tolerance: float) -> Tensor:
    """Weight of the memory of *motion fixed*, a·exp(−(d/s)²/2) with s = c·median(d), (B, 1, H, W).

    Args:
        present: z_t (B, C, H, W).
        warped: w_t, the memory brought to the present, (B, C, H, W).
        memory_weight: a, the largest weight of the memory, in [0, 1].
        tolerance: c, how far above the median a difference may be, > 0.
    """
    d = local_difference(present, warped).float()
    median = d.flatten(1).median(dim=1).values[:, None, None, None]
    scale = (tolerance * median).clamp_min(1e-6)
    return (memory_weight * torch.exp(-0.5 * (d / scale) ** 2)).to(present.dtype)
