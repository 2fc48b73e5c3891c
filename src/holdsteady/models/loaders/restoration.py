"""Restoration and super-resolution networks, which spandrel recognises by their weights."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from holdsteady.errors import ModelError, extra, in_one_line
from holdsteady.models.model import Model
from holdsteady.models.weights import read_checkpoint


class _Called(nn.Module):
    """A network that spandrel calls in a way of its own."""

    def __init__(self, model: nn.Module, call: Any) -> None:
        super().__init__()
        self.model, self._call = model, call

    def forward(self, frame: Tensor) -> Any:
        return self._call(self.model, frame)


def from_restoration(path: Path, trust: bool) -> Model:
    """The network that a file of weights belongs to, behind its multiple, scale and channels.

    Raises:
        ModelError: there is no such file, it holds more than tensors, or spandrel does not know the network.
        MissingExtraError: spandrel is not installed.
    """
    content = read_checkpoint(path, trust)
    with extra("restoration", f"finding the network that {path.name} belongs to"):
        import spandrel
    try:
        found = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(content))
    except Exception as error:  # spandrel looks into the weights with few checks
        raise ModelError(
            f"{path} holds weights, and spandrel does not recognise their network ({in_one_line(error)}); "
            f"name what makes it: --model file.py:make --weights {path}"
        ) from error
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise ModelError(f"{path}: {found.architecture.name} takes more than a frame; expected image to image")
    need = found.size_requirements
    stated: dict[str, Any] = {"kind": "image", "scale": float(found.scale), "multiple": need.multiple_of}
    if found.input_channels == 1:
        stated["channels"] = "gray"
    elif found.input_channels != 3:
        raise ModelError(f"{path}: {found.architecture.name} takes {found.input_channels} channels; a frame has 3")
    return Model(_Called(found.model, found._call_fn).eval(), **stated)
