"""Pictures as tensors for a model, and results as pictures."""

from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from holdsteady.errors import ModelError

from .frame import Pixels, Plane, VideoFrame, VideoInfo
from .orientation import Picture, upright
from .reader import Reader


def to_tensor(pixels: Pixels, device: str | torch.device, dtype: torch.dtype) -> Tensor:
    """RGB (H, W, 3) uint8 or uint16 as (1, 3, H, W) in [0, 1], in channels-last memory as the pixels are."""
    scale = 255 if pixels.dtype == np.uint8 else 65535
    # Sent to the device as integers, which are smaller; computed in float32, for half can't hold 65535.
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return tensor[None].permute(0, 3, 1, 2).to(torch.float32).div_(scale).to(dtype)


def upright_tensor(frame: VideoFrame, info: VideoInfo, device: str | torch.device = "cpu") -> Tensor:
    """A frame of a source as float32 (1, 3, H, W) in [0, 1], turned upright."""
    return to_tensor(upright(frame.pixels, info), device, torch.float32)


def upright_tensors(reader: Reader, device: str | torch.device = "cpu") -> Iterator[Tensor]:
    """The frames of a source as float32 (1, 3, H, W) in [0, 1], turned upright, as they are decoded."""
    for frame in reader:
        yield upright_tensor(frame, reader.info, device)


def check_result(result: object, size: tuple[int, int] | None) -> tuple[int, int]:
    """The height and width of a model's result.

    Args:
        result: What the model returned.
        size: Height and width that it must have, or None for any.

    Raises:
        ModelError: It is not a floating tensor (1, C, h, w) of 1, 3 or, with alpha, 4 channels, or of another size.
    """
    if not isinstance(result, Tensor):
        raise ModelError(f"the model returned {type(result).__name__}, but has to return a tensor")
    shape = tuple(result.shape)
    if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3, 4) or not result.is_floating_point():
        raise ModelError(
            f"the model returned {result.dtype} {shape}, but has to return a floating tensor "
            f"(1, 3, h, w) or (1, 1, h, w), or (1, 4, h, w) with alpha"
        )
    if size is not None and shape[2:] != size:
        raise ModelError(
            f"the model's result changed its size from {size[1]}x{size[0]} to {shape[3]}x{shape[2]}; "
            f"all results of a video need one size"
        )
    return shape[2], shape[3]


def to_pixels(result: Tensor, *, deep: bool) -> tuple[Pixels, int]:
    """A result (1, 3 or 1, h, w) as RGB (h, w, 3), and how many of its pixels were NaN.

    Values are clamped to [0, 1] and rounded to the nearest of 8 bits, or 16 if `deep`; NaN becomes 0.
    """
    picture, lost = result[0].to(torch.float32), 0
    if torch.isnan(picture.sum()):  # one pass, where looking for each takes four; infinities can bring it about too
        bad = torch.isnan(picture)
        lost = int(bad.any(dim=0).sum())
        picture = picture.masked_fill(bad, 0.0)
    scaled = picture.clamp(0, 1).mul_(65535 if deep else 255).round_()
    values = scaled.to(torch.int32 if deep else torch.uint8).permute(1, 2, 0).expand(-1, -1, 3).cpu().numpy()
    pixels = values.astype(np.uint16) if deep else np.ascontiguousarray(values)
    return cast(Pixels, pixels), lost


def to_plane(alpha: Tensor, *, deep: bool) -> Plane:
    """Opacity (1, 1, h, w) in [0, 1] as (h, w), as `to_pixels` does with pictures."""
    return cast(Plane, np.ascontiguousarray(to_pixels(alpha, deep=deep)[0][..., 0]))


def resized(picture: Picture, height: int, width: int) -> Picture:
    """A picture (H, W) or (H, W, 3) in another size: of averages where it shrinks, bicubic where it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    way = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_CUBIC
    return cast(Picture, cv2.resize(cast(Any, picture), (width, height), interpolation=way))


def beside(left: Picture, right: Picture) -> Picture:
    """Two pictures in one: `left`, resized to the size of `right` (h, w) or (h, w, 3), and it: twice as wide."""
    return cast(Picture, np.concatenate([resized(left, *right.shape[:2]), right], axis=1))
