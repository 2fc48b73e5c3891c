"""The image in what a module returns: found in, and put back into, tuples, lists, dicts, dataclasses and objects."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from holdsteady.errors import ModelError, near

Path = tuple[str | int, ...]

#: What has attributes, and is nothing that was put together to be returned.
_NO_RECORDS = (Tensor, np.ndarray, Mapping, tuple, list, nn.Module, type, FunctionType, MethodType, ModuleType)
_HELD = (Tensor, np.ndarray, Mapping, tuple, list)
_BUILT_IN = (dict, OrderedDict, tuple, list)


def find_leaf(value: Any) -> Path | None:
    """Path to the first floating-point tensor or array with at least two axes; None if there is none."""
    if isinstance(value, Tensor):
        return () if value.is_floating_point() and value.ndim >= 2 else None
    if isinstance(value, np.ndarray):
        return () if np.issubdtype(value.dtype, np.floating) and value.ndim >= 2 else None
    for key, item in _items(value):
        path = find_leaf(item)
        if path is not None:
            return (key, *path)
    return None


def leaves(value: Any) -> list[tuple[Path, Any]]:
    """Every tensor or array with at least two axes, of any type, and the path to it, in the order of the output."""
    if isinstance(value, Tensor | np.ndarray):
        return [((), value)] if value.ndim >= 2 else []
    return [((key, *path), leaf) for key, item in _items(value) for path, leaf in leaves(item)]


def choose(value: Any, name: str | int) -> Any:
    """The entry of an output that a user named: a key, a field or a number, or several joined by dots.

    Raises:
        ModelError: there is no such entry; the text lists those that there are.
    """
    chosen = value
    for key in str(name).split("."):
        entries = dict(_items(chosen))
        number = int(key) if key.removeprefix("-").isdecimal() else None
        if key in entries:
            chosen = entries[key]
        elif key in getattr(chosen, "_fields", ()):
            chosen = getattr(chosen, key)
        elif number is not None and isinstance(chosen, tuple | list) and -len(chosen) <= number < len(chosen):
            chosen = chosen[number]
        elif number in entries:
            chosen = entries[number]
        else:
            known = ", ".join(dotted(path) for path, _ in leaves(value)) or f"a {type(value).__name__} alone"
            raise ModelError(f"the model gives no output '{name}'{near(key, map(str, entries))}; it gives {known}")
    return chosen


def dotted(path: Path) -> str:
    """A way to a leaf as :func:`choose` takes it."""
    return ".".join(map(str, path))


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
        # transformers' ModelOutput is a mapping too, and its own setter keeps both in sync; others may be frozen.
        (setattr if isinstance(value, Mapping) else object.__setattr__)(changed, str(key), child)
        return changed
    if isinstance(value, Mapping):
        return _with_entry(value, key, child)
    items = [child if index == key else item for index, item in enumerate(value)]
    if hasattr(value, "_fields"):
        return type(value)(*items)
    if isinstance(value, list) and type(value) is not list:
        changed = copy.copy(value)
        changed[int(key)] = child
        return changed
    try:
        return type(value)(items)
    except TypeError:  # it is made from other arguments
        return tuple.__new__(type(value), items)


def _with_entry(value: Mapping[Any, Any], key: str | int, child: Any) -> Any:
    if type(value) in _BUILT_IN:  # in a way that torch.compile follows
        entries = [(name, child if name == key else item) for name, item in value.items()]
        return dict(entries) if type(value) is dict else OrderedDict(entries)
    if isinstance(value, MutableMapping):
        changed = copy.copy(value)
        changed[key] = child
        return changed
    try:
        return type(value)({**value, key: child})  # type: ignore[call-arg]
    except TypeError as error:
        raise ModelError(
            f"the model gives a {type(value).__name__}, which can't be changed or made anew: return a dict"
        ) from error


def as_tensor(leaf: Any) -> Tensor:
    """A leaf as a tensor; an array shares its memory, unless it is reversed, read-only or of foreign byte order."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    if not leaf.flags.writeable or min(leaf.strides, default=0) < 0 or not leaf.dtype.isnative:
        leaf = leaf.astype(leaf.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(leaf)


def open_image(value: Any) -> tuple[Tensor, Callable[[Tensor], Any]] | None:
    """The image that :func:`find_leaf` finds, as a tensor, and what puts another one in its place; None without one."""
    path = find_leaf(value)
    if path is None:
        return None
    leaf = get_leaf(value, path)

    def put(tensor: Tensor) -> Any:
        return set_leaf(value, path, tensor.detach().cpu().numpy() if isinstance(leaf, np.ndarray) else tensor)

    return as_tensor(leaf), put


def what_to_state(value: Any) -> str:
    """What to say of an output of truths or whole numbers, after a semicolon; empty for any other."""
    dtype = str(getattr(value, "dtype", ""))
    if "bool" in dtype:
        return "; if it is a mask, say so: hs.Model(model, kind='mask'), or --kind mask"
    if "int" in dtype or (not dtype and hasattr(value, "mode")):  # of PIL
        return (
            "; if these are class numbers, say how many there are: hs.Model(model, kind='labels', classes=21), or "
            "--kind labels --classes 21"
        )
    return ""


def copied(frame: Any) -> Any:
    """A frame of its own, for a model that may write into what it is given."""
    return frame.clone() if isinstance(frame, Tensor) else copy.copy(frame)


def _is_record(value: Any) -> bool:
    """Whether its attributes are what it holds: a dataclass, or an object of any other class of somebody's own."""
    if type(value) in _BUILT_IN:  # torch.compile can't look closer
        return False
    if is_dataclass(value):
        return not isinstance(value, type)
    return hasattr(value, "__dict__") and not isinstance(value, _NO_RECORDS)


def _child(value: Any, key: str | int) -> Any:
    return getattr(value, str(key)) if _is_record(value) else value[key]


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if _is_record(value) and is_dataclass(value):
        return [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if _is_record(value):
        # No objects in it, which may know each other.
        return [(name, item) for name, item in vars(value).items() if isinstance(item, _HELD)]
    return []
