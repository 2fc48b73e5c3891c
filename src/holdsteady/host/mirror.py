"""A second module tree over the same weights, so that nothing of the base is ever edited."""

import copy
from typing import Any

from torch import Tensor, nn

from holdsteady.errors import ModelError


def mirror(model: Any) -> nn.Module:
    """A copy of a model's structure, in eval mode, that shares its parameters and buffers.

    Modules and all that refers to them (lists, bound methods) are copied; tensors are the base's own, also
    when they are moved, loaded or trained later. Hooks set on the mirror are invisible to the base and to other
    mirrors.

    Raises:
        ModelError: the model holds something that can't be copied.
    """
    shared: dict[int, Any] = {}
    for module in model.modules():
        # The dicts themselves are shared: `base.to(device)` puts new buffers into them.
        for tensors in (module._parameters, module._buffers):
            shared[id(tensors)] = tensors
            shared.update((id(t), t) for t in tensors.values() if t is not None)
        shared.update((id(v), v) for v in vars(module).values() if isinstance(v, Tensor))
    try:
        return copy.deepcopy(model, shared).eval()
    except (TypeError, RuntimeError) as error:
        raise ModelError(
            f"can't attach inside {type(model).__name__}, part of it can't be copied ({error}); "
            "to stabilize its output alone, pass a function that calls it"
        ) from error
