"""Models by name: what ships here, files, and what other libraries have."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from holdsteady import zoo
from holdsteady.adapters.adapter import Adapter
from holdsteady.errors import ConfigError, ModelError
from holdsteady.host.resolve import AdapterLike
from holdsteady.models.card import ModelCard, read_card
from holdsteady.models.loaders.onnx import from_onnx
from holdsteady.models.loaders.program import from_program
from holdsteady.models.loaders.python import from_python
from holdsteady.models.loaders.restoration import from_restoration
from holdsteady.models.loaders.segmentation import from_smp, from_timm
from holdsteady.models.loaders.torchvision import from_torchvision
from holdsteady.models.loaders.transformers import from_transformers
from holdsteady.models.model import with_card
from holdsteady.models.place import in_eval
from holdsteady.models.weights import load_weights


def load(
    spec: str,
    weights: str | Path | None = None,
    *,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
) -> Callable[..., Any]:
    """A frame-wise model by name.

    Args:
        spec: one of

            * the name of a model that ships here (``denoise``);
            * ``file.py:name``, where the name is a module, something that makes one without arguments, or a function of
              a frame (with ``layout="hwc-uint8"``, one of OpenCV's arrays);
            * a file: TorchScript (``.pt``), a program of torch.export (``.pt2``), ONNX (``.onnx``), or the weights of a
              restoration network that spandrel knows (``.pth``, ``.safetensors``);
            * ``hf:ORG/NAME`` or the folder of a transformers model: depth, semantic segmentation, image to image;
            * ``smp:ARCHITECTURE:ENCODER`` or ``smp:FOLDER``, of segmentation-models-pytorch;
            * ``timm:NAME``, or the name of a torchvision model.
        weights: ``.safetensors``, or a checkpoint ``.pth`` or ``.pt``, to load into it. Where none are given, what a
            library has published is fetched.
        card: what the model wants and gives; goes before what its library says.
        trust: let files unpickle whatever they hold, and models run code of their own. Only for what you would run.
        inside: turn ONNX files into PyTorch, whose points inside can be reached.

    Returns:
        The model, in eval mode if it is a module: frames (B, 3, H, W) in [0, 1] → outputs. It is a :class:`Model` where
        there is a card, stated or of its library.

    Raises:
        ModelError: nothing goes by that name, the file fails, or the weights don't fit.
        MissingExtraError: a library is needed and not installed.
    """
    weights = None if weights is None else Path(weights)
    if inside and Path(spec).suffix != ".onnx":
        raise ConfigError(f"--inside turns ONNX files into PyTorch; {spec} is none")
    model = _load(spec, weights, card or ModelCard(), trust, inside)
    return with_card(in_eval(model) if isinstance(model, nn.Module) else model, card)


def _load(spec: str, weights: Path | None, card: ModelCard, trust: bool, inside: bool) -> Callable[..., Any]:
    file, colon, name = spec.rpartition(":")
    prefix, path = spec.partition(":")[0], Path(spec)
    model: Callable[..., Any]
    if colon and file.endswith(".py"):
        model = from_python(Path(file), name)
    elif spec.endswith(".py"):
        raise ModelError(f"'{spec}': name what to take from the file, as in {spec}:make_model")
    elif spec in zoo.NAMES:
        model = zoo.load(spec)
    elif prefix == "hf" or (path / "config.json").is_file():
        return _whole(from_transformers(spec.removeprefix("hf:"), trust), spec, weights)
    elif prefix == "smp":
        return from_smp(spec.removeprefix("smp:"), weights, card.classes, trust)
    elif prefix == "timm":
        return from_timm(spec.removeprefix("timm:"), weights, trust)
    elif path.suffix == ".onnx":
        return _whole(from_onnx(path, inside, card), spec, weights)
    elif path.suffix in (".pt", ".pt2", ".pth", ".ckpt", ".safetensors"):
        return _whole(from_program(path, trust) or from_restoration(path, trust), spec, weights)
    else:
        model = from_torchvision(spec, tuple(zoo.MODELS), pretrained=weights is None)
    if weights is not None:
        load_weights(model, weights, trust)
    return model


def _whole(model: Callable[..., Any], spec: str, weights: Path | None) -> Callable[..., Any]:
    """A model that came with its weights."""
    if weights is not None:
        raise ConfigError(f"--weights {weights}: {spec} has its weights in it")
    return model


def card_of_adapters(adapters: AdapterLike | Sequence[AdapterLike] | None) -> ModelCard | None:
    """The card of the model that an adapter was made for; None where none was kept.

    Raises:
        ConfigError: it is damaged.
    """
    several = [adapters] if isinstance(adapters, AdapterLike) else adapters or ()
    kept = [adapter.base["card"] for adapter in several if isinstance(adapter, Adapter) and "card" in adapter.base]
    return read_card(kept[0]) if kept else None
