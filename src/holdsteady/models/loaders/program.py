"""Programs that torch itself wrote: TorchScript, torch.export, and whole modules that were pickled."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady.errors import ModelError, in_one_line
from holdsteady.models.loaders.shape import card_of_shape
from holdsteady.models.model import with_card
from holdsteady.models.weights import read_checkpoint


class ExportedModel(nn.Module):
    """A program of torch.export: a black box that stays in the mode in which it was exported."""

    has_points = False

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, frame: Tensor) -> Any:
        return self.program(frame)

    def train(self, mode: bool = True) -> "ExportedModel":
        # Its parts refuse to be switched.
        self.training = mode
        return self


def from_program(path: Path, trust: bool) -> Callable[..., Any] | None:
    """A model that a file holds whole; None where the file holds weights alone.

    Args:
        path: of TorchScript (``.pt``), torch.export (``.pt2``) or, with ``trust``, a module that was pickled.
        trust: unpickle whatever the file holds.

    Raises:
        ModelError: there is no such file, it is damaged, or it has to be unpickled.
    """
    if not path.is_file():
        raise ModelError(f"no file '{path}'")
    names = _names(path)
    if path.suffix == ".pt2":
        return _exported(path, names, trust)
    if any(name.partition("/")[2].startswith("code/") for name in names):
        try:
            return torch.jit.load(path, map_location="cpu").eval()
        except RuntimeError as error:
            raise ModelError(f"{path} can't be read as TorchScript: {in_one_line(error)}") from error
    if trust and path.suffix != ".safetensors":
        content = read_checkpoint(path, trust)
        return content.float().eval() if isinstance(content, nn.Module) else None
    return None


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def _exported(path: Path, names: list[str], trust: bool) -> Callable[..., Any]:
    if not names:
        raise ModelError(f"{path} is not a program of torch.export")
    if not trust and (found := _pickled(path, names)):
        raise ModelError(
            f"{path} holds more than tensors ({found}), and unpickling it could run any program; "
            "if you trust its author, add --trust"
        )
    try:
        program = torch.export.load(path)
        model = ExportedModel(program.module())
    except Exception as error:  # torch raises various errors on a damaged archive
        raise ModelError(f"{path} can't be read as a program of torch.export: {in_one_line(error)}") from error
    inputs = set(program.graph_signature.user_inputs)
    shapes = [
        node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs
    ]
    return with_card(model, card_of_shape(shapes[0] if len(shapes) == 1 else (), path))


def _pickled(path: Path, names: list[str]) -> str:
    """Members of an archive that torch.export would unpickle; empty if there are none."""
    if not any(name.endswith("/archive_format") for name in names):
        return "the format before torch 2.8"
    with zipfile.ZipFile(path) as archive:
        for name in names:
            base = name.rpartition("/")[2]
            if base.startswith(("custom_obj_", "opaque_obj_")):
                return base
            if base.endswith(".json") and '"use_pickle": true' in json.dumps(_json(archive.read(name))):
                return f"pickled tensors of {base}"
            if base.endswith(".pt") and (content := archive.read(name)):
                try:
                    torch.load(io.BytesIO(content), weights_only=True)
                except Exception:  # it holds more than tensors
                    return base
    return ""


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
