"""What all metrics share: checked shapes, floating-point values, and means over the known elements."""

import torch
from torch import Tensor

from holdsteady.errors import MetricError


def check_shapes(*frames: Tensor) -> None:
    """Raise MetricError unless all are frames (B, ...) of one shape with at least one axis after B."""
    shapes = [tuple(frame.shape) for frame in frames]
    if len(set(shapes)) > 1:
        raise MetricError(f"frames to compare must have one shape, got {' and '.join(map(str, shapes))}")
    if len(shapes[0]) < 2:
        raise MetricError(f"frames need a batch axis: expected (B, ...), got {shapes[0]}; use frame[None]")


def as_float(frame: Tensor) -> Tensor:
    """The frame in float32 or better, so that 8-bit values don't wrap around and halves don't overflow."""
    return frame.to(torch.promote_types(frame.dtype, torch.float32))


def mean_where(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the valid values of each stream, (B, ...) → (B,); NaN for a stream with none.

    A NaN among the valid values is a prediction that is missing where the truth is known. It counts as an
    infinite error: a model must not score better by failing.
    """
    values = torch.where(values.isnan(), torch.inf, values)
    batch = len(values)
    total = torch.where(valid, values, 0).reshape(batch, -1).sum(dim=1)
    return total / valid.reshape(batch, -1).sum(dim=1)
