"""What OpenCV does several times as fast as torch on a CPU: float32 maps without gradients, a plane at a time."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from holdsteady.eager import can_look

_LARGEST = 32_000  # the longest side that OpenCV looks places up in


def takes(*values: Tensor) -> bool:
    """Whether OpenCV is there and serves for these values."""
    if not all(can_look(value) and value.dtype == torch.float32 and value.numel() for value in values):
        return False
    return not wants_gradient(*values) and find_spec("cv2") is not None


def wants_gradient(*values: Tensor) -> bool:
    """Whether autograd follows any of these values."""
    return torch.is_grad_enabled() and any(value.requires_grad for value in values)


def enlarge(value: Tensor, size: tuple[int, int]) -> Tensor:
    """A map (B, C, h, w) brought to another size (H, W) bilinearly, which may be a smaller one."""
    import cv2

    result, planes = planes_of(value, size)
    for plane, out in planes:
        cv2.resize(plane, size[::-1], out, 0, 0, cv2.INTER_LINEAR)
    return result


def planes_of(value: Tensor, size: tuple[int, int]) -> tuple[Tensor, list[tuple[np.ndarray, np.ndarray]]]:
    """A new map (B, C, *size), and of each plane of a map (B, C, H, W) a view, with one of the new map to fill."""
    result = value.new_empty((*value.shape[:2], *size))
    planes = value.detach().contiguous().flatten(0, 1).numpy()
    return result, list(zip(planes, result.flatten(0, 1).numpy(), strict=True))


def can_remap(source: Tensor, *places: Tensor) -> bool:
    """Whether :func:`remap` serves."""
    return takes(source, *places) and max(source.shape[2:]) <= _LARGEST and _is_exact()


def remap(source: Tensor, x: Tensor, y: Tensor, *, cubic: bool) -> Tensor:
    """Values of a map (B, C, H, W) at the places x, y (B, h, w) in pixels, the border repeated, (B, C, h, w).

    Args:
        cubic: bicubic rather than bilinear.
    """
    import cv2

    way = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    height, width = source.shape[2:]
    # Nothing changes beyond the border; integers that OpenCV computes with could overflow.
    x, y = x.clamp(-4, width + 3).contiguous(), y.clamp(-4, height + 3).contiguous()
    result, channels = source.new_empty((*source.shape[:2], *x.shape[1:])), source.shape[1]
    # Channels side by side are looked up faster, but for a few places that does not pay for bringing them there.
    groups = [1] * channels if 4 * x[0].numel() < height * width else _groups(channels)
    for image, out, across, down in zip(source.detach(), result, x.numpy(), y.numpy(), strict=True):
        for some, moved in zip(image.split(groups), out.split(groups), strict=True):
            planes = [plane.contiguous().numpy() for plane in some]
            if len(planes) == 1:
                cv2.remap(planes[0], across, down, way, moved[0].numpy(), cv2.BORDER_REPLICATE)
                continue
            found = cv2.remap(cv2.merge(planes), across, down, way, borderMode=cv2.BORDER_REPLICATE)
            cv2.split(found, [plane.numpy() for plane in moved])
    return result


def _groups(channels: int) -> list[int]:
    """How many channels are looked up together: OpenCV is exact for one, three and four."""
    fours, rest = divmod(channels, 4)
    return [4] * fours + ([3] if rest == 3 else [1] * rest)


@cache
def _is_exact() -> bool:
    """Whether OpenCV looks up places as they are: before version 5 it rounded them to 1/32 pixel."""
    import cv2

    place = np.full((1, 1), 3 + 1 / 96, np.float32)
    for channels in (1, 3, 4):
        ramp = np.arange(8, dtype=np.float32)[None, :, None].repeat(8, axis=0).repeat(channels, axis=2)
        for way in (cv2.INTER_LINEAR, cv2.INTER_CUBIC):
            if (cv2.remap(ramp, place, place, way) < 3 + 1 / 192).any():
                return False
    return True
