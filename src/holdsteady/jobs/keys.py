"""What a result depends on, as one short digest: it is made again when that changes, and not when it does not."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.config import AdapterConfig
from holdsteady.errors import VideoError
from holdsteady.host.identity import base_of

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

    Args:
        model: loaded.
        name: as :func:`holdsteady.load` takes it; the code is that of ``file.py:name``.
    """
    base = base_of(model)
    del base["class"]  # of a model in a file of one's own, it is another each time
    found = hashlib.sha256(json.dumps([name, base], sort_keys=True).encode())
    file = Path(name.rpartition(":")[0] or name)
    if file.is_file():
        found.update(file_digest(file).encode())
    if isinstance(model, nn.Module):
        _add_values(found, model)
    return found.hexdigest()[:32]


def adapters_digest(adapters: Sequence[Adapter | AdapterConfig | Any]) -> str:
    """A digest of adapters: their settings, and the weights of those that have some."""
    found = hashlib.sha256()
    for one in adapters:
        config = one.config if isinstance(one, Adapter) else one
        found.update(json.dumps(config.settings(), sort_keys=True, default=str).encode())
        if isinstance(one, Adapter):
            _add_values(found, one)
    return found.hexdigest()[:32]


def _add_values(found: "hashlib._Hash", module: nn.Module) -> None:
    for name, tensor in sorted(nn.Module.state_dict(module).items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if not tensor.is_meta and tensor.numel():
            found.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
