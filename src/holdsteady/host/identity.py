"""The fingerprint of a base in an adapter, and whether a model matches it."""

import hashlib
import warnings
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.errors import AdapterError
from holdsteady.host.mirror import can_mirror, named_modules, named_parameters

_SAMPLES = 64  # values of each parameter


def base_of(model: Any) -> dict[str, str]:
    """What an adapter remembers of its base.

    ``class``, ``parameters``, a digest of the parameters' names and shapes, ``weights``, one of their values, and the
    ``card`` of a model that has one.
    """
    card = getattr(model, "card", None)
    # A Model stands around another; hosts know nothing more of it than that.
    kind = type(getattr(model, "fn", model) if isinstance(card, BaseModel) else model)
    base = {"class": f"{kind.__module__}.{kind.__qualname__}", "parameters": ""}
    if isinstance(card, BaseModel):
        base["card"] = card.model_dump_json(exclude_unset=True)
    if isinstance(model, nn.Module):
        base |= {"parameters": digest(model), "weights": weights_digest(model)}
    return base


def digest(module: nn.Module) -> str:
    """A short digest of the names and shapes of a module's own and inner parameters; empty without any."""
    lines = [f"{name} {tuple(parameter.shape)}" for name, parameter in named_parameters(module)]
    return _hash("\n".join(lines).encode()) if lines else ""


def weights_digest(module: nn.Module) -> str:
    """The parameters' dtype and a short digest of values spread over each of them; empty where there are none to read.

    Training changes all values, so that a few tell. They are the same on every device, not in every dtype.
    """
    tensors = [t for _, t in named_parameters(module) if _readable(t)]
    if not tensors:
        return ""
    values = torch.cat([_sample(tensor).to("cpu", torch.float64) for tensor in tensors])
    return f"{str(tensors[0].dtype).removeprefix('torch.')} {_hash(values.numpy().tobytes())}"


def _readable(parameter: Tensor) -> bool:
    """Whether there are plain floats in it, and not what a quantization packs, or nothing."""
    return (
        parameter.is_floating_point()
        and parameter.numel() > 0
        and not parameter.is_meta
        and type(parameter.data) is Tensor
    )


def _sample(tensor: Tensor) -> Tensor:
    """Values in even steps, without a copy of the whole in another memory order."""
    steps = torch.linspace(0, tensor.numel() - 1, min(_SAMPLES, tensor.numel()), dtype=torch.float64).round().long()
    values = tensor.detach()
    return values[torch.unravel_index(steps.to(values.device), values.shape)] if values.ndim else values[None]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def check_base(adapter: Adapter, model: Any) -> None:
    """Check that a model has the points that an adapter was made for.

    Adapters at input and output alone go with any model. One that was trained on the same network with other weights
    is warned about.

    Raises:
        AdapterError: with the name of every point that is missing or differs, and how.
    """
    modules = dict(named_modules(model)) if can_mirror(model) else {}
    faults = []
    for point in adapter.points:
        if point.name in ("input", "output"):
            continue
        module = modules.get(point.name)
        if module is None:
            faults.append(f"'{point.name}' is missing")
        elif type(module).__name__ != point.type:
            faults.append(f"'{point.name}' is a {type(module).__name__}, not a {point.type}")
        elif digest(module) != point.parameters:
            faults.append(f"'{point.name}' has parameters of different shapes")
    if faults:
        raise AdapterError(
            f"this adapter was made for {adapter.base.get('class', 'another base')}, not for this "
            f"{type(model).__name__}: {'; '.join(faults)}"
        )
    if _has_other_weights(adapter, model):
        warnings.warn(
            f"this adapter was trained on other weights of {type(model).__name__} than these; train it on these, "
            "or load the weights that it was trained on",
            stacklevel=3,
        )


def _has_other_weights(adapter: Adapter, model: Any) -> bool:
    then = adapter.base.get("weights", "")
    if not (then and adapter.config.learned and isinstance(model, nn.Module)):
        return False
    if digest(model) != adapter.base.get("parameters"):
        return False  # another network altogether
    now = weights_digest(model)
    return now.partition(" ")[0] == then.partition(" ")[0] and now != then
