"""Sizes at the border: frames of any size in, resized or padded to what the model takes."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import HoldsteadyError, ModelError, in_one_line
from holdsteady.host.mirror import can_mirror, mirror
from holdsteady.host.outputs import as_tensor, copied, get_leaf
from holdsteady.models.advice import advice
from holdsteady.models.card import ModelCard
from holdsteady.models.values import describe, image_path

#: The multiples that are tried, in this order: powers of two, common patch and window sizes, then all others.
_COMMON = (1, 2, 4, 8, 16, 32, 14, 12, 24, 28, 48, 64)
MULTIPLES = (*_COMMON, *(multiple for multiple in range(3, 64) if multiple not in _COMMON))
# Large enough for most networks, and small enough to be tried many times.
_TRIED_SIDE = 112


def pad_to(frame: Tensor, multiple: int, least: int = 1) -> Tensor:
    """A frame (B, C, H, W) with sides that the multiple divides, and of at least so many pixels.

    It is continued at the bottom and right by reflection.
    """
    height, width = frame.shape[-2:]
    bottom, right = (-(-max(side, least) // multiple) * multiple - side for side in (height, width))
    if not (bottom or right):
        return frame
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(frame, (0, right, 0, bottom), mode=mode)


def crop_to(picture: Tensor, padded: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The part of a result (B, C, h, w) that shows the frame of ``size`` in one of size ``padded``."""
    height = round(picture.shape[-2] * size[0] / padded[0])
    width = round(picture.shape[-1] * size[1] / padded[1])
    return picture[..., :height, :width]


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (B, C, H, W) in another size (H, W), without aliasing."""
    if picture.shape[-2:] == size:
        return picture
    return F.interpolate(picture, size=size, mode="bilinear", antialias=True)


def size_taken(card: ModelCard, height: int, width: int) -> tuple[int, int] | None:
    """(H, W) that a frame is resized to for a model; None where it is padded, if anything."""
    if card.size is None or isinstance(card.size, tuple):
        return card.size
    multiple = card.multiple or 1
    factor = card.size / min(height, width)
    rows, columns = (multiple * max(1, round(side * factor / multiple)) for side in (height, width))
    return rows, columns


def fit(frame: Tensor, card: ModelCard, least: int = 1) -> Tensor:
    """A frame (B, C, H, W) in a size that the model takes: resized, padded (to ``least`` or more), or as it is."""
    size = size_taken(card, frame.shape[-2], frame.shape[-1])
    return pad_to(frame, card.multiple or 1, least) if size is None else resize(frame, size)


def unfit(picture: Tensor, fitted: Tensor, frame: Tensor, card: ModelCard) -> Tensor:
    """The image (B, C, h, w) or (B, h, w) that a model gave for a fitted frame, as it belongs to the frame itself."""
    (rows, columns), (height, width) = fitted.shape[-2:], frame.shape[-2:]
    if card.size is None:
        return crop_to(picture, (rows, columns), (height, width))
    size = (
        max(1, round(picture.shape[-2] * height / rows)),
        max(1, round(picture.shape[-1] * width / columns)),
    )
    return resize(picture.unsqueeze(1), size).squeeze(1) if picture.ndim == 3 else resize(picture, size)


@dataclass(frozen=True)
class Trial:
    """What was found by running a model.

    Attributes:
        multiple: what the sides of a frame have to be divisible by.
        example: a frame that the model runs on.
        output: what it gave for that.
        stretched: whether its image has one size whatever the frame's is.
        least: what the sides of a frame have to be at least.
        size: (H, W) that frames have to be resized to; None for any.
        channels_last: whether its image is (B, H, W, C).
    """

    multiple: int
    example: Tensor
    output: Any
    stretched: bool = False
    least: int = 1
    size: tuple[int, int] | None = None
    channels_last: bool = False


def try_model(model: Callable[..., Any], frame: Tensor, card: ModelCard | None = None) -> Trial:
    """What sizes a model takes, from runs on parts of a frame; none of them touches the frame, or what the model keeps.

    A multiple is taken when the model runs on sides that have nothing else in common, and gives an image of the same
    proportions. A model that fails on all of them is tried on the whole frame: it may take one size only.

    Args:
        model: frames (B, C, H, W) → outputs.
        frame: (B, C, H, W) in [0, 1].
        card: a size or a multiple that it states is taken without a search.

    Raises:
        ModelError: the model fails on every size, with its own words.
    """
    # Inference mode is left: parametrized and quantized weights may be recomputed in the first run, and stay.
    with torch.inference_mode(False), torch.no_grad():
        frame = copied(frame)
        if card is not None and card.size is not None:
            example = fit(frame, card)
            return Trial(card.multiple or 1, example, tried(model, example))
        if card is not None and card.multiple is not None:
            return _of_multiple(model, frame, card.multiple)
        sizes: set[tuple[int, int]] = set()
        for multiple in MULTIPLES:
            example = part_of(frame, multiple)
            try:
                output = tried(model, example)
            except HoldsteadyError:
                raise  # about what it gave, which is not a matter of size
            except Exception:  # whatever a network raises on a size that it does not accept
                continue
            size = size_of(output, example)
            if has_proportions(size, example):
                return Trial(multiple, example, output, least=least_of(model, frame, example, multiple))
            sizes.add(size)
            if multiple == _COMMON[-1] and len(sizes) == 1:
                return Trial(1, example, output, stretched=True)
        try:
            output = tried(model, frame)
        except Exception as error:
            raise ModelError(
                f"the model fails on a frame {tuple(frame.shape)} at any padding up to 64: {in_one_line(error)}"
                + (advice(error) or "; if it takes frames of one size, state it (--model-size WIDTHxHEIGHT)")
            ) from error
        if not has_proportions(size_of(output, frame), frame):
            raise ModelError(
                f"the model gives {describe(output)} for a frame {tuple(frame.shape)}: its output has other "
                "proportions than its input; images are (B, C, H, W) or (B, H, W)"
            )
        return Trial(1, frame, output)


def tried(model: Callable[..., Any], frame: Tensor) -> Any:
    """What a model gives for a frame. It stays as it was: some keep things of the first size that they saw."""
    if can_mirror(model):
        with suppress(ModelError):  # it can't be copied
            model = mirror(model, shares_buffers=False)
    return model(frame.clone())


def _of_multiple(model: Callable[..., Any], frame: Tensor, multiple: int) -> Trial:
    """A trial on the frame, padded to a multiple that was stated, and further where that is too small."""
    padded, larger = pad_to(frame, multiple), pad_to(frame, multiple, _TRIED_SIDE)
    try:
        return Trial(multiple, padded, tried(model, padded))
    except Exception:
        if larger.shape != padded.shape:
            with suppress(Exception):  # the first one tells more
                return Trial(multiple, larger, tried(model, larger), least=_TRIED_SIDE)
        raise


def least_of(model: Callable[..., Any], frame: Tensor, example: Tensor, multiple: int) -> int:
    """What sides have to be at least, for a model that takes the example: 1 if it takes the frame, padded."""
    fitted, enough = pad_to(frame, multiple), min(example.shape[-2:])
    if min(fitted.shape[-2:]) >= enough:
        return 1
    try:
        tried(model, fitted)
    except Exception:  # too small, as far as one can see
        return enough
    return 1


def size_of(output: Any, frame: Tensor) -> tuple[int, int]:
    """(H, W) of the image in what a model returned for a frame (B, C, H, W).

    Raises:
        ModelError: there is no image in it, or its first axis is not the batch.
    """
    path = image_path(output)
    if path is None:
        raise ModelError(f"the model gives {describe(output)}, not an image (B, C, H, W) or (B, H, W)")
    image = as_tensor(get_leaf(output, path))
    if image.shape[0] != frame.shape[0]:
        raise ModelError(
            f"the model gives {describe(image)} for a batch of {frame.shape[0]}; if the axis of the batch is missing, "
            "return output[None]"
        )
    height, width = image.shape[-2:]
    return height, width


def has_proportions(size: tuple[int, int], frame: Tensor) -> bool:
    """Whether an image of a size (H, W) has the proportions of a frame."""
    height, width = frame.shape[-2:]
    return size[0] * width == size[1] * height


def part_of(frame: Tensor, multiple: int) -> Tensor:
    """A part of a frame, mirrored where it is too small, whose sides have no divisor in common but the multiple."""
    count = max(2, -(-_TRIED_SIDE // multiple))
    part = frame
    for axis, side in ((-2, multiple * count), (-1, multiple * (count + 1))):
        last = frame.shape[axis] - 1
        index = (torch.arange(side, device=frame.device) + last) % max(1, 2 * last) - last
        part = part.index_select(axis, index.abs())
    return part
