"""The one place where the tuned formulas are chosen over those of ``method.py``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec

from torch import Tensor

from holdsteady.adapters import method
from holdsteady.adapters.cell import Formulas
from holdsteady.eager import can_look

# method.py is complete by itself: a test runs every kind with the folder deleted.
_HAS_FAST = find_spec("holdsteady.adapters.fast") is not None
_plain: ContextVar[bool] = ContextVar("plain", default=False)


def formulas_for(value: Tensor) -> Formulas:
    """The tuned formulas on a CPU; GPUs and the compiler take the plain ones, which they fuse themselves."""
    if _HAS_FAST and can_look(value) and not _plain.get():
        from holdsteady.adapters.fast import FastFormulas

        return FastFormulas()
    return method.Formulas()


@contextmanager
def plain_formulas() -> Iterator[None]:
    """In here everything runs by ``method.py``, so that no row is computed twice where work is counted."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)
