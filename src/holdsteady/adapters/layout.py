"""Any tensor of a vision network seen as a map (B, C, H, W), and back."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from holdsteady.errors import LayoutError

LayoutKind = Literal["map", "channels-last", "tokens", "vector", "depth"]
LAYOUT_KINDS: tuple[str, ...] = get_args(LayoutKind)
_MOST_PREFIX_TOKENS = 5  # a class token and up to four registers
_SHORTEST, _ELONGATED = 16, 4  # side of an output of a size of its own, and how much longer the other one may be
_STRIDES = (2, 4, 8, 16, 32, 64)  # networks pad frames to a multiple of their stride


@dataclass(frozen=True)
class Layout:
    """How a tensor's axes are to be read.

    * ``map`` (B, C, H, W); ``channels-last`` (B, H, W, C); ``depth`` (B, H, W);
    * ``tokens`` (B, prefix + N, C): ``prefix`` class or register tokens, which pass through unchanged, then a
      grid of N = rows × columns, row by row;
    * ``vector`` (B, C) or (B, C, 1, 1): no space.
    """

    kind: LayoutKind
    prefix: int = 0
    grid: tuple[int, int] | None = None

    def to_map(self, value: Tensor, frame_size: tuple[int, int]) -> Tensor:
        """The value as (B, C, H, W), a view where possible; ``frame_size`` (H, W) shapes the grid of tokens."""
        if self.kind == "channels-last":
            return value.permute(0, 3, 1, 2)
        if self.kind == "depth":
            return value.unsqueeze(1)
        if self.kind == "vector":
            return value.reshape(*value.shape[:2], 1, 1)
        if self.kind == "tokens":
            grid = self.grid or token_grid(value.shape[1] - self.prefix, frame_size)
            return value[:, self.prefix :].transpose(1, 2).unflatten(2, grid)
        return value

    def from_map(self, stabilized: Tensor, value: Tensor) -> Tensor:
        """A stabilized map (B, C, H, W) in the layout of the ``value`` that it was made from."""
        if self.kind == "channels-last":
            return stabilized.permute(0, 2, 3, 1)
        if self.kind == "depth":
            return stabilized.squeeze(1)
        if self.kind == "vector":
            return stabilized.reshape(value.shape)
        if self.kind == "tokens":
            tokens = stabilized.flatten(2).transpose(1, 2)
            return torch.cat((value[:, : self.prefix], tokens), dim=1) if self.prefix else tokens
        return stabilized


def token_grid(count: int, frame_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns, count = rows × columns, whose proportions are nearest to the frame's (H, W)."""
    target = math.log(frame_size[0] / frame_size[1])
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1]) - target))


def infer_layout(shape: tuple[int, ...], frame_size: tuple[int, int], grid: tuple[int, int] | None = None) -> Layout:
    """The layout of a tensor from its shape and the size (H, W) of the frame that it was made from.

    Axes are taken as space where they have the frame's proportions, to within a cell, or exactly those of the
    frame padded to a multiple of some stride. Where two readings fit, a map is preferred to channels-last, and
    depth to tokens at the frame's own size only.

    Raises:
        LayoutError: no reading fits; the text says how to state the layout.
    """
    if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)):
        return Layout("vector")
    if len(shape) == 4:
        for fits in (_fits, _divides_padded):
            if fits(shape[2:], frame_size):
                return Layout("map")
            if fits(shape[1:3], frame_size):
                return Layout("channels-last")
    if len(shape) == 3:
        if shape[1:] == frame_size:
            return Layout("depth")
        tokens = _tokens(shape[1], frame_size, grid)
        if tokens:
            return tokens
        if _fits(shape[1:], frame_size):
            return Layout("depth")
    raise LayoutError(
        f"can't tell the axes of a tensor {tuple(shape)} made from a frame of {frame_size[0]}×{frame_size[1]} "
        f"(height × width); state it, as in layouts={{'NAME': 'map'}} (one of {', '.join(LAYOUT_KINDS)})"
    )


def output_layout(shape: tuple[int, ...], *, are_classes: bool) -> Layout | None:
    """That of a model's output which has a size of its own, as of networks that always give 384×384; None if unclear.

    Args:
        are_classes: whether the channels are said to be classes. Else there are four at most, as of pictures: more may
            be anything, as maps of attention.
    """
    if len(shape) == 3 and _is_picture(shape[1:]):
        could_be_tokens = any(math.isqrt(n) ** 2 == n for n in range(shape[1] - _MOST_PREFIX_TOKENS, shape[1] + 1))
        return Layout("depth") if shape[1] == shape[2] or not could_be_tokens else None
    if len(shape) == 4:
        for kind, channels, space in (("map", shape[1], shape[2:]), ("channels-last", shape[3], shape[1:3])):
            if _is_picture(space) and (2 * channels <= min(space) if are_classes else channels <= 4):
                return Layout(kind)  # type: ignore[arg-type]
    return None


def _is_picture(space: tuple[int, ...]) -> bool:
    return min(space) >= _SHORTEST and max(space) <= _ELONGATED * min(space)


def stated_layout(
    kind: str, shape: tuple[int, ...], frame_size: tuple[int, int], grid: tuple[int, int] | None
) -> Layout:
    """The layout that a user has named, checked against a shape; prefix tokens are still counted here.

    Raises:
        LayoutError: the number of axes is not that of the layout, or no grid of tokens fits.
    """
    axes = {"map": (4,), "channels-last": (4,), "tokens": (3,), "vector": (2, 4), "depth": (3,)}[kind]
    if len(shape) not in axes:
        raise LayoutError(f"layout '{kind}' has {axes[0]} axes; the tensor has {len(shape)}: {tuple(shape)}")
    if kind != "tokens":
        return Layout(kind)  # type: ignore[arg-type]
    tokens = _tokens(shape[1], frame_size, grid)
    if tokens:
        return tokens
    raise LayoutError(
        f"{shape[1]} tokens make no grid of the frame's proportions {frame_size[0]}×{frame_size[1]}; "
        "give grid=(rows, columns)"
    )


def _tokens(count: int, frame_size: tuple[int, int], grid: tuple[int, int] | None) -> Layout | None:
    """Tokens with the fewest prefix tokens that leave a grid of the frame's proportions, or the given grid."""
    for prefix in range(min(_MOST_PREFIX_TOKENS, count - 1) + 1):
        cells = grid or token_grid(count - prefix, frame_size)
        if cells[0] * cells[1] == count - prefix and (grid or _divides(cells, frame_size)):
            return Layout("tokens", prefix, grid)
    return None


def _fits(space: tuple[int, ...], frame_size: tuple[int, int]) -> bool:
    """Whether some s makes h = height / s and w = width / s, each side to within one cell."""
    (h, w), (height, width) = space, frame_size
    return h * w > 1 and height * (w - 1) <= width * (h + 1) and width * (h - 1) <= height * (w + 1)


def _divides(cells: tuple[int, int], frame_size: tuple[int, int]) -> bool:
    """Whether some s makes h = height / s and w = width / s, both rounded up or both rounded down."""
    (h, w), (height, width) = cells, frame_size
    up = height * (w - 1) < width * h and width * (h - 1) < height * w
    down = width * h < height * (w + 1) and height * w < width * (h + 1)
    return h * w > 1 and (up or down)


def _divides_padded(space: tuple[int, ...], frame_size: tuple[int, int]) -> bool:
    """Whether (h, w) divides the frame padded to a multiple of a stride, both sides by the same number."""
    (h, w), (height, width) = space, frame_size
    padded = ((-(-height // stride) * stride, -(-width // stride) * stride) for stride in _STRIDES)
    return any(high % h == 0 and high * w == wide * h for high, wide in padded)
