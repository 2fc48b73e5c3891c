"""From what a user names on the command line to a model that can be run on frames in [0, 1]."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model as load_into
from safetensors.torch import save_model as save_from
from torch import Tensor, nn

from holdsteady import zoo
from holdsteady.errors import MissingExtraError, ModelError, near

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageNetNormalized(nn.Module):
    """A model that wants ImageNet's mean and deviation taken off, behind frames in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None])

    def forward(self, frame: Tensor) -> Any:
        return self.model((frame - self.mean) / self.std)


def load_model(spec: str, weights: Path | None = None) -> Callable[..., Any]:
    """A frame-wise model by name.

    Args:
        spec: the name of a model that ships here; ``file.py:name``, where the name is a module, something that makes
            one without arguments, or a function of a frame; or a torchvision model.
        weights: safetensors to load into it. Torchvision's own weights are taken where none are given.

    Returns:
        The model, in eval mode if it is a module: frames (B, 3, H, W) in [0, 1] → outputs.

    Raises:
        ModelError: nothing goes by that name, the file fails, or the weights don't fit.
        MissingExtraError: torchvision is needed and not installed.
    """
    file, colon, name = spec.rpartition(":")
    if colon and file.endswith(".py"):
        model = _from_file(Path(file), name)
    elif spec.endswith(".py"):
        raise ModelError(f"'{spec}': name what to take from the file, as in {spec}:make_model")
    elif spec in zoo.NAMES:
        model = zoo.load(spec)
    else:
        model = _from_torchvision(spec, pretrained=weights is None)
    if weights is not None:
        load_weights(model, weights)
    return model.eval() if isinstance(model, nn.Module) else model


def _from_file(path: Path, name: str) -> Callable[..., Any]:
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
        raise ModelError(f"{name}() in {path} failed: {type(error).__name__}: {error}") from error
    if not callable(made):
        raise ModelError(f"{name}() in {path} gave a {type(made).__name__}; expected a model")
    return made


def _import(path: Path) -> ModuleType:
    """The file as a module, with what lies beside it importable, as ``python file.py`` has it."""
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
        raise ModelError(f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return module


def _needs_arguments(thing: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)


def _from_torchvision(name: str, pretrained: bool) -> nn.Module:
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError(
            f"'{name}' is no model that ships here ({', '.join(zoo.NAMES)}); for torchvision's: "
            "pip install 'holdsteady[models]'"
        ) from error
    known = models.list_models()
    if name not in known:
        raise ModelError(
            f"no model is named '{name}'{near(name, [*zoo.NAMES, *known])}; give one that ships here "
            f"({', '.join(zoo.NAMES)}), file.py:name, or a torchvision model"
        )
    if not pretrained:
        return ImageNetNormalized(models.get_model(name, weights=None, **_without_download(models, name)))
    try:
        return ImageNetNormalized(models.get_model(name, weights="DEFAULT"))
    except Exception as error:
        raise ModelError(
            f"torchvision's weights of '{name}' could not be fetched ({error}); give --weights FILE.safetensors"
        ) from error


def _without_download(models: Any, name: str) -> dict[str, None]:
    """Segmentation models fetch the weights of their backbone unless told not to."""
    parameters = inspect.signature(models.get_model_builder(name)).parameters
    return {"weights_backbone": None} if "weights_backbone" in parameters else {}


def load_weights(model: Any, weights: Path) -> None:
    """Put the weights of a safetensors file into a model.

    Raises:
        ModelError: there is no such file, or it does not fit.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"--weights {weights}: a {type(model).__name__} has no weights to load")
    target = _inner(model)
    if not weights.is_file():
        raise ModelError(f"no weights file '{weights}'")
    try:
        load_into(target, weights)
    except (SafetensorError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(f"{weights} does not fit {type(target).__name__}: {' '.join(lines[:3])}") from error


def save_weights(model: nn.Module, path: Path) -> None:
    """The weights of a model as :func:`load_weights` takes them."""
    save_from(_inner(model), str(path))


def _inner(model: nn.Module) -> nn.Module:
    """What a model's own weights belong to."""
    return model.model if isinstance(model, ImageNetNormalized) else model
