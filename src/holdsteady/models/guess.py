"""What an output is treated as if no card says so, in words, and when that is doubtful."""

from dataclasses import dataclass

import torch
from torch import Tensor

from holdsteady.errors import ModelError
from holdsteady.host.outputs import as_tensor, dotted, get_leaf, leaves
from holdsteady.models.card import Kind, ModelCard
from holdsteady.models.display import Style
from holdsteady.models.sizes import Trial
from holdsteady.models.values import describe, image_path, planes

# Room beyond [0, 1] that restored pictures use without harm.
_ROOM = 0.05
# Beyond, whole numbers are depth: no data set has as many classes.
_MOST_CLASSES = 2048
# More different numbers than there are classes in sight.
_MANY = 64
_SHORT = {"depth": "depth map", "mask": "mask"}


@dataclass(frozen=True)
class Guess:
    """How a model's output is treated.

    Attributes:
        kind: stated by the card, or guessed.
        floating: whether it is floating, and not of whole numbers or truths.
        classes: for class numbers that no card counts: at least as many as there are.
        line: which output was taken, its size and range, and what for.
        doubts: what may be wrong with that, and what to state then; one sentence each.
    """

    kind: Kind
    floating: bool
    classes: int | None
    line: str
    doubts: tuple[str, ...]


def guess(trial: Trial, frame: Tensor, card: ModelCard, style: Style | None = None) -> Guess:
    """What the image in an output is, from its shape, type and values.

    Args:
        trial: of the model, on a part of the frame.
        frame: as the model will get it (B, C, H, W).
        card: what it states is not guessed, and not doubted.
        style: how the user wants it shown, which tells what it may be.

    Raises:
        ModelError: there is no image in the output, or it can't be what the card says.
    """
    output = trial.output
    path = image_path(output)
    if path is None:
        raise ModelError(f"the model gives {describe(output)}, not an image (B, C, H, W) or (B, H, W)")
    image = planes(as_tensor(get_leaf(output, path)), trial.channels_last)
    if not image.numel():
        raise ModelError(f"the model gives {describe(output)}, an image with nothing in it")
    channels, height, width = image.shape[1:]
    if not trial.stretched:
        height, width = (
            round(side * frame.shape[axis] / trial.example.shape[axis]) for side, axis in ((height, -2), (width, -1))
        )
    # Several operations are not there for unsigned numbers of more than 8 bits.
    values = image[image.isfinite()] if image.is_floating_point() else image.flatten().to(torch.int64)
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    meant = {} if style is None else style.meant_for
    kind = card.kind or _kind(image, values, low, high)
    if kind == "image" and card.kind is None and channels == 1:
        kind = next((kinds[0] for kinds in meant.values() if len(kinds) == 1), kind)
    if kind == "classes" and channels == 1:
        raise ModelError("the model gives one channel, not one for each class; of class numbers, --kind labels")
    images = [dotted(other) for other, found in leaves(output) if found.ndim in (3, 4)]
    which = "output" if len(images) == 1 else f"output {dotted(path)} of {_list(images)}"
    taken = {
        "image": "an image",
        "depth": "a depth map",
        "classes": f"logits of {channels} classes",
        "mask": "a mask",
        "labels": "class numbers",
    }
    line = f"{which}: {channels}×{height}×{width} in {_ends(low, high)}, taken for {taken[kind]}"
    doubts = []
    if trial.size is not None:
        size = "x".join(map(str, trial.size[::-1]))
        doubts.append(
            f"the model fails on frames as they are: they are resized to {size}; set another with --model-size"
        )
    if len(images) > 1 and card.output is None:
        doubts.append(f"the model gives {len(images)} images ({', '.join(images)}): to take another, --output NAME")
    if kind in ("depth", "mask") and channels > (2 if kind == "mask" else 1):
        doubts.append(f"a {_SHORT[kind]} has one channel, and the output {channels}: the first is shown")
    doubts += [
        f"{flag} is for {' or '.join(kinds)}, and has no effect on {taken[kind]}; --kind says what it is"
        for flag, kinds in meant.items()
        if kind not in kinds
    ]
    if card.kind is None:
        doubts += _doubts(image, kind, values, low, high)
    if card.scale is None and 2 * height < frame.shape[-2]:
        size = f"{width}x{height} for a frame of {frame.shape[-1]}x{frame.shape[-2]}"
        doubts.append(f"the model's output is much smaller than the frame, {size}: it is enlarged to the frame's size")
    classes = card.classes or max(32, 1 << int(high).bit_length()) if kind == "labels" else None
    return Guess(kind, image.is_floating_point(), classes, line, tuple(doubts))


def _kind(image: Tensor, values: Tensor, low: float, high: float) -> Kind:
    channels = image.shape[1]
    if image.dtype == torch.bool:
        return "mask"
    if not image.is_floating_point():
        if channels == 3:
            return "image"
        if low == 0 and high == 255 and bool(((values == 0) | (values == 255)).all()):
            return "mask"
        return "labels" if low >= 0 and high < _MOST_CLASSES else "depth"
    if channels == 1:
        return "image" if low >= 0 and high <= 1 else "depth"
    return "image" if channels == 3 else "classes"


def _doubts(image: Tensor, kind: Kind, values: Tensor, low: float, high: float) -> list[str]:
    channels = image.shape[1]
    if not values.is_floating_point():
        if kind == "labels" and len(values.unique()) > _MANY:
            return ["there are many of them: if it is a grey picture, give --kind image; if it is depth, --kind depth"]
        return []
    if kind == "depth":
        return ["if these are the logits of a mask, give --kind mask"] if low < 0 < high else []
    sums_to_one = bool(((image.float().sum(dim=1) - 1).abs() < 1e-2).all()) and low >= 0 and channels > 1
    if kind == "classes":
        unlike = channels == 4 and low >= -_ROOM and high <= 1 + _ROOM and not sums_to_one
        return ["4 channels in [0, 1] may be a picture with alpha: if so, give --kind image"] if unlike else []
    if channels == 3 and sums_to_one:
        return ["the 3 channels add up to 1 at every pixel, as probabilities do: if so, give --kind classes"]
    outside = ((values < -_ROOM) | (values > 1 + _ROOM)).float().mean().item() if values.numel() else 0.0
    if outside < 0.25:
        return []
    found = f"{outside:.0%} of the values are outside of [0, 1]"
    if low >= -1.1 and high <= 1.1:
        return [f"{found}, which looks like -1…1: give --output-range -1..1, or --range -1..1 if it takes that too"]
    if low > -20 and 20 < high < 300:
        return [f"{found}, which looks like 0…255: give --output-range 0..255, or --range 0..255 if it takes that too"]
    if outside < 0.5:
        return []
    return [f"{found}, as logits are: if the channels are {channels} classes, give --kind classes"]


def _list(names: list[str]) -> str:
    numbers = [str(number) for number in range(len(names))]
    return str(len(names)) if names == numbers else ", ".join(names)


def _ends(low: float, high: float) -> str:
    """A range, as precisely as it takes to see where its values lie."""
    largest = max(abs(low), abs(high))
    form = ".0f" if largest >= 100 else ".1f" if largest >= 0.1 or not largest else ".2g"
    return f"{low:{form}}…{high:{form}}"
