"""Counting the work of any network, by its operations alone: no hooks on modules or gradients."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count


def _attention_on_cpu(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape)


# Torch's table has only the GPU kernels.
_FORMULAS = {**flop_registry, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_on_cpu}


class FlopCounter(TorchDispatchMode):
    """Floating-point operations of convolutions, matrix products and attention, while it is entered.

    Torch's ``FlopCounterMode`` follows modules by hooks on gradients, and fails on parametrized weights and on
    parameters that are passed through modules; this one sees only operations. What has no formula counts nothing.

    Attributes:
        total: operations so far; a multiply-accumulate is two.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, OpOverload):
            return func(*args, **kwargs)
        formula = _FORMULAS.get(func._overloadpacket)
        if formula is None and not func.is_view:
            # Inference mode hands over operations that are not yet taken apart, as conv2d into convolution.
            with self:
                value = func.decompose(*args, **kwargs)
            if value is not NotImplemented:
                return value
        value = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=value)
        return value


@contextmanager
def counting_calls(modules: Iterable[nn.Module], counter: FlopCounter) -> Iterator[dict[nn.Module, list[int]]]:
    """The operations of each call of each module, one after the other."""
    calls: dict[nn.Module, list[int]] = {module: [] for module in modules}

    def begin(module: nn.Module, _inputs: Any) -> None:
        calls[module].append(-counter.total)

    def end(module: nn.Module, _inputs: Any, _value: Any) -> None:
        calls[module][-1] += counter.total

    hooks = [
        hook
        for module in calls
        for hook in (module.register_forward_pre_hook(begin), module.register_forward_hook(end))
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
