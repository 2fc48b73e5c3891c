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
        raise ModelError(f"{name}() in {path} failed: {in_one_line(error)}") from error
    if not callable(made):
        raise ModelError(f"{name}() in {path} gave a {type(made).__name__}; expected a model")
    return made


def _import(path: Path) -> ModuleType:
    """The file as a module, with its neighbours importable, as under ``python file.py``."""
    name = str(path.resolve()) if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Dataclasses and pickles look their module up there.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(f"{path} can't be imported: {in_one_line(error)}") from error
    return module


def _needs_arguments(thing: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:  # of a function in C, as OpenCV's are
        return not isinstance(thing, type)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)
