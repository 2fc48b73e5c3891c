"""An adapter on disk: ``adapter.safetensors`` for the weights, ``adapter.json`` for the rest, in a folder or a zip."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from holdsteady import archive
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import AdapterConfig, validate
from holdsteady.errors import AdapterError
from holdsteady.folders import made_folder
from holdsteady.permissions import as_new_files_are

WEIGHTS_NAME, CONFIG_NAME = "adapter.safetensors", "adapter.json"
_FORMAT = 1


class _File(BaseModel):
    """The shape of adapter.json."""

    model_config = ConfigDict(extra="forbid")

    format: int
    version: str
    config: dict[str, Any]
    frame_channels: int
    points: list[Point]
    base: dict[str, str]
    provenance: dict[str, str]


def save_adapter(adapter: Adapter, folder: str | Path) -> Path:
    """Write an adapter to a folder, which is made if it is missing; each file is replaced when whole.

    Raises:
        AdapterError: the folder can't be written.
    """
    folder = Path(folder)
    content = _File(
        format=_FORMAT,
        version=version("holdsteady"),
        config=adapter.config.settings(),
        frame_channels=adapter.frame_channels,
        points=list(adapter.points),
        base=adapter.base,
        provenance=adapter.provenance,
    ).model_dump(mode="json")
    weights = {name: tensor.contiguous() for name, tensor in adapter.state_dict().items()}
    try:
        with made_folder(folder), tempfile.TemporaryDirectory(dir=folder) as partial:
            save_file(weights, Path(partial, WEIGHTS_NAME))
            as_new_files_are(Path(partial, WEIGHTS_NAME))
            Path(partial, CONFIG_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            for name in (WEIGHTS_NAME, CONFIG_NAME):
                Path(partial, name).replace(folder / name)
    except (OSError, SafetensorError) as error:  # the second on a full disk
        raise AdapterError(f"can't write an adapter to '{folder}': {getattr(error, 'strerror', error)}") from error
    return folder


def load_adapter(folder: str | Path) -> Adapter:
    """Read an adapter from a folder, or from a zip of one. Nothing in it is executed.

    Raises:
        AdapterError: the folder or a file is missing, damaged, of a newer format, or the weights don't fit
            the config; or the zip is not to be trusted.
    """
    folder = Path(folder)
    if not folder.exists():
        raise AdapterError(f"no adapter folder '{folder}'")
    files = []
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        try:
            files.append(archive.read(folder, name))
        except FileNotFoundError as error:
            raise AdapterError(f"'{folder}' is not an adapter: it lacks {name}") from error
        except OSError as error:
            raise AdapterError(f"'{folder}' can't be read: {error.strerror or error}") from error
    try:
        content = json.loads(files[0].decode("utf-8-sig"))
        if isinstance(content, dict) and content.get("format", _FORMAT) != _FORMAT:
            raise AdapterError(
                f"'{folder}' has format {content['format']}; this version reads {_FORMAT}: pip install -U holdsteady"
            )
        parsed = _File.model_validate(content)
        config = validate(parsed.config)
        with torch.device("meta"):
            made = _adapter(config, parsed)
    except AdapterError:
        raise
    except Exception as error:  # whatever comes of names and sizes that nobody meant
        raise AdapterError(f"{folder / CONFIG_NAME} is damaged: {_first_line(error)}") from error
    try:
        weights = load(files[1])
        made.load_state_dict(weights, assign=True)  # before memory is taken for what the config asks for
        adapter = _adapter(config, parsed)
        adapter.load_state_dict(weights)
    except (SafetensorError, RuntimeError) as error:
        raise AdapterError(
            f"{folder / WEIGHTS_NAME} does not hold the weights of {CONFIG_NAME}: {_first_line(error)}"
        ) from error
    return adapter.eval()


def _adapter(config: AdapterConfig, parsed: _File) -> Adapter:
    return Adapter(config, parsed.points, parsed.frame_channels, parsed.base, parsed.provenance)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])
