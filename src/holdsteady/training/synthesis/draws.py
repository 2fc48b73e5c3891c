"""Random numbers that the generators share; a torch.Generator on the CPU is their only source."""

import math
from collections.abc import Collection, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from holdsteady.errors import ConfigError

T = TypeVar("T")


def uniform(random: torch.Generator, low: float, high: float) -> float:
    """Evenly in [low, high)."""
    return low + (high - low) * torch.rand((), generator=random).item()


def log_uniform(random: torch.Generator, low: float, high: float) -> float:
    """With a logarithm that is even in [log low, log high)."""
    return math.exp(uniform(random, math.log(low), math.log(high)))


def chance(random: torch.Generator, probability: float) -> bool:
    """True with a probability."""
    return uniform(random, 0, 1) < probability


def choose(random: torch.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of several, all as likely or by weight."""
    weighed = torch.ones(len(options)) if weights is None else torch.tensor(weights)
    return options[int(torch.multinomial(weighed, 1, generator=random))]


def choose_maker(
    random: torch.Generator, makers: Sequence[T], left_out: Collection[str], weights: Sequence[float] | None = None
) -> T:
    """One of several functions, but of those whose names are left out."""
    kept = [place for place, maker in enumerate(makers) if getattr(maker, "__name__", "") not in left_out]
    if not kept:
        raise ConfigError(f"nothing to choose is left without {', '.join(sorted(left_out))}")
    return makers[choose(random, kept, None if weights is None else [weights[place] for place in kept])]


def wander(random: torch.Generator, length: int, *shape: int) -> Tensor:
    """Numbers (T, ...) of standard deviation 1 that go up and down: fresh for each frame, or each tied to the last."""
    tie = choose(random, (0.0, 0.0, 0.5, 0.8))
    fresh = torch.randn(length, *shape, generator=random)
    values = [fresh[0]]
    for one in fresh[1:]:
        values.append(tie * values[-1] + math.sqrt(1 - tie**2) * one)
    return torch.stack(values)
