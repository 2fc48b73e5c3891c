"""What a source of clips gives: a sample, a dictionary of tensors with fixed keys and axes."""

from collections.abc import Iterable
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from holdsteady.errors import ConfigError

Sample: TypeAlias = dict[str, Tensor]

KEYS = {
    "frames": "(T, 3, H, W) float32 in [0, 1], the clean frames, or the input of a frame pair",
    "truth": "(T, 3, H, W) float32 in [0, 1], the other half of a frame pair",
    "depth": "(T, 1, H, W) float32 > 0 along the optical axis, in the source's unit; NaN where unknown",
    "classes": "(T, H, W) int64; 255 where unknown",
    "flow": "(T-1, 2, H, W) float32 in pixels from frame t back to t-1, channel 0 right and 1 down; NaN where unknown",
    "visible": "(T-1, 1, H, W) bool, whether a pixel of frame t is also seen in frame t-1",
}


class Source(Protocol):
    """Something that clips are drawn from.

    Attributes:
        keys: The keys of every sample that it draws, some of ``KEYS``.
        files: What it reads, for the list of data that is kept with an adapter.
    """

    keys: frozenset[str]
    files: tuple[str, ...]

    def draw(self, generator: torch.Generator) -> Sample:
        """A random clip that depends on the state of the generator alone."""
        ...

    def describe(self) -> dict[str, object]:
        """The kind of source, its files and how much there is in them, as JSON can hold it."""
        ...


def mirrored(sample: Sample) -> Sample:
    """A sample seen in a mirror: left and right swapped, the flow's channel 0 negated."""
    flipped = {key: value.flip(-1) for key, value in sample.items()}
    if "flow" in flipped:
        flipped["flow"] = flipped["flow"] * torch.tensor((-1.0, 1.0))[:, None, None]
    return flipped


def pick(generator: torch.Generator, number: int) -> int:
    """One of 0 … number − 1, all equally likely."""
    return int(torch.randint(number, (), generator=generator))


def check_settings(
    length: int, crop: int | tuple[int, int] | None, stride: Iterable[int]
) -> tuple[tuple[int, int] | None, tuple[int, ...]]:
    """The crop as (height, width) and the strides as a tuple.

    Raises:
        ConfigError: a length, crop or stride is below 1, or there is no stride.
    """
    strides = tuple(stride)
    if length < 1:
        raise ConfigError(f"length is {length}, must be at least 1")
    if not strides or min(strides) < 1:
        raise ConfigError(f"stride is {list(strides)}, must be one or more numbers of frames, each at least 1")
    size = (crop, crop) if isinstance(crop, int) else crop
    if size is not None and min(size) < 1:
        raise ConfigError(f"crop is {size[0]}x{size[1]} (height x width), must be at least 1x1")
    return size, strides
