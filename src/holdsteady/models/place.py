"""Moving a model without damaging unusual weights."""

from typing import TypeVar

import torch
from torch import Tensor, nn

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
