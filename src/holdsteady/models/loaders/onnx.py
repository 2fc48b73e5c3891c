"""ONNX files: as a black box by ONNX Runtime, or turned into PyTorch, with points inside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from holdsteady.errors import ConfigError, ModelError, extra, in_one_line
from holdsteady.models.card import ModelCard
from holdsteady.models.loaders.shape import card_of_shape
from holdsteady.models.model import with_card

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxModel:
    """An ONNX file run by ONNX Runtime: frames in, one output or a dict of them out.

    Attributes:
        wants: what the file itself says of its input: layout, channels, a fixed size.
        takes_bytes: whether that is of bytes, and not of floating numbers.
    """

    def __init__(self, path: Path) -> None:
        with extra("onnx", "running ONNX files"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # its exceptions have no common base
            raise ModelError(f"{path} can't be read as ONNX: {in_one_line(error)}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            given = ", ".join(entry.name for entry in inputs)
            raise ModelError(f"{path} has {len(inputs)} inputs ({given}); a frame-wise model has one")
        self._input, self._outputs = inputs[0], [entry.name for entry in self._session.get_outputs()]
        self.takes_bytes = self._input.type == "tensor(uint8)"
        if not self.takes_bytes and self._input.type not in _TYPES:
            raise ModelError(f"{path} takes {self._input.type}; a frame is of floating numbers or bytes")
        self.wants = card_of_shape(self._input.shape, path)

    def __call__(self, frame: Tensor) -> Any:
        array = frame.detach().cpu().numpy()
        if self.takes_bytes:
            array = (array.clip(0, 1) * 255).round().astype(np.uint8)
        else:
            array = array.astype(_TYPES[self._input.type], copy=False)
        results = self._session.run(None, {self._input.name: array})
        given = {name: _as_tensors(one, frame) for name, one in zip(self._outputs, results, strict=True)}
        return next(iter(given.values())) if len(given) == 1 else given


def _as_tensors(result: Any, frame: Tensor) -> Any:
    """An output, or a sequence of them, where the frame is; what holds no numbers, as words, stays as it is."""
    if isinstance(result, list):
        return [_as_tensors(one, frame) for one in result]
    if not isinstance(result, np.ndarray | np.generic) or np.asarray(result).dtype.kind not in "biufc":
        return result
    tensor = torch.from_numpy(np.array(result)).to(frame.device)
    return tensor.to(frame.dtype) if tensor.is_floating_point() else tensor


def from_onnx(path: Path, inside: bool, card: ModelCard) -> Callable[..., Any]:
    """A model in an ONNX file, behind what the file says of its input.

    Args:
        inside: turn it into a module of PyTorch, whose points can be reached.
        card: what the user says of it.

    Raises:
        ConfigError: the card turns frames into floating numbers, and the model takes bytes.
        ModelError: there is no such file, it is not a frame-wise model, or an operation of it has no counterpart.
        MissingExtraError: ONNX Runtime or onnx2torch is not installed.
    """
    if not path.is_file():
        raise ModelError(f"no file '{path}'")
    if not inside:
        box = OnnxModel(path)
        if box.takes_bytes and not card.stated.keys().isdisjoint(("range", "mean", "std")):
            raise ConfigError(
                f"{path} takes bytes, 0…255: leave out --range, --mean and --std; --output-range says what it gives"
            )
        return with_card(box, box.wants)
    with extra("onnx", "points inside ONNX files"):
        import onnx
        import onnx2torch
    try:
        graph = onnx.load(path)
        module: nn.Module = onnx2torch.convert(graph)
    except Exception as error:  # protobuf's, and NotImplementedError for operations
        raise ModelError(f"{path} can't be turned into PyTorch: {in_one_line(error)}; leave out --inside") from error
    shape = [side.dim_value or side.dim_param for side in graph.graph.input[0].type.tensor_type.shape.dim]
    return with_card(module, card_of_shape(shape, path))
