"""Formulas tuned for CPUs: the same names, signatures, values and gradients (``choose.py``)."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.adapters.fast import planes
from holdsteady.adapters.fast.bands import in_bands
from holdsteady.adapters.fast.window import spatial, spatial_by_layer


class LayeredHead(Protocol):
    """A head whose last layer is ``logits``; each of them depends on what is within ``reach`` pixels."""

    scale: int

    @property
    def logits(self) -> Any: ...

    @property
    def reach(self) -> int: ...

    def hidden(self, values: list[Tensor]) -> Tensor: ...

    def enlarged(self, logits: Tensor, rows: slice, width: int) -> Tensor: ...


def box_mean(value: Tensor, side: int = 5) -> Tensor:
    """As ``means.box_mean`` where gradients are wanted: sums of shifted views. Pooling has one thread a channel."""
    around = side // 2
    for axis in (2, 3):
        size = value.shape[axis]
        padded = F.pad(value, (0, 0, around, around) if axis == 2 else (around, around, 0, 0))
        total = padded.narrow(axis, 0, size)
        for offset in range(1, side):
            total = total + padded.narrow(axis, offset, size)
        inside = value.new_tensor([planes.neighbours(place, size, side) for place in range(size)])
        value = total / (inside[:, None] if axis == 2 else inside)
    return value


def spatial_by(head: LayeredHead, values: list[Tensor], present: Tensor, memory: Tensor, kernel: int) -> Tensor:
    """As ``method.spatial_by``, a band of rows at a time where a frame is large; the logits never exist as a whole."""
    around = kernel // 2
    if head.scale > 1:
        small = head.logits(head.hidden(values))

        def enlarged(rows: slice) -> Tensor:
            logits = head.enlarged(small, rows, present.shape[3])
            return spatial(present[:, :, rows], memory[:, :, rows], logits, kernel)

        return in_bands(enlarged, present, small.shape[1], around)

    def fused(rows: slice) -> Tensor:
        hidden = head.hidden([value[:, :, rows] for value in values])
        return spatial_by_layer(head.logits, present[:, :, rows], memory[:, :, rows], hidden, kernel)

    widest = max(sum(value.shape[1] for value in values), head.logits.in_channels)
    return in_bands(fused, present, widest, max(head.reach, around))


def through(head: Any, seen: Tensor) -> Tensor:
    """As ``controller.through``, a band of rows at a time where a frame is large."""
    return in_bands(
        lambda rows: head.all_layers(seen[:, :, rows]), seen, max(seen.shape[1], head.logits.in_channels), head.reach
    )


def pointwise(value: Tensor, layer: nn.Conv2d) -> Tensor:
    """As ``controller.pointwise``: torch multiplies matrices faster, and takes them transposed."""
    batch, channels, height, width = value.shape
    if batch == 1 and value.is_contiguous():
        rows = value.reshape(channels, -1).t()
    else:
        rows = value.permute(0, 2, 3, 1).reshape(-1, channels)
    assert layer.bias is not None
    made = torch.addmm(layer.bias, rows, layer.weight.flatten(1).t())
    return made.view(batch, height, width, -1).permute(0, 3, 1, 2)


Forms = dict[str, Callable[..., Any]]

#: Tuned forms for any values, with their gradients.
DIFFERENTIABLE: Forms = {"spatial_by": spatial_by, "box_mean": box_mean}
#: Those for float32 where no gradients are wanted.
PLAIN: Forms = {
    "shrink": planes.shrink,
    "enlarge": planes.enlarge,
    "box_mean": planes.box_mean,
    "channel_mean": planes.channel_mean,
    "energy": planes.energy,
    "pointwise": pointwise,
    "through": through,
}
if find_spec("cv2") is None:
    PLAIN = {}
