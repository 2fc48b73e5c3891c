"""Small pure parts of the loop: the learning rate, averaged weights."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def learning_rate_factor(step: int, progress: float, schedule: str, warmup: int) -> float:
    """What the highest learning rate is multiplied by.

    Args:
        step: steps done.
        progress: share of the budget that is spent, in [0, 1].
        schedule: ``cosine`` to 0; ``paper``, ÷10 after half and again after three quarters of the budget (arXiv
            2512.03014 divides after 10 and 15 of 20 epochs); or ``constant``.
        warmup: steps of linear rise.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if schedule == "cosine":
        return rise * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    if schedule == "paper":
        return rise * 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
    return rise


class AveragedWeights:
    """Exponential moving average of parameters, e ← decay·e + (1−decay)·p, corrected for its start."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._decay = decay
        self.sums = [torch.zeros_like(p) for p in self._parameters]
        self.weight = 0.0

    @torch.no_grad()
    def update(self) -> None:
        """Take the present values in."""
        torch._foreach_lerp_(self.sums, self._parameters, 1 - self._decay)
        self.weight = self._decay * self.weight + 1 - self._decay

    @torch.no_grad()
    def swap(self) -> list[Tensor]:
        """Put the averages into the parameters and give what was there, for :meth:`put_back`."""
        present = [p.detach().clone() for p in self._parameters]
        if self.weight:
            for parameter, total in zip(self._parameters, self.sums, strict=True):
                parameter.copy_(total / self.weight)
        return present

    @torch.no_grad()
    def put_back(self, present: list[Tensor]) -> None:
        """Undo :meth:`swap`."""
        for parameter, value in zip(self._parameters, present, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, object]:
        """What a resumed training needs."""
        return {"sums": self.sums, "weight": self.weight}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a :meth:`state_dict`."""
        sums = state["sums"]
        assert isinstance(sums, list) and isinstance(state["weight"], float)
        for total, saved in zip(self.sums, sums, strict=True):
            total.copy_(saved)
        self.weight = state["weight"]
