"""What lies between pictures and a model: pixels as its frames, and its results as pixels."""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from holdsteady.errors import ModelError

from .frame import Pixels, Plane


class Given(NamedTuple):
    """A result as pictures.

    Attributes:
        pixels: RGB (h, w, 3).
        alpha: (h, w), where the result has it.
        lost: How many of its pixels were NaN.
    """

    pixels: Pixels
    alpha: Plane | None
    lost: int


class Border(Protocol):
    """Frames and results in a library's own arrays; see `tensors.Tensors` and `arrays.Arrays`."""

    def show(self, pixels: Pixels) -> Any:
        """RGB (H, W, 3) uint8 or uint16 as a frame (1, 3, H, W) in [0, 1]."""

    def give(self, result: Any, *, deep: bool) -> Given:
        """A result (1, 1, 3 or 4, h, w) as pictures of 8 bits, or 16 if `deep`: clamped and rounded; NaN becomes 0."""

    def size(self, result: Any) -> tuple[int, int]:
        """Height and width of a result.

        Raises:
            ModelError: It is not a floating array (1, C, h, w) of 1, 3 or, with alpha, 4 channels.
        """

    def running(self) -> AbstractContextManager[Any]:
        """What a model runs in."""


def check_shape(shape: tuple[int, ...], dtype: Any, floating: bool) -> tuple[int, int]:
    """Height and width of a result; see `Border.size`."""
    if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3, 4) or not floating:
        raise ModelError(
            f"the model returned {dtype} {shape}, but has to return a floating tensor "
            f"(1, 3, h, w) or (1, 1, h, w), or (1, 4, h, w) with alpha"
        )
    return shape[2], shape[3]


def same_size(found: tuple[int, int], size: tuple[int, int] | None) -> tuple[int, int]:
    """The size (h, w) of a result, once it is that of those before.

    Raises:
        ModelError: It is not.
    """
    if size is not None and found != size:
        raise ModelError(
            f"the model's result changed its size from {size[1]}x{size[0]} to {found[1]}x{found[0]}; "
            f"all results of a video need one size"
        )
    return found
