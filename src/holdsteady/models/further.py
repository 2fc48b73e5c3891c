"""What a run tries for models that take frames at no usual padding: larger multiples, squares, channels at the end."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from holdsteady.errors import ModelError
from holdsteady.host.outputs import as_tensor, copied, get_leaf
from holdsteady.models.sizes import Trial, has_proportions, least_of, part_of, resize, size_of, tried
from holdsteady.models.values import image_path

_LARGER = (128, 96, 112, 224, 256)
_SQUARES = (224, 256, 384, 512, 128, 64, 320, 448, 518, 640)
_NAMED = 6  # numbers that are taken from the words of an error


def try_further(model: Callable[..., Any], frame: Tensor, failed: ModelError) -> Trial:
    """What :func:`try_model` does not accept, since more than padding is needed.

    Args:
        model: frames (B, C, H, W) → outputs.
        frame: (B, C, H, W) in [0, 1].
        failed: what ``try_model`` raised; the model's own words may name the multiple that it takes.

    Returns:
        A trial with ``size``, with images (B, H, W, C), or with a multiple beyond those that are usual.

    Raises:
        ModelError: ``failed``, where none of that helps.
    """
    with torch.inference_mode(False), torch.no_grad():
        frame = copied(frame)
        for multiple in dict.fromkeys((1, 8, 32, *_named(failed, frame), *_LARGER)):
            example = part_of(frame, multiple)
            with suppress(Exception):
                output = tried(model, example)
                if has_proportions(size_of(output, example), example):
                    return Trial(multiple, example, output, least=least_of(model, frame, example, multiple))
                if _is_channels_last(output, example):
                    return Trial(multiple, example, output, channels_last=True)
        for side in _SQUARES if failed.__cause__ is not None else ():  # not of what it gives, but of what it takes
            example = resize(frame, (side, side))
            with suppress(Exception):
                output = tried(model, example)
                if has_proportions(size_of(output, example), example):
                    return Trial(1, example, output, size=(side, side))
    raise failed


def _is_channels_last(output: Any, example: Tensor) -> bool:
    """Whether an image is (B, H, W, C), with the very proportions of the frame."""
    path = image_path(output)
    shape = () if path is None else tuple(as_tensor(get_leaf(output, path)).shape)
    return len(shape) == 4 and shape[0] == len(example) and shape[3] <= 4 and has_proportions(shape[1:3], example)


def _named(failed: ModelError, frame: Tensor) -> list[int]:
    """Numbers in an error that may be a multiple."""
    numbers = map(int, re.findall(r"\d+", str(failed.__cause__ or failed)))
    return [number for number in numbers if 16 <= number <= max(_LARGER) and number not in frame.shape][:_NAMED]
