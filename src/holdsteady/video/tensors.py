"""Pictures as tensors for a model, and results as pictures."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from holdsteady.errors import ModelError

from .border import Given, check_shape
from .frame import Pixels, Plane, VideoFrame, VideoInfo
from .orientation import upright
from .reader import Reader


def dtype_of(dtype: str | torch.dtype) -> torch.dtype:
    """A dtype, or the one of that name."""
    return getattr(torch, dtype) if isinstance(dtype, str) else dtype


class Tensors:
    """The border to models of torch tensors on a device and in a dtype; see `Border`."""

    def __init__(self, device: str | torch.device, dtype: str | torch.dtype) -> None:
        self._device, self._dtype = device, dtype_of(dtype)

    def show(self, pixels: Pixels) -> Tensor:
        """Pixels as a frame."""
        return to_tensor(pixels, self._device, self._dtype)

    def give(self, result: Tensor, *, deep: bool) -> Given:
        """A result as pictures."""
        pixels, lost = to_pixels(result[:, :3], deep=deep)
        return Given(pixels, to_plane(result[:, 3:], deep=deep) if result.shape[1] == 4 else None, lost)

    def size(self, result: Any) -> tuple[int, int]:
        """Height and width of a result."""
        if not isinstance(result, Tensor):
            raise ModelError(f"the model returned {type(result).__name__}, but has to return a tensor")
        return check_shape(tuple(result.shape), result.dtype, result.is_floating_point())

    def running(self) -> AbstractContextManager[Any]:
        """Inference mode."""
        return torch.inference_mode()


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
