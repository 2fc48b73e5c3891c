"""Random values that move continuously from frame to frame."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor


def wander(shape: tuple[int, ...], memory: float, generator: torch.Generator) -> Iterator[Tensor]:
    """An endless path of independent values, each with mean 0 and standard deviation 1 at every frame.

    An Ornstein–Uhlenbeck process: values n frames apart correlate by exp(−n / memory).

    Args:
        shape: Of the values.
        memory: In frames, > 0.
        generator: On the CPU.
    """
    keep = math.exp(-1 / memory)
    value = torch.randn(shape, generator=generator)
    while True:
        yield value
        value = keep * value + math.sqrt(1 - keep * keep) * torch.randn(shape, generator=generator)
