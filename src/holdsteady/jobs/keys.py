"""What a result depends on, as one short digest: it is made again when that changes, and not when it does not."""

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import AdapterConfig
from holdsteady.errors import VideoError
from holdsteady.host.identity import base_of
from holdsteady.jobs.content import Content, bytes_of
from holdsteady.models.model import Model
from holdsteady.video import read_cuts

_CHUNK = 1 << 20


def digest(value: Any) -> str:
    """A digest of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """A digest of a file's content.

    Raises:
        VideoError: it can't be read.
    """
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    except OSError as error:
        raise VideoError(f"{path}: can't be read: {error.strerror}") from error
    return found.hexdigest()[:32]


def model_digest(model: Callable[..., Any], name: str) -> str:
    """A digest of a model: its name and card, all values of its parameters and buffers, and its code.

    A model without a name, or of a Python file, is told by its functions and classes, with what they refer to, and by
    its attributes. Where some of that can't be told, the digest of one without a name is another each time, so that no
    result is taken for its own. A file's text tells it anyway.

    Args:
        model: loaded.
        name: as :func:`holdsteady.load` takes it; empty for an object that was given.
    """
    base = base_of(model)
    del base["class"]  # of a model in a file of one's own, it is another each time
    found = hashlib.sha256(json.dumps([name, base], sort_keys=True).encode())
    for file in _files(name):
        found.update(file_digest(file).encode())
    content = Content()
    is_told = not name or name.rpartition(":")[0].endswith(".py")
    if is_told:
        found.update(content.of(model).encode())
        if content.unknown and not name:
            found.update(uuid.uuid4().bytes)
    if isinstance(model, nn.Module) and (not is_told or content.unknown):  # else the values are in the content
        _add_values(found, model)
    return found.hexdigest()[:32]


def _files(name: str) -> list[Path]:
    """The files that a model's name stands for: itself, what ONNX keeps beside it, or what describes it in a folder."""
    for path in map(Path, filter(None, (name, name.rpartition(":")[0], name.partition(":")[2]))):
        if path.is_file():
            beside = (path.with_name(path.name + ending) for ending in (".data", "_data"))
            return [path, *(file for file in beside if file.is_file())]
        if (path / "config.json").is_file():
            return sorted(file for file in path.iterdir() if file.suffix in (".json", ".py") and file.is_file())
    return []


def adapters_digest(adapters: Sequence[Adapter | AdapterConfig | Any]) -> str:
    """A digest of adapters: their settings, and the weights of those that have some."""
    found = hashlib.sha256()
    for one in adapters:
        config = one.config if isinstance(one, Adapter) else one
        found.update(json.dumps(config.settings(), sort_keys=True, default=str).encode())
        if isinstance(one, Adapter):
            _add_values(found, one)
    return found.hexdigest()[:32]


def cuts_digest(cuts: str) -> str:
    """A digest of where shots begin: of what a file says, not of its name.

    Raises:
        ConfigError: the file of cuts is missing or malformed.
    """
    return cuts if cuts in ("auto", "off") else digest(sorted(read_cuts(cuts)))


def _add_values(found: "hashlib._Hash", module: nn.Module) -> None:
    if isinstance(module, Model) and not module.has_points:
        # It stands around something that is not in its own tree.
        if isinstance(module.fn, nn.Module):
            _add_values(found, module.fn)
        return
    scripted = isinstance(module, torch.jit.ScriptModule)
    state = module.state_dict() if scripted else nn.Module.state_dict(module)
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        try:
            found.update(bytes_of(tensor))
        except (RuntimeError, NotImplementedError, TypeError):  # of quantized weights, which are packed
            found.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
