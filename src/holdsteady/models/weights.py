"""Weights from a file into a model: safetensors, and PyTorch's checkpoints, unpickling nothing but tensors."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save_model as save_from
from torch import Tensor, nn

from holdsteady.errors import ModelError, in_one_line
from holdsteady.models.model import Model
from holdsteady.permissions import as_new_files_are

# Averaged weights take precedence over the last ones, as their authors intend.
_AVERAGED = re.compile(r"(^|_)(ema|swa|averaged?)(_|$)", re.IGNORECASE)
# Counters that profilers leave in a model.
_IGNORED = ("total_ops", "total_params", "num_batches_tracked")

State = dict[str, Tensor]


def load_weights(model: Any, weights: Path, trust: bool = False) -> None:
    """Put the weights of a file into a model, in the model's own precision.

    The state dict may stand anywhere in a checkpoint (``state_dict``, ``params``, ``params_ema``, …), and its names may
    have something in front of them (``module.``, ``model.``, …): the one that fits is taken, averaged weights first.

    Args:
        weights: ``.safetensors``, or what ``torch.save`` wrote.
        trust: unpickle whatever the file holds. Only for files from somebody whose programs you would run.

    Raises:
        ModelError: there is no such file, it holds more than tensors, or it does not fit.
    """
    if isinstance(model, Model):
        model = model.fn
    if not isinstance(model, nn.Module):
        raise ModelError(f"--weights {weights}: a {type(model).__name__} has no weights to load")
    target = model.state_dict()
    states = list(_states(read_checkpoint(weights, trust)))
    if not states:
        raise ModelError(f"{weights} holds no weights by name")
    named = [_renamed(state, target) for state in states]
    fitting = [state for state in named if not _faults(state, target)]
    if not fitting:
        closest = min(named, key=lambda state: len(_faults(state, target)))
        faults = _faults(closest, target)
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ModelError(f"{weights} does not fit {type(model).__name__}: {'; '.join(faults[:3])}{more}")
    unused = sorted({name.partition(".")[0] for name in fitting[0] if name not in target and not _is_ignored(name)})
    if unused:
        warnings.warn(f"{weights} has more in it than {type(model).__name__}: {', '.join(unused)}", stacklevel=2)
    model.load_state_dict({name: fitting[0][name] for name in target if name in fitting[0]}, strict=False)


def save_weights(model: nn.Module, path: Path) -> None:
    """The weights of a model as :func:`load_weights` takes them."""
    save_from(model.fn if isinstance(model, Model) else model, str(path))
    as_new_files_are(path)


def read_checkpoint(path: Path, trust: bool = False) -> Any:
    """What a file of weights holds, on the CPU.

    Raises:
        ModelError: there is no such file, it is damaged, or it holds more than tensors.
    """
    if not path.is_file():
        raise ModelError(f"no weights file '{path}'")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        found = str(error).partition("GLOBAL ")[2].partition(" ")[0]
        raise ModelError(
            f"{path} holds more than tensors{f' ({found})' if found else ''}, and unpickling it could run any program; "
            "if you trust its author, add --trust"
        ) from error
    except Exception as error:  # a damaged pickle makes torch raise anything
        raise ModelError(f"{path} can't be read: {in_one_line(error)}") from error


def _states(content: Any, depth: int = 3) -> Iterator[State]:
    """Every state dict in a checkpoint, averaged ones first."""
    if isinstance(content, nn.Module):
        yield dict(content.state_dict())
    elif isinstance(content, Mapping) and depth:
        for name in sorted(content, key=lambda name: not _AVERAGED.search(str(name))):
            yield from _states(content[name], depth - 1)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            yield tensors


def _renamed(state: State, target: Mapping[str, Any]) -> State:
    """A state dict without what stands in front of all its names, or with what the target has there."""
    longer = [{front + name: value for name, value in state.items()} for front in _fronts(target)]
    # The first of the best, which is the one that is changed least.
    return max([*_shorter(state), *longer], key=lambda renamed: sum(name in target for name in renamed))


def _shorter(state: State) -> Iterator[State]:
    """A state dict, and what is in it behind each beginning of its names, as ``model.module.``."""
    yield state
    for front in _fronts(state):
        yield from _shorter(
            {name.removeprefix(front): value for name, value in state.items() if name.startswith(front)}
        )


def _fronts(state: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name[: name.index(".") + 1] for name in state if "." in name))


def _is_ignored(name: str) -> bool:
    return name.endswith(_IGNORED)


def _faults(state: State, target: Mapping[str, Any]) -> list[str]:
    """Why a state dict can't be loaded; empty if it can. Names that share their memory are saved once."""
    there = {value.data_ptr() for name, value in target.items() if name in state and isinstance(value, Tensor)}
    missing = [
        name
        for name, value in target.items()
        if name not in state and not _is_ignored(name) and not (isinstance(value, Tensor) and value.data_ptr() in there)
    ]
    # Parts that the model has none of are left out; more of a part that it has tells that it was built otherwise.
    parts = {name.partition(".")[0] for name in target}
    extra = [
        n for n in state if n not in target and not _is_ignored(n) and ("." not in n or n.partition(".")[0] in parts)
    ]
    shapes = [
        f"{name} is {tuple(value.shape)}, not {tuple(target[name].shape)}"
        for name, value in state.items()
        if name in target and isinstance(target[name], Tensor) and value.shape != target[name].shape
    ]
    return [*shapes, *(f"{name} is missing" for name in missing), *(f"{name} is not in it" for name in extra)]
