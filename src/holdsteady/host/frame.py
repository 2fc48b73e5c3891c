"""Frames as people have them, tensors, arrays and PIL images, and as cells see them: maps (B, C, H, W)."""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from holdsteady.errors import LayoutError
from holdsteady.host.outputs import as_tensor

Axes = Literal["BCHW", "BHWC", "HWC", "HW"]

#: PIL's modes that are kept; images of others are taken as RGB, or as RGBA if they have an alpha channel.
_MODES: dict[str, tuple[Axes, str, int]] = {
    "L": ("HW", "uint8", 1),
    "I;16": ("HW", "uint16", 1),
    "F": ("HW", "float32", 1),
    "RGB": ("HWC", "uint8", 3),
    "RGBA": ("HWC", "uint8", 4),
}
_WITH_ALPHA = ("LA", "PA", "RGBa")
_WHITE = {"uint8": 255, "uint16": 65535}
_WHOLE = {torch.uint8: "uint8", torch.uint16: "uint16"}


@dataclass(frozen=True)
class Form:
    """The form of an image: its type, dtype and axes.

    Attributes:
        kind: a tensor, a NumPy array, or a PIL image.
        dtype: its name, which for tensors of floats is left out.
        axes: of a batch, or of one picture; grey ones may lack C.
        channels: C.
    """

    kind: Literal["tensor", "array", "image"]
    dtype: str
    axes: Axes
    channels: int

    @property
    def is_integer(self) -> bool:
        """True for integers of 8 or 16 bits, rather than values in [0, 1]."""
        return self.dtype in _WHITE

    @property
    def is_batch(self) -> bool:
        """Whether the first axis is that of the streams."""
        return self.axes in ("BCHW", "BHWC")

    @property
    def is_map(self) -> bool:
        """True for a batch of floats, which adapters can work on unchanged."""
        return self.is_batch and not self.is_integer and self.kind != "image"


def form_of(value: Any) -> Form:
    """The form of a frame.

    Raises:
        LayoutError: it is not a frame or a batch of frames.
    """
    shape = tuple(getattr(value, "shape", ()))
    if isinstance(value, np.ndarray):
        if len(shape) == 2:
            return Form("array", str(value.dtype), "HW", 1)
        if len(shape) == 3 and shape[2] <= 4:
            return Form("array", str(value.dtype), "HWC", shape[2])
    elif not isinstance(value, Tensor) and _is_image(value):
        axes, dtype, channels = _MODES[_mode_of(value)]
        return Form("image", dtype, axes, channels)
    if len(shape) != 4:
        hint = "; add the batch axis: frame[None]" if len(shape) == 3 else ""
        raise LayoutError(
            "a frame is a batch (B, C, H, W) or (B, H, W, C), an array (H, W, C) or (H, W), or a PIL image; this "
            f"{type(value).__name__} has shape {shape}{hint}"
        )
    last = is_channels_last(shape)
    axes, channels = ("BHWC", shape[3]) if last else ("BCHW", shape[1])
    if isinstance(value, np.ndarray):
        return Form("array", str(value.dtype), axes, channels)
    return Form("tensor", _WHOLE.get(value.dtype, ""), axes, channels)


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether frames of this shape are (B, H, W, C)."""
    return shape[1] > 4 >= shape[-1]


def described(frame: Any) -> tuple[Form, tuple[int, int], tuple[int, ...]]:
    """The form of a frame, its (H, W), and its shape as a batch: (1, C, H, W) of one that is not a batch.

    Raises:
        LayoutError: it is not a frame.
    """
    form = form_of(frame)
    first = form.axes.index("H")
    size = (frame.height, frame.width) if form.kind == "image" else (frame.shape[first], frame.shape[first + 1])
    return form, size, tuple(frame.shape) if form.is_batch else (1, form.channels, *size)


def to_map(value: Any, form: Form) -> Tensor:
    """A picture as a float tensor (B, C, H, W); whole numbers are brought to [0, 1].

    Raises:
        LayoutError: its numbers are neither floats nor of 8 or 16 bits.
    """
    if form.kind == "image":
        mode = _mode_of(value)
        is_kept = value.mode == mode or mode == "I;16"
        value = np.asarray(value if is_kept else value.convert(mode)).astype(_MODES[mode][1], copy=False)
    tensor = value if isinstance(value, Tensor) else as_tensor(value)
    if not (tensor.is_floating_point() or form.is_integer):
        raise LayoutError(f"frames are floats, uint8 or uint16, not {tensor.dtype}: convert them first")
    if form.axes == "HW":
        tensor = tensor[None, None]
    elif form.axes == "HWC":
        tensor = tensor.permute(2, 0, 1)[None]
    elif form.axes == "BHWC":
        tensor = tensor.permute(0, 3, 1, 2)
    if form.is_integer:
        # Divided in 32 bits: in 16, white would not be 1 for each of them.
        tensor = tensor.to(torch.float32) / _WHITE[form.dtype]
    return tensor


def to_flow(value: Any, shape: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """A flow that came with a frame, as a tensor; where it is not finite nothing is known, which is no motion.

    Args:
        value: a tensor or array (B, 2, H, W) in pixels.
        shape, size: of the frame as a batch, and its (H, W).

    Raises:
        LayoutError: it is not the flow of such a frame.
    """
    flow = value if isinstance(value, Tensor) else as_tensor(np.asarray(value))
    if tuple(flow.shape) != (shape[0], 2, *size) or not flow.is_floating_point():
        raise LayoutError(
            f"flow has shape {tuple(flow.shape)} of {flow.dtype}; for this frame it is floats "
            f"{(shape[0], 2, *size)}: pixels to the right, pixels down, back to the last frame"
        )
    return flow.nan_to_num(0.0, 0.0, 0.0)


def from_map(picture: Tensor, form: Form) -> Any:
    """A map (B, C, H, W) in a form: what :func:`to_map` undoes. Whole numbers are rounded, and NaN is 0 in them."""
    if form.is_integer:
        white = _WHITE[form.dtype]
        picture = (picture.detach().to(torch.float32) * white).nan_to_num(0.0, white, 0).round().clamp(0, white)
    if form.axes != "BCHW":
        picture = picture.permute(0, 2, 3, 1)
    if not form.is_batch:
        picture = picture[0, ..., 0] if form.axes == "HW" else picture[0]
    return picture.to(getattr(torch, form.dtype)) if form.kind == "tensor" else held(picture, form.kind, form.dtype)


def held(picture: Tensor, kind: str, dtype: str) -> Any:
    """A picture, or anything else on its way out, as an array or, where there is a mode for it, a PIL image."""
    picture = picture.detach().cpu()
    array = (picture.float() if picture.dtype == torch.bfloat16 else picture).numpy()
    array = np.ascontiguousarray(array.astype(dtype, copy=False))
    if kind == "image" and (array.ndim == 2 or dtype == "uint8"):
        from PIL import Image

        return Image.fromarray(array)
    return array


def _mode_of(image: Any) -> str:
    """As which of the modes that are kept a PIL image is taken.

    Raises:
        LayoutError: it has whole numbers of 32 bits.
    """
    mode = str(image.mode)
    if mode == "I":
        raise LayoutError(
            "a PIL image of mode I has whole numbers of 32 bits, of which nobody knows which one is white: "
            "convert it to I;16, RGB or L, or to F with values in [0, 1]"
        )
    if mode.startswith("I;16"):  # of either order of bytes
        return "I;16"
    return mode if mode in _MODES else "RGBA" if mode in _WITH_ALPHA else "RGB"


def _is_image(value: Any) -> bool:
    """Whether it is a PIL image; there is none before PIL was imported."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)
