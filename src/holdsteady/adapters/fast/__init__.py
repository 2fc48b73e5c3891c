"""The formulas of ``method.py`` tuned for CPUs: the same signatures, values and gradients."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Head
from holdsteady.adapters.controller import enlarge_rows
from holdsteady.adapters.fast.bands import in_bands
from holdsteady.adapters.fast.window import spatial, spatial_by_layer
from holdsteady.adapters.method import Formulas

_HAS_OPENCV = find_spec("cv2") is not None


class LayeredHead(Protocol):
    """A head whose last layer is ``logits``; each of them depends on what is within ``reach`` pixels."""

    scale: int

    @property
    def logits(self) -> Any: ...

    @property
    def reach(self) -> int: ...

    def hidden(self, values: list[Tensor]) -> Tensor: ...


def box_mean(value: Tensor) -> Tensor:
    """As ``method.box_mean``: OpenCV's running sums, or sums of shifted views where gradients are wanted.

    Pooling looks at 25 values for each, and has one thread a channel.
    """
    wants_gradient = torch.is_grad_enabled() and value.requires_grad
    if _HAS_OPENCV and value.dtype == torch.float32 and not wants_gradient:
        return _running_sums(value)
    for axis in (2, 3):
        size = value.shape[axis]
        padded = F.pad(value, (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0))
        total = padded.narrow(axis, 0, size) + padded.narrow(axis, 1, size)
        for offset in (2, 3, 4):
            total = total + padded.narrow(axis, offset, size)
        inside = value.new_tensor(_neighbours(size))
        value = total / (inside[:, None] if axis == 2 else inside)
    return value


def _running_sums(value: Tensor) -> Tensor:
    import cv2

    planes = value.detach().contiguous().flatten(0, 1).numpy()
    means = np.empty_like(planes)
    down, across = (np.asarray(_neighbours(size), np.float32) for size in value.shape[2:])
    weight = 1 / (down[:, None] * across)
    for plane, mean in zip(planes, means, strict=True):
        cv2.boxFilter(plane, -1, (5, 5), dst=mean, normalize=False, borderType=cv2.BORDER_CONSTANT)
        mean *= weight
    return torch.from_numpy(means).view(value.shape)


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
