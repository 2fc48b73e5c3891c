"""Moving a model without damaging unusual weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from holdsteady.host.mirror import apply, named_modules

_Module = TypeVar("_Module", bound=nn.Module)


def place(
    module: _Module, device: str | torch.device, dtype: torch.dtype = torch.float32, *, channels_last: bool = False
) -> _Module:
    """A module on a device and in a precision.

    Only floating tensors are cast: complex and whole numbers are moved as they are, and so are quantized weights, which
    are tensors of a class of their own. Only kernels of two dimensions (O, I, H, W) are put into channels-last memory.
    """

    def move(tensor: Tensor) -> Tensor:
        if type(tensor) not in (Tensor, nn.Parameter) or not tensor.is_floating_point():
            return tensor.to(device)
        if channels_last and tensor.ndim == 4:
            return tensor.to(device, dtype, memory_format=torch.channels_last)
        return tensor.to(device, dtype)

    with torch.inference_mode(False), torch.no_grad():
        apply(module, move)
    return module


def switch(module: _Module, training: bool) -> _Module:
    """A module in training or eval mode, also where attributes of its own have the names of methods of torch."""
    modules = [inner for _, inner in named_modules(module)]
    if any(name in vars(inner) for inner in modules for name in ("train", "children")):
        for inner in modules:
            inner.training = training
        return module
    return module.train(training)


def in_eval(module: _Module) -> _Module:
    """A module in eval mode."""
    return switch(module, training=False)


@contextmanager
def borrowed(*things: Any) -> Iterator[None]:
    """Modules of somebody else are put back as they were: modes, and where and as what their tensors are kept."""
    modules: list[nn.Module] = []
    for thing in things:
        for _, inner in named_modules(_behind(thing)) if isinstance(thing, nn.Module) else ():
            modules += inner.modules() if isinstance(inner, torch.jit.ScriptModule) else [inner]
    kept = []
    for module in modules:
        given = {name: one for name, one in module._parameters.items() if one is not None and not is_lazy(one)}
        parameters = {name: (one, one.data) for name, one in given.items()}
        tensors = {name: one for name, one in vars(module).items() if isinstance(one, Tensor)}
        kept.append((module, module.training, parameters, dict(module._buffers.items()), tensors))
    try:
        yield
    finally:
        for module, training, parameters, buffers, tensors in kept:
            module.training = training
            for name, (parameter, data) in parameters.items():
                parameter.data = data
                module._parameters[name] = parameter
            for name, buffer in buffers.items():
                module._buffers[name] = buffer
            vars(module).update(tensors)


def _behind(model: nn.Module) -> nn.Module:
    """What stands behind a card, in which a scripted network is no submodule."""
    inner = None if getattr(model, "has_points", True) else getattr(model, "fn", None)
    return inner if isinstance(inner, nn.Module) else model
