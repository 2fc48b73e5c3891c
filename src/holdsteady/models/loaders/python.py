"""A model that a Python file defines."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from torch import nn

from holdsteady.errors import ModelError, in_one_line, near

_LEVELS = 4  # folders above a file in which what it imports is looked for
# What functions of any arguments say when there are none.
_NO_FRAME = re.compile(
    r"missing (a )?(\d+ )?required|missing value for argument|tuple index out of range|not enough values to unpack"
    r"|\b0 (were )?given|arguments?,? got 0|got \(\)"
)
_OWN: WeakSet[ModuleType] = WeakSet()  # modules that were made here


def from_python(path: Path, name: str) -> Callable[..., Any]:
    """What a Python file defines by that name, or what it makes.

    Args:
        path: the file, which is run.
        name: a module, something that makes one without arguments, or a function of a frame.

    Raises:
        ModelError: there is no such file or name, it fails, or it is not a model.
    """
    if not path.is_file():
        raise ModelError(f"no file '{path}'")
    module = _import(path)
    thing = getattr(module, name, None)
    if thing is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise ModelError(f"{path} defines no '{name}'{near(name, public)}")
    if isinstance(thing, nn.Module):
        return thing
    if not callable(thing):
        raise ModelError(f"'{name}' in {path} is a {type(thing).__name__}; expected a model or a function")
    if _needs_arguments(thing):
        if isinstance(thing, type):
            raise ModelError(f"{name} in {path} can't be made without arguments; name a function that makes it")
        return thing
    try:
        made = thing()
    except Exception as error:
        if _takes_anything(thing) and _NO_FRAME.search(str(error)):  # a decorated function of a frame
            return thing
        raise ModelError(f"{name}() in {path} failed: {in_one_line(error)}") from error
    if not callable(made):
        raise ModelError(f"{name}() in {path} gave a {type(made).__name__}; expected a model")
    return made


def _import(path: Path) -> ModuleType:
    """The file as a module, with its neighbours importable, as under ``python file.py``.

    What it imports from the folders above, by a relative or a full name, is found there, after all else. A file that
    can't be run again, as it registers what it defines, is taken from the package that has imported it.
    """
    path = path.resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    above, added = list(path.parents)[:_LEVELS], list[str]()
    within = 0
    while True:
        try:
            return _as_part(path, within) if within else _run(path)
        except Exception as error:
            if (known := _imported(path)) is not None:
                return known
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            root = next((str(folder) for folder in above if _holds(folder, missing)), None)
            if root is not None and root not in sys.path:
                sys.path.append(root)
                added.append(root)
            elif isinstance(error, ImportError) and "relative import" in str(error) and within < len(above) - 1:
                within += 1
            else:
                sys.path[:] = [folder for folder in sys.path if folder not in added]
                raise ModelError(f"{path} can't be imported: {in_one_line(error)}") from error


def _run(path: Path, package: str = "") -> ModuleType:
    name = f"{package}.{path.stem}" if package else str(path) if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _OWN.add(module)
    # Dataclasses and pickles look their module up there.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _as_part(path: Path, levels: int) -> ModuleType:
    """The file as a module of a package, whose folder is so many above it."""
    root = path.parents[levels]
    is_new = str(root) not in sys.path
    if is_new:
        sys.path.append(str(root))
    try:
        package = importlib.import_module(".".join(path.parent.relative_to(root).parts))
        if str(path.parent) not in package.__path__:
            raise ImportError(f"attempted relative import, and another '{package.__name__}' was imported before")
        return _imported(path) or _run(path, package.__name__)
    except BaseException:
        if is_new:
            sys.path.remove(str(root))
        raise


def _imported(path: Path) -> ModuleType | None:
    """A file as a module that others have imported; what was run here is left out, as it may have changed since."""
    for module in list(sys.modules.values()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        is_of_it = isinstance(file, str) and Path(file).name == path.name and Path(file).resolve() == path
        if is_of_it and module not in _OWN:
            return module
    return None


def _holds(folder: Path, name: str | None) -> bool:
    """Whether a folder has the source of a module."""
    top = (name or "").partition(".")[0]
    return bool(top) and (Path(folder, f"{top}.py").is_file() or any(Path(folder, top).glob("*.py")))


def _needs_arguments(thing: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:  # of a function in C, as OpenCV's are
        return not isinstance(thing, type)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)


def _takes_anything(thing: Callable[..., Any]) -> bool:
    """Whether it is a function of any arguments, as decorators make them."""
    if isinstance(thing, type):
        return False
    return any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in inspect.signature(thing).parameters.values())
