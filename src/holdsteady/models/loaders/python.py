"""A model that a Python file defines."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from holdsteady.errors import ModelError, in_one_line, near

_LEVELS = 4  # folders above a file in which what it imports is looked for


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
        if _takes_anything(thing):  # a decorated function of a frame
            return thing
        raise ModelError(f"{name}() in {path} failed: {in_one_line(error)}") from error
    if not callable(made):
        raise ModelError(f"{name}() in {path} gave a {type(made).__name__}; expected a model")
    return made


def _import(path: Path) -> ModuleType:
    """The file as a module, with its neighbours importable, as under ``python file.py``.

    What it imports from the folders above, by a relative or a full name, is found there.
    """
    path = path.resolve()
    _search(path.parent)
    above = list(path.parents)[:_LEVELS]
    within = 0
    while True:
        try:
            return _as_part(path, within) if within else _run(path)
        except ModuleNotFoundError as error:
            root = next((folder for folder in above if _holds(folder, error.name)), None)
            if root is None or str(root) in sys.path:
                raise ModelError(f"{path} can't be imported: {in_one_line(error)}") from error
            _search(root)
        except Exception as error:
            if not (isinstance(error, ImportError) and "relative import" in str(error)) or within == len(above) - 1:
                raise ModelError(f"{path} can't be imported: {in_one_line(error)}") from error
            within += 1


def _run(path: Path, package: str = "") -> ModuleType:
    name = f"{package}.{path.stem}" if package else str(path) if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
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
    _search(root)
    package = importlib.import_module(".".join(path.parent.relative_to(root).parts))
    if str(path.parent) not in package.__path__:
        raise ImportError(f"attempted relative import, and another '{package.__name__}' was imported before")
    return _run(path, package.__name__)


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


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
