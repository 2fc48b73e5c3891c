"""The image in what a module returns: found in, and put back into, tuples, lists, dicts and dataclasses."""

import copy
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Path = tuple[str | int, ...]


def find_leaf(value: Any) -> Path | None:
    """The way to the first floating-point tensor or array with at least two axes; None if there is none."""
    if isinstance(value, Tensor):
        return () if value.is_floating_point() and value.ndim >= 2 else None
    if isinstance(value, np.ndarray):
        return () if np.issubdtype(value.dtype, np.floating) and value.ndim >= 2 else None
    for key, item in _items(value):
        path = find_leaf(item)
        if path is not None:
            return (key, *path)
    return None


def get_leaf(value: Any, path: Path) -> Any:
    """The leaf at the end of a path."""
    for key in path:
        value = _child(value, key)
    return value


def set_leaf(value: Any, path: Path, leaf: Any) -> Any:
    """A shallow copy of the containers along the path, with another leaf at its end."""
    if not path:
        return leaf
    key, rest = path[0], path[1:]
    child = set_leaf(_child(value, key), rest, leaf)
    if _is_record(value):
        changed = copy.copy(value)
        # transformers' ModelOutput is a mapping too, and its own setter keeps both in step; others may be frozen.
        (setattr if isinstance(value, Mapping) else object.__setattr__)(changed, str(key), child)
        return changed
    if isinstance(value, Mapping):
        changed = copy.copy(value)
        changed[key] = child  # type: ignore[index]
        return changed
    items = [child if index == key else item for index, item in enumerate(value)]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def as_tensor(leaf: Any) -> Tensor:
    """A leaf as a tensor; an array shares its memory."""
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf


def like(leaf: Any, tensor: Tensor) -> Any:
    """A tensor in the type of the leaf that it is to replace."""
    return tensor.detach().cpu().numpy() if isinstance(leaf, np.ndarray) else tensor


def copied(frame: Any) -> Any:
    """A frame of its own, for a model that may write into what it is given."""
    return frame.clone() if isinstance(frame, Tensor) else copy.copy(frame)


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _child(value: Any, key: str | int) -> Any:
    return getattr(value, str(key)) if _is_record(value) else value[key]


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if _is_record(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    return []
