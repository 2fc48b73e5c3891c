"""The learning rate over a budget, and averaged weights put in place of the present ones for a while."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_scheduler(optimizer: Optimizer, schedule: str, warmup: int, spent: Callable[[], float]) -> LambdaLR:
    """A scheduler that multiplies the learning rate of each group.

    Args:
        optimizer: its learning rates are the highest.
        schedule: ``cosine`` to 0; ``paper``, ÷10 after half and again after three quarters of the budget (arXiv
            2512.03014 divides after 10 and 15 of 20 epochs); or ``constant``.
        warmup: steps of linear rise.
        spent: the share of the budget that is spent, in [0, 1]. A budget in minutes has no number of steps, so torch's
            own cosine and step schedules, which count steps, don't do.
    """
    decays: dict[str, Callable[[float], float]] = {
        "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * min(share, 1.0))),
        "paper": lambda share: 0.1 ** ((share >= 0.5) + (share >= 0.75)),
        "constant": lambda _: 1.0,
    }
    decay = decays[schedule]
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(warmup, 1)) * decay(spent()))


def make_average(parameters: Iterable[nn.Parameter], decay: float) -> AveragedModel:
    """An exponential moving average e ← decay·e + (1−decay)·p of parameters, which begins at the first update."""
    return AveragedModel(nn.ParameterList(parameters), multi_avg_fn=get_ema_multi_avg_fn(decay))


@torch.no_grad()
def assign(parameters: Sequence[nn.Parameter], values: Iterable[Tensor]) -> None:
    """Copy values into parameters."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


@contextmanager
def averaged(parameters: Sequence[nn.Parameter], average: AveragedModel | None) -> Iterator[None]:
    """Inside, the parameters have their averaged values, if there are any."""
    if average is None or not average.n_averaged:
        yield
        return
    present = [parameter.detach().clone() for parameter in parameters]
    assign(parameters, average.parameters())
    try:
        yield
    finally:
        assign(parameters, present)
