"""What an object of Python is made of, as a digest: code, what that refers to, and values. The same in every process.

No addresses, hashes or orders of sets go into it, and of libraries nothing but names. It may differ for two objects
that do the same; it must not be equal for two that do not.
"""

import copyreg
import dis
import functools
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
# Of classes: what says nothing of what they do, or differs from run to run.
_NOT_OF_CLASSES = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "_abc_impl"}
_NOT_OF_CLASSES |= {"__static_attributes__", "__firstlineno__", "__annotate_func__", "__annotations_cache__"}
_CODE = ("co_code", "co_exceptiontable", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_consts")
_SIGNATURE = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags")
_PICKLED = ("__reduce__", "__reduce_ex__", "__getstate__")


class Content:
    """Makes digests of objects.

    Attributes:
        unknown: types of the objects that it came upon and that can't be told: what runs outside of Python.
    """

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self._known: dict[int, tuple[Any, str]] = {}  # with the object, which keeps its number from being given again
        self._open: list[int] = []

    def of(self, thing: Any) -> str:
        """The digest of an object and of all that it refers to."""
        if type(thing) in _PLAIN:
            return _hash(type(thing).__name__, repr(thing))
        if id(thing) in self._known:
            return self._known[id(thing)][1]
        if id(thing) in self._open:
            return _hash("above", str(len(self._open) - self._open.index(id(thing))))
        self._open.append(id(thing))
        try:
            found = self._of(thing)
        except RecursionError:
            found = self._untold(thing)
        finally:
            self._open.pop()
        self._known[id(thing)] = thing, found
        return found

    def _all(self, name: str, *things: Any) -> str:
        return _hash(name, *map(self.of, things))

    def _of(self, thing: Any) -> str:
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, Tensor):
            return self._tensor(thing)
        if type(thing) is np.ndarray:
            values = thing.tolist() if thing.dtype.hasobject else np.ascontiguousarray(thing).tobytes()
            return self._all("array", str(thing.dtype), thing.shape, values)
        if type(thing) in (tuple, list):
            return self._all(type(thing).__name__, *thing)
        if type(thing) in (set, frozenset):
            return _hash(type(thing).__name__, *sorted(map(self.of, thing)))
        if type(thing) in (dict, MappingProxyType):
            return self._all("dict", *(part for item in thing.items() for part in item))
        if isinstance(thing, CodeType):
            return self._all("code", *(getattr(thing, name) for name in (*_CODE, *_SIGNATURE)))
        if isinstance(thing, FunctionType):
            return self._function(thing)
        if isinstance(thing, MethodType):
            return self._all("method", thing.__func__, thing.__self__)
        if isinstance(thing, ModuleType):
            return self._module(thing)
        if isinstance(thing, staticmethod | classmethod):
            return self._all(type(thing).__name__, thing.__func__)
        if type(thing) is property:
            return self._all("property", thing.fget, thing.fset, thing.fdel)
        if type(thing) is functools.cached_property:  # which has a lock
            return self._all("cached", thing.func)
        if isinstance(thing, MemberDescriptorType | GetSetDescriptorType):
            return _hash("descriptor", thing.__name__)
        if isinstance(thing, nn.Module) and not isinstance(thing, torch.jit.ScriptModule):
            return self._all("module", type(thing), *(part for item in _state(thing) for part in item))
        return self._object(thing)

    def _function(self, function: FunctionType) -> str:
        if _is_in_library(function):
            return _hash("function", function.__module__, function.__qualname__)
        inside = [cell.cell_contents if _is_filled(cell) else "" for cell in function.__closure__ or ()]
        used = {**_imported(function.__code__), **_globals(function)}
        parts = (function.__code__, function.__defaults__, function.__kwdefaults__, inside, vars(function))
        named = [self._import(name) if value is _IMPORT else self.of(value) for name, value in used.items()]
        return _hash(self._all("function", function.__qualname__, *parts), *named)

    def _import(self, name: str) -> str:
        """A module that a function imports when it is called."""
        module = sys.modules.get(name)
        if module is not None:
            return self.of(module)
        try:
            spec = importlib.util.find_spec(name.partition(".")[0])
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None or not _is_library_file(spec.origin):
            self.unknown.append(f"module {name}")
        return _hash("module", name)

    def _class(self, kind: type) -> str:
        if _is_in_library(kind):
            return _hash("class", kind.__module__, kind.__qualname__)
        own = [
            part
            for name, value in vars(kind).items()
            if name not in _NOT_OF_CLASSES and not name.startswith("__pydantic")
            for part in (name, value)
        ]
        return self._all("class", kind.__qualname__, kind.__bases__, *own)

    def _module(self, module: ModuleType) -> str:
        """A module of one's own: its file, what is in it, and the modules that it takes from."""
        if is_library(module.__name__):
            return _hash("module", module.__name__)
        try:
            text = Path(str(module.__file__)).read_bytes()
        except (AttributeError, OSError):
            return self._untold(module)
        parts: list[Any] = [text]
        for name, value in list(vars(module).items()):
            home = value if isinstance(value, ModuleType) else sys.modules.get(str(getattr(value, "__module__", "")))
            if name.startswith("__"):
                continue
            if home is not None and home is not module:
                parts.append(home)
            if not isinstance(value, ModuleType):
                parts += [name, value]
        return self._all("module", *parts)

    def _tensor(self, tensor: Tensor) -> str:
        try:
            return _hash("tensor", str(tensor.dtype), str(tuple(tensor.shape)), bytes_of(tensor).hex())
        except (RuntimeError, NotImplementedError, TypeError):
            return self._untold(tensor)

    def _object(self, thing: Any) -> str:
        """By what would be pickled of it, without doing so."""
        try:
            registered = copyreg.dispatch_table.get(type(thing))
            reduced: Any = registered(thing) if registered else thing.__reduce_ex__(4)
            if isinstance(reduced, str):
                wrapped = getattr(thing, "__wrapped__", None)
                return self._all("name", getattr(thing, "__module__", None), reduced, wrapped)
            parts = [list(part) if hasattr(part, "__next__") else part for part in reduced]
        except Exception:  # whatever an object raises that can't be pickled
            return self._untold(thing)
        if any(not _is_in_library(base) and name in vars(base) for base in type(thing).__mro__ for name in _PICKLED):
            parts.append(getattr(thing, "__dict__", None))  # what it pickles need not be all
        return self._all("object", type(thing), *parts)

    def _untold(self, thing: Any) -> str:
        name = f"{type(thing).__module__}.{type(thing).__qualname__}"
        self.unknown.append(name)
        return _hash("unknown", name)


def bytes_of(tensor: Tensor) -> bytes:
    """The values of a tensor, to the last bit; none of one without storage.

    Raises:
        RuntimeError, NotImplementedError, TypeError: they are packed or sparse.
    """
    if tensor.is_meta or not tensor.numel():
        return b""
    plain: bytes = tensor.detach().cpu().contiguous().resolve_conj().reshape(-1).view(torch.uint8).numpy().tobytes()
    return plain


def is_library(module: str) -> bool:
    """Whether a module by that name came with Python or was installed."""
    top = module.partition(".")[0]
    if top == "holdsteady":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return _is_library_file(file) if file else top != "__main__" and top in sys.stdlib_module_names


_IMPORT = object()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(f"{len(part)} {part}" for part in parts).encode("utf-8", "replace")).hexdigest()


def _is_library_file(file: str) -> bool:
    path = Path(file)
    if file in ("built-in", "frozen") or not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return True
    return path.is_relative_to(sysconfig.get_paths()["stdlib"])


def _is_in_library(thing: Any) -> bool:
    """Whether a function or class is a library's, to be found there under its name: names can be lent."""
    if not is_library(str(thing.__module__)):
        return False
    found: Any = sys.modules.get(str(thing.__module__))
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def _state(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The attributes of a module; not its mode, which is set, nor the numbers of hooks, which count up."""
    for name, value in vars(module).items():
        if name != "training":
            yield name, list(value.values()) if "hook" in name and isinstance(value, Mapping) else value


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType, is_wanted: Callable[[str], bool]) -> dict[str, None]:
    found = (one for inner in _codes(code) for one in dis.get_instructions(inner) if is_wanted(one.opname))
    return dict.fromkeys(str(one.argval) for one in found)


def _globals(function: FunctionType) -> dict[str, Any]:
    """The global names that a function reads, and what they stand for now."""
    known = function.__globals__
    names = _names(function.__code__, lambda name: name in ("LOAD_GLOBAL", "LOAD_NAME"))
    return {name: known[name] for name in names if name in known}


def _imported(code: CodeType) -> dict[str, Any]:
    return dict.fromkeys(_names(code, lambda name: name == "IMPORT_NAME"), _IMPORT)
