"""The one place where a formula's tuned form is chosen over the formula.

``tunable`` marks a formula that may have one, in ``fast``, under the same name. Without that folder everything runs the
same, which a test shows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from holdsteady.eager import can_look

_HAS_FAST = find_spec("holdsteady.adapters.fast") is not None
_plain: ContextVar[bool] = ContextVar("plain", default=False)

P = ParamSpec("P")
R = TypeVar("R")


def tunable(formula: Callable[P, R]) -> Callable[P, R]:
    """A formula of tensors that gives way to its tuned form on a CPU.

    GPUs and the compiler take the formula itself, which they fuse as they like.
    """

    @wraps(formula)
    def chosen(*args: P.args, **kwargs: P.kwargs) -> R:
        values = [value for value in args if isinstance(value, Tensor)]
        if _HAS_FAST and all(can_look(value) for value in values) and not _plain.get():
            from holdsteady.adapters.fast import DIFFERENTIABLE, PLAIN

            name, wants_gradient = formula.__name__, torch.is_grad_enabled() and any(x.requires_grad for x in values)
            tuned = DIFFERENTIABLE.get(name)
            if not wants_gradient and all(value.dtype == torch.float32 for value in values):
                tuned = PLAIN.get(name, tuned)
            if tuned is not None:
                result: R = tuned(*args, **kwargs)
                return result
        return formula(*args, **kwargs)

    return chosen


@contextmanager
def plain_formulas() -> Iterator[None]:
    """In here everything runs by the formulas, so that no row is computed twice where work is counted."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)
