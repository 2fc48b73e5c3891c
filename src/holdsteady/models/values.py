"""Values on their way into a model and out of it: ranges, channels and layouts, as its card states."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import ModelError
from holdsteady.host.outputs import as_tensor, choose, get_leaf, leaves, open_image, set_leaf, what_to_state
from holdsteady.models.card import ModelCard

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class UnknownClassError(ModelError):
    """A model gave a class number beyond those that its card counts.

    Attributes:
        number: of the class.
    """

    def __init__(self, number: int, classes: int) -> None:
        known = f"there are {classes} classes: state how many (--classes)" if number > 0 else "they begin at 0"
        super().__init__(f"the model gives class number {number}, and {known}")
        self.number = number


def affine(card: ModelCard) -> tuple[Tensor, Tensor] | None:
    """Gain and shift (C or 1, 1, 1) that take [0, 1] to what the model wants; None where that is [0, 1]."""
    low, high = card.range
    mean = torch.tensor(0.0 if card.mean is None else card.mean, dtype=torch.float64).reshape(-1, 1, 1)
    std = torch.tensor(1.0 if card.std is None else card.std, dtype=torch.float64).reshape(-1, 1, 1)
    gain, shift = (high - low) / std, (low - mean) / std
    if (gain == 1).all() and (shift == 0).all():
        return None
    return gain.float(), shift.float()


def into_model(frame: Tensor, card: ModelCard, scaling: tuple[Tensor, Tensor] | None) -> Any:
    """A frame (B, C, H, W) in [0, 1] as the model wants it: a tensor, or arrays for ``hwc-uint8``, in a list."""
    if card.channels == "bgr":
        frame = frame.flip(1)
    elif card.channels == "gray" and frame.shape[1] == 3:
        frame = torch.tensordot(frame, torch.tensor(_LUMA).to(frame), dims=([1], [0]))[:, None]
    if card.layout == "hwc-uint8":
        pixels = frame.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
        return [np.ascontiguousarray(one.squeeze(2) if card.channels == "gray" else one) for one in pixels]
    if scaling is not None:
        gain, shift = scaling
        frame = frame * gain.to(frame) + shift.to(frame)
    return frame.permute(0, 2, 3, 1) if card.layout == "bhwc" else frame


def call_on_arrays(function: Callable[..., Any], arrays: list[Any], like: Tensor, args: Any, kwargs: Any) -> Any:
    """What a function of one array (H, W, C) gives for each of a batch, as tensors (B, C, H, W) or (B, H, W)."""
    results = [function(array, *args, **kwargs) for array in arrays]
    batches = []
    for path, leaf in leaves(results[0]):
        maps = [torch.from_numpy(np.ascontiguousarray(as_array(get_leaf(result, path)))) for result in results]
        batch = torch.stack(maps).to(like.device)
        batch = batch.to(like.dtype) if batch.is_floating_point() else batch
        batches.append((path, batch.permute(0, 3, 1, 2) if leaf.ndim == 3 else batch))
    together = results[0]
    for path, batch in batches:
        together = set_leaf(together, path, batch)
    return together


def as_array(leaf: Any) -> Any:
    """A leaf as an array, without negative strides."""
    return leaf.detach().cpu().numpy() if isinstance(leaf, Tensor) else leaf


def out_of_model(output: Any, card: ModelCard) -> Any:
    """What a model returned, with the values of its image as ours: pictures RGB in [0, 1], class numbers one-hot.

    The entry that the card names is returned alone; without a name, the image is changed where it stands.

    Raises:
        ModelError: there is no such entry, no image in it, or class numbers beyond the card's.
    """
    if card.output is not None:
        output = choose(output, card.output)
    path = image_path(output)
    if path is None:
        raise ModelError(f"the model gives {describe(output)}, not an image (B, C, H, W) or (B, H, W)")
    leaf = as_tensor(get_leaf(output, path))
    if card.layout == "bhwc" and leaf.ndim == 4:
        leaf = leaf.permute(0, 3, 1, 2)
    if card.kind == "labels":
        leaf = leaf if card.classes is None else _one_hot(leaf, card.classes)
    elif card.kind is None and not leaf.is_floating_point() and card.layout != "hwc-uint8":
        pass  # pictures or class numbers: what they are is still to be guessed
    elif card.kind in (None, "image"):
        leaf = _picture(leaf, card)
    elif card.kind == "depth" and card.output_range is None:
        leaf = leaf if leaf.is_floating_point() else leaf.float()  # in units of its own, as millimetres
    elif card.kind == "mask" and not leaf.is_floating_point() and card.output_range is None:
        # Of 0 and 1, or of 0 to 255: a frame of the latter has no white in it where its largest value is 1.
        leaf = leaf.float() if int(leaf.to(torch.int64).max()) <= 1 else _unscaled(leaf, None)
    elif card.output_range is not None or not leaf.is_floating_point():
        leaf = _unscaled(leaf, card.output_range)
    return set_leaf(output, path, leaf)


def image_path(output: Any) -> tuple[str | int, ...] | None:
    """The way to the first floating image (B, C, H, W) or (B, H, W), or else the first of whole numbers or truths."""
    images = [(path, as_tensor(leaf)) for path, leaf in leaves(output) if leaf.ndim in (3, 4)]
    floating = [path for path, leaf in images if leaf.is_floating_point()]
    whole = [path for path, leaf in images if not leaf.is_floating_point() and not leaf.is_complex()]
    return next(iter([*floating, *whole]), None)


def image_of(output: Any) -> Tensor:
    """The first floating image in what a model returned, as (B, C, H, W).

    Raises:
        ModelError: there is none.
    """
    image = open_image(output)
    leaf = None if image is None else image[0]
    if leaf is None or leaf.ndim not in (3, 4):
        found, path = describe(output if leaf is None else leaf), image_path(output)
        hint = "" if path is None else what_to_state(get_leaf(output, path))
        raise ModelError(f"the model gives {found}, not a floating image (B, C, H, W) or (B, H, W){hint}")
    return planes(leaf)


def planes(leaf: Tensor, channels_last: bool = False) -> Tensor:
    """An image (B, C, H, W), (B, H, W) or, if that is said, (B, H, W, C), as (B, C, H, W)."""
    if leaf.ndim == 3:
        return leaf.unsqueeze(1)
    return leaf.permute(0, 3, 1, 2) if channels_last else leaf


def describe(output: Any) -> str:
    """What a model returned, in a few words."""
    found = leaves(output)
    thing = found[0][1] if len(found) == 1 else output
    if isinstance(thing, Tensor | np.ndarray):
        return f"{thing.dtype} {tuple(thing.shape)}"
    return type(output).__name__


def _picture(leaf: Tensor, card: ModelCard) -> Tensor:
    # What has a range of its own, as 8 bits have, needs no card for it.
    stated = card.output_range or (card.range if leaf.is_floating_point() and card.layout != "hwc-uint8" else None)
    leaf = _unscaled(leaf, stated)
    return leaf.flip(1) if card.channels == "bgr" and leaf.ndim == 4 and leaf.shape[1] == 3 else leaf


def _unscaled(leaf: Tensor, ends: tuple[float, float] | None) -> Tensor:
    if not leaf.is_floating_point():
        most = 1 if leaf.dtype == torch.bool else 65535 if leaf.dtype == torch.uint16 else 255
        low, high = ends or (0.0, float(most))
        leaf = leaf.float()
    else:
        low, high = ends or (0.0, 1.0)
    return leaf if (low, high) == (0.0, 1.0) else (leaf - low) / (high - low)


def _one_hot(leaf: Tensor, classes: int) -> Tensor:
    """Class numbers (B, H, W) or (B, 1, H, W) as (B, classes, H, W) of 0 and 1."""
    numbers = (leaf[:, 0] if leaf.ndim == 4 and leaf.shape[1] == 1 else leaf).long()
    if numbers.ndim != 3:
        raise ModelError(f"class numbers are (B, H, W) or (B, 1, H, W); the model gives {tuple(leaf.shape)}")
    least, most = int(numbers.min()), int(numbers.max())
    if least < 0 or most >= classes:
        raise UnknownClassError(least if least < 0 else most, classes)
    return F.one_hot(numbers, classes).permute(0, 3, 1, 2).to(torch.get_default_dtype())
