"""Whether code may look at values, as shortcuts on a CPU do."""

import torch
from torch import Tensor, nn


def can_look(value: Tensor) -> bool:
    """Whether code may look at a tensor's values: on a CPU, where that is cheap, and not while tracing."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    return type(value) in (Tensor, nn.Parameter) and value.device.type == "cpu"
