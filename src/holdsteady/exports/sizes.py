"""Sizes at the border of an export, as ``models.sizes`` and ``models.runner`` have them. Without PyTorch."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: From the side of pictures and another to the weights of one by the other.
Weights = Callable[[int, int], npt.NDArray[np.float32]]


def padded_to(frame: Array, multiple: tuple[int, int], least: int = 1) -> Array:
    """A frame (B, C, H, W) continued at the bottom and right by reflection, to sides that are such multiples."""
    height, width = frame.shape[-2:]
    bottom, right = (
        -(-max(side, least) // part) * part - side for side, part in zip((height, width), multiple, strict=True)
    )
    if not (bottom or right):
        return frame
    return np.pad(
        frame,
        ((0, 0), (0, 0), (0, bottom), (0, right)),
        mode="reflect" if bottom < height and right < width else "edge",
    )


def cropped(output: Array, padded: tuple[int, int], size: tuple[int, int]) -> Array:
    """The part of an output (…, h, w) that shows the frame of ``size`` in one of size ``padded``."""
    height, width = (round(output.shape[axis] * size[axis] / padded[axis]) for axis in (-2, -1))
    return output[..., : max(1, height), : max(1, width)]


def resized(pictures: Array, size: tuple[int, int]) -> Array:
    """Pictures (…, H, W) in another size (h, w): bilinear, without aliasing."""
    if pictures.shape[-2:] == size:
        return pictures
    if size[0] < pictures.shape[-2] or size[1] < pictures.shape[-1]:
        is_known = np.isfinite(pictures)
        if is_known.all():
            return by_weights(pictures, shrinking, size)
        # A mean over all with weights of 0 for most would be NaN everywhere.
        small = by_weights(np.where(is_known, pictures, 0), shrinking, size)
        return np.where(by_weights(~is_known, shrinking, size) > 0, np.float32(np.nan), small)
    planes = pictures.reshape(-1, *pictures.shape[-2:]).astype(np.float32, copy=False)
    large = [cv2.resize(np.ascontiguousarray(plane), size[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes]
    return np.stack(large).reshape(*pictures.shape[:-2], *size)


def largest(scores: Array, size: tuple[int, int]) -> Array:
    """The number of the largest of the channels (B, C, H, W) at every pixel of another size: (B, h, w)."""
    if scores.shape[-2:] == size:
        found: Array = scores.argmax(axis=1)
        return found
    # One by one: all channels at once would take gigabytes.
    best = resized(scores[:, 0], size)
    number = np.zeros(best.shape, np.int64)
    for channel in range(1, scores.shape[1]):
        value = resized(scores[:, channel], size)
        wins = value > best
        best, number[wins] = np.where(wins, value, best), channel
    return number


def by_weights(pictures: Array, weights: Weights, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Pictures (…, H, W) in another size, each pixel a weighted mean of those of its row and column."""
    height, width = pictures.shape[-2:]
    if (height, width) == size:
        return np.ascontiguousarray(pictures, np.float32)
    down, across = weights(height, size[0]), weights(width, size[1])
    return np.ascontiguousarray(down @ pictures @ across.T, np.float32)


@lru_cache(8)
def shrinking(side: int, small: int) -> npt.NDArray[np.float32]:
    """Weights (small, side) of triangles as wide as two small pixels: bilinear, without aliasing."""
    scale = max(side / small, 1.0)
    centre = (np.arange(small) + 0.5) * (side / small)
    distance = np.abs(np.arange(side) + 0.5 - centre[:, None]) / scale
    weights = np.clip(1 - distance, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(8)
def growing(side: int, large: int) -> npt.NDArray[np.float32]:
    """Weights (large, side) of bilinear interpolation between the centres of pixels."""
    place = np.clip((np.arange(large) + 0.5) * (side / large) - 0.5, 0, side - 1)
    return np.clip(1 - np.abs(np.arange(side) - place[:, None]), 0, None).astype(np.float32)
