"""The formulas of ``method.py`` tuned for CPUs: the same signatures, values and gradients."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Head
from holdsteady.adapters.controller import enlarge_rows
from holdsteady.adapters.fast.bands import in_bands
from holdsteady.adapters.fast.window import spatial, spatial_by_layer
from holdsteady.adapters.method import Formulas


class LayeredHead(Protocol):
    """A head whose last layer is ``logits``; each of them depends on what is within ``reach`` pixels."""

    scale: int

    @property
    def logits(self) -> Any: ...

    @property
    def reach(self) -> int: ...

    def hidden(self, values: list[Tensor]) -> Tensor: ...


def box_mean(value: Tensor) -> Tensor:
    """As ``method.box_mean``, by sums of shifted views, first down, then across: pooling has one thread a channel."""
    for axis in (2, 3):
        size = value.shape[axis]
        padded = F.pad(value, (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0))
        total = padded.narrow(axis, 0, size) + padded.narrow(axis, 1, size)
        for offset in (2, 3, 4):
            total = total + padded.narrow(axis, offset, size)
        inside = value.new_tensor(_neighbours(size))
        value = total / (inside[:, None] if axis == 2 else inside)
    return value


def _neighbours(size: int) -> Sequence[float]:
    """How many of the five places around each one are inside."""
    return [min(place, 2) + min(size - 1 - place, 2) + 1 for place in range(size)]


def spatial_by(head: Head, values: list[Tensor], present: Tensor, memory: Tensor, kernel: int) -> Tensor:
    """As ``method.spatial_by``, a band of rows at a time where a frame is large; the logits never exist as a whole."""
    around, layered = kernel // 2, cast(LayeredHead, head)
    if layered.scale > 1:
        small = layered.logits(layered.hidden(values))

        def enlarged(rows: slice) -> Tensor:
            logits = enlarge_rows(small, layered.scale, rows, present.shape[3])
            return spatial(present[:, :, rows], memory[:, :, rows], logits, kernel)

        return in_bands(enlarged, present, small.shape[1], around)

    def fused(rows: slice) -> Tensor:
        hidden = layered.hidden([value[:, :, rows] for value in values])
        return spatial_by_layer(layered.logits, present[:, :, rows], memory[:, :, rows], hidden, kernel)

    widest = max(sum(value.shape[1] for value in values), layered.logits.in_channels)
    return in_bands(fused, present, widest, max(layered.reach, around))


class FastFormulas(Formulas):
    """What ``choose.py`` gives to cells on a CPU."""

    box_mean = staticmethod(box_mean)
    spatial_by = staticmethod(spatial_by)
