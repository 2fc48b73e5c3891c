"""Whether code may look at values, as shortcuts on a CPU do."""

import torch
from torch import Tensor, nn


def can_look(value: Tensor) -> bool:
    """Whether the code may ask what is in a tensor: on a CPU, where it is quick, not while a graph is made of it."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    return type(value) in (Tensor, nn.Parameter) and value.device.type == "cpu"
