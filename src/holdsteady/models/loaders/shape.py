"""What the shape of an input tells of a model, where a file states it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdsteady.errors import ModelError
from holdsteady.models.card import ModelCard


def card_of_shape(shape: Sequence[Any], path: Path) -> ModelCard:
    """Layout, channels and size of the frames that a model takes.

    Args:
        shape: whole numbers for sides that are fixed, anything else for those that are not; empty if nothing is known.
        path: of the file, for the text of an error.

    Raises:
        ModelError: it is not the shape of one frame in a batch.
    """
    if not shape:
        return ModelCard()
    batch, *rest = shape
    if len(rest) != 3:
        raise ModelError(f"{path} takes {list(shape)}; a batch of frames has four axes")
    if isinstance(batch, int) and batch > 1:
        raise ModelError(f"{path} takes {batch} frames at once, and a video gives one: export it for batches of 1")
    last = rest[2] in (1, 3) and rest[0] not in (1, 3)
    channels, sides = (rest[2], rest[:2]) if last else (rest[0], rest[1:])
    stated: dict[str, Any] = {"layout": "bhwc"} if last else {}
    if isinstance(channels, int) and channels not in (1, 3):
        raise ModelError(f"{path} takes {list(shape)}, {channels} channels; a frame has 3, or 1 of grey")
    if channels == 1:
        stated["channels"] = "gray"
    if all(isinstance(side, int) and side > 0 for side in sides):
        stated["size"] = tuple(sides)
    return ModelCard(**stated)
