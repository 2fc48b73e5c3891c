"""The contract at the border: frames of any size in, pictures in [0, 1] out, whatever the model wants between."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import ModelError
from holdsteady.host.outputs import as_tensor, find_leaf, get_leaf

_STRIDES = (1, 2, 4, 8, 16, 32, 64)


def pad_to(frame: Tensor, stride: int) -> Tensor:
    """A frame (B, C, H, W) with sides that the stride divides, continued at the bottom and right by reflection."""
    height, width = frame.shape[-2:]
    bottom, right = -height % stride, -width % stride
    if not (bottom or right):
        return frame
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(frame, (0, right, 0, bottom), mode=mode)


def crop_to(picture: Tensor, padded: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The part of a result (B, C, h, w) that shows the frame of ``size`` in one of size ``padded``."""
    height = round(picture.shape[-2] * size[0] / padded[0])
    width = round(picture.shape[-1] * size[1] / padded[1])
    return picture[..., :height, :width]


def try_model(model: Callable[..., Any], frame: Tensor) -> tuple[int, Tensor]:
    """The stride of a model, and an example that it runs on: a part of the frame, or all of it where that fails.

    Raises:
        ModelError: see :func:`find_stride`.
    """
    height, width = (side if side < 192 else 128 + side % 64 for side in frame.shape[-2:])
    sample = frame[..., :height, :width]
    try:
        stride = find_stride(model, sample)
    except ModelError:
        # Some models run at one size only.
        sample, stride = frame, find_stride(model, frame)
    return stride, pad_to(sample, stride)


def find_stride(model: Callable[..., Any], frame: Tensor) -> int:
    """The smallest power of two up to 64 that the sides of a frame must be divisible by for this model.

    A size is accepted when the model runs on it and gives a picture of the same proportions.

    Raises:
        ModelError: the model fails on every size, with its own words.
    """
    reason = "its output has other proportions than its input"
    for stride in _STRIDES:
        padded = pad_to(frame, stride)
        try:
            with torch.inference_mode():
                output = model(padded)
        except Exception as error:
            reason = in_one_line(error)
            continue
        picture = image_of(output)
        (h, w), (height, width) = picture.shape[-2:], padded.shape[-2:]
        if h * width == w * height:
            return stride
    raise ModelError(f"the model fails on a frame {tuple(frame.shape)} at any padding up to 64: {reason}")


def in_one_line(error: Exception) -> str:
    """What a model raised: the type, the first line of the text, and the last place that is no library's."""
    text = str(error).strip().partition("\n")[0]
    places = traceback.extract_tb(error.__traceback__)
    own = [place for place in places if "site-packages" not in Path(place.filename).parts] or places
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text}{where}"


def image_of(output: Any) -> Tensor:
    """The image in what a model returned, as (B, C, H, W).

    Raises:
        ModelError: there is no image in it.
    """
    path = find_leaf(output)
    leaf = None if path is None else as_tensor(get_leaf(output, path))
    if leaf is None or leaf.ndim not in (3, 4):
        thing = output if leaf is None else leaf
        found = f"{thing.dtype} {tuple(thing.shape)}" if isinstance(thing, Tensor) else type(thing).__name__
        raise ModelError(f"the model gives {found}, not a floating image (B, C, H, W) or (B, H, W)")
    return leaf.unsqueeze(1) if leaf.ndim == 3 else leaf


class Display:
    """An output as a picture (B, 1 or 3, H, W) in [0, 1].

    Pictures are taken as they are. One channel that leaves [0, 1], as depth does, is shown by the range of the
    first frame, which is kept so that the picture does not flicker with it. More than three channels are class
    logits: the best class is shown in a colour of its own.
    """

    def __init__(self) -> None:
        self._range: tuple[float, float] | None = None

    def __call__(self, output: Any) -> Tensor:
        image = image_of(output)
        channels = image.shape[1]
        if channels == 3:
            return image
        if channels == 1:
            if self._range is None:
                finite = image[image.isfinite()]
                low, high = (finite.min().item(), finite.max().item()) if finite.numel() else (0.0, 1.0)
                self._range = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
            low, high = self._range
            return (image - low) / max(high - low, 1e-12)
        return palette(channels).to(image.device)[image.argmax(dim=1)].permute(0, 3, 1, 2)


def palette(classes: int) -> Tensor:
    """Colours (classes, 3) in [0, 1] that tell neighbouring classes apart; the first, the background, is black."""
    number = torch.arange(classes, dtype=torch.float32)[:, None]
    # Steps by the golden ratio never come near an old hue soon.
    hue = (number * 0.618034 + torch.tensor([0.0, 1 / 3, 2 / 3])) % 1
    colours = 0.5 + 0.5 * torch.cos(2 * torch.pi * hue)
    colours[0] = 0
    return colours
