"""Frames as people have them: tensors, arrays and PIL images, on the way into a model and on the way out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from holdsteady.errors import LayoutError
from holdsteady.host.mirror import named_parameters
from holdsteady.host.outputs import as_tensor, find_leaf, get_leaf, set_leaf

#: What a model is given: ``frames`` as they are, ``tensors`` made of them, or whichever it takes.
Takes = Literal["auto", "tensors", "frames"]

Axes = Literal["BCHW", "BHWC", "HWC", "HW"]

#: PIL's modes that are kept; images of others are taken as RGB.
_MODES: dict[str, tuple[Axes, str, int]] = {
    "L": ("HW", "uint8", 1),
    "I;16": ("HW", "uint16", 1),
    "F": ("HW", "float32", 1),
    "RGB": ("HWC", "uint8", 3),
    "RGBA": ("HWC", "uint8", 4),
}
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
        mode = value.mode if value.mode in _MODES else "RGB"
        axes, dtype, channels = _MODES[mode]
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


def frame_size_of(frame: Any) -> tuple[int, int]:
    """(H, W) of a frame.

    Raises:
        LayoutError: it is not a frame.
    """
    form = form_of(frame)
    if form.kind == "image":
        return frame.height, frame.width
    first = form.axes.index("H")
    return frame.shape[first], frame.shape[first + 1]


def shape_of(frame: Any, form: Form) -> tuple[int, ...]:
    """The shape of a frame as a batch; of one that is not a batch (1, C, H, W)."""
    return tuple(frame.shape) if form.is_batch else (1, form.channels, *frame_size_of(frame))


def to_map(value: Any, form: Form) -> Tensor:
    """A picture as a float tensor (B, C, H, W); whole numbers are brought to [0, 1].

    Raises:
        LayoutError: its numbers are neither floats nor of 8 or 16 bits.
    """
    if form.kind == "image":
        value = np.asarray(value if value.mode in _MODES else value.convert("RGB"))
    tensor = as_tensor(value)
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


def from_map(picture: Tensor, form: Form) -> Any:
    """A map (B, C, H, W) in a form: what :func:`to_map` undoes. Whole numbers are rounded, and NaN is 0 in them."""
    if form.is_integer:
        white = _WHITE[form.dtype]
        picture = (picture.detach().to(torch.float32) * white).nan_to_num(0.0, white, 0).round().clamp(0, white)
    if form.axes != "BCHW":
        picture = picture.permute(0, 2, 3, 1)
    if not form.is_batch:
        picture = picture[0, ..., 0] if form.axes == "HW" else picture[0]
    return picture.to(getattr(torch, form.dtype)) if form.kind == "tensor" else _held(picture, form.kind, form.dtype)


def give_back(output: Any, form: Form) -> Any:
    """What a network returned for a frame, its image in the frame's form.

    A picture of as many channels is of the frame's dtype; anything else (depth, logits) keeps its floats, which would
    be lost in 8 bits: an array, or for depth a PIL image of floats.
    """
    path = find_leaf(output)
    if path is None or (form.kind == "tensor" and not form.is_integer):
        return output
    leaf = as_tensor(get_leaf(output, path)).detach()
    if leaf.ndim == 4:
        leaf = leaf.permute(0, 3, 1, 2) if is_channels_last(tuple(leaf.shape)) else leaf
        if leaf.shape[1] == form.channels:
            return set_leaf(output, path, from_map(leaf, form))
    if form.kind == "tensor":
        return output
    floats = leaf.movedim(1, -1) if leaf.ndim == 4 and form.axes != "BCHW" else leaf
    if not form.is_batch:
        floats = floats[0]
        floats = floats[..., 0] if floats.ndim == 3 and floats.shape[-1] == 1 else floats
    return set_leaf(output, path, _held(floats, form.kind, "float32" if form.is_integer else form.dtype))


def open_output(output: Any, form: Form) -> tuple[Any, Callable[[Any], Any]]:
    """What a model made of a frame as it is, as cells take it, and the function that brings it back.

    Args:
        output: of the model.
        form: of the frame.
    """
    path = find_leaf(output)
    if path is not None:
        leaf = get_leaf(output, path)
        if form.is_batch or not isinstance(leaf, np.ndarray):
            return output, lambda changed: changed
        return set_leaf(output, path, leaf[None]), lambda changed: set_leaf(changed, path, get_leaf(changed, path)[0])
    own = _picture_form(output, form.channels)
    return (output, lambda changed: changed) if own is None else (to_map(output, own), lambda m: from_map(m, own))


def _picture_form(output: Any, channels: int) -> Form | None:
    """The form of an output in whole numbers, or of a PIL image, that is a picture; None if it is none.

    A picture has as many channels as the frame: one channel of whole numbers may be classes, which can't be mixed.
    """
    try:
        form = form_of(output)
    except LayoutError:
        return None
    return form if (form.is_integer or form.kind == "image") and form.channels == channels else None


class Border:
    """Decides what a model is given.

    A torch module gets float tensors (B, C, H, W) in [0, 1], on its device and in its dtype, whatever frames come as;
    tensors of whole numbers it gets as they are if it takes them. Any other callable gets frames as they are, and
    where it refuses the first one, tensors. Float tensors are given as they are to all.

    Args:
        base: the model.
        takes: ``tensors`` or ``frames`` to decide it here.
    """

    def __init__(self, base: Any, takes: Takes = "auto") -> None:
        self.base, self.takes = base, takes
        self._known: dict[tuple[str, bool], bool] = {}

    def gives_frames(self, form: Form) -> bool | None:
        """Whether frames of a form are given as they are; None if that has to be tried."""
        if form.kind == "tensor" and not form.is_integer:
            return True
        if self.takes != "auto":
            return self.takes == "frames"
        if isinstance(self.base, nn.Module) and form.kind != "tensor":
            return False
        return self._known.get((form.kind, form.is_integer))

    def call(self, run: Any, frame: Any, form: Form, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool]:
        """The output for a frame as it is, if the model takes that, or else for a tensor; and which it was."""
        key = (form.kind, form.is_integer)
        try:
            output, self._known[key] = run(frame, *args, **kwargs), True
        except Exception as refusal:
            try:
                output, self._known[key] = run(self.tensor(frame, form), *args, **kwargs), False
            except Exception as error:
                refusal.add_note(f"given the frame as a float tensor (B, C, H, W) in [0, 1], it fails too: {error}")
                raise refusal from None
        return output, self._known[key]

    def tensor(self, frame: Any, form: Form) -> Tensor:
        """A frame as a float tensor (B, C, H, W) in [0, 1], where the model is and in its dtype."""
        picture = to_map(frame, form)
        parameters = named_parameters(self.base) if isinstance(self.base, nn.Module) else ()
        like = next((p for _, p in parameters if p.is_floating_point()), None)
        return picture.to(torch.get_default_dtype()) if like is None else picture.to(like.device, like.dtype)


def on_maps(border: Border, run: Callable[..., Any], frame: Any) -> tuple[Any, Callable[..., Any]]:
    """A frame as adapters see it, and a function of it that gives the model's output as they see that."""
    form = form_of(frame)
    given = border.gives_frames(form)
    if given is False:
        return border.tensor(frame, form), run
    if given and form.is_map:
        return frame, run

    def run_on_frame(_seen: Any, *args: Any, **kwargs: Any) -> Any:
        output, as_it_is = (run(frame, *args, **kwargs), True) if given else border.call(run, frame, form, args, kwargs)
        return open_output(output, form)[0] if as_it_is else output

    return frame if form.is_map else to_map(frame, form), run_on_frame


def _held(picture: Tensor, kind: str, dtype: str) -> Any:
    """A picture, or anything else on its way out, as an array or, where there is a mode for it, a PIL image."""
    picture = picture.detach().cpu()
    array = (picture.float() if picture.dtype == torch.bfloat16 else picture).numpy()
    array = np.ascontiguousarray(array.astype(dtype, copy=False))
    if kind == "image" and (array.ndim == 2 or dtype == "uint8"):
        from PIL import Image

        return Image.fromarray(array)
    return array


def _is_image(value: Any) -> bool:
    """Whether it is a PIL image; there is none before PIL was imported."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)
