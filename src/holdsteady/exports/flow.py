"""The flow that an export asks its host for: pictures of any size in, the flow of that size out. Without PyTorch."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from holdsteady.flow.search import MENDED_HEIGHT, search, size_within

Array = npt.NDArray[np.float32]


def flow_between(present: Array, previous: Array, max_height: int, *, mend: bool, smooth: float) -> Array:
    """DIS flow (B, 2, H, W) between grey pictures (B, H, W), as ``flow.dis.DISFlow`` has it, to the last digits."""
    size = (present.shape[1], present.shape[2])
    searched = size_within(size, max_height)
    small = size_within(size, MENDED_HEIGHT if mend else max_height)
    pair = [_resized(picture, _shrinking, small) for picture in (present, previous)]
    flow = search(pair[0], pair[1], searched, mend=mend, smooth=smooth)
    ratio = np.asarray((size[1] / searched[1], size[0] / searched[0]), np.float32)[:, None, None]
    return flow if searched == size else _resized(flow, _growing, size) * ratio


def _resized(pictures: Array, weights: Callable[[int, int], Array], size: tuple[int, int]) -> Array:
    """Pictures (…, H, W) in another size."""
    height, width = pictures.shape[-2:]
    if (height, width) == size:
        return np.ascontiguousarray(pictures, np.float32)
    down, across = weights(height, size[0]), weights(width, size[1])
    return np.ascontiguousarray(down @ pictures @ across.T, np.float32)


@lru_cache(8)
def _shrinking(side: int, small: int) -> Array:
    """Weights (small, side) of triangles as wide as two small pixels: bilinear, without aliasing."""
    scale = max(side / small, 1.0)
    centre = (np.arange(small) + 0.5) * (side / small)
    distance = np.abs(np.arange(side) + 0.5 - centre[:, None]) / scale
    weights = np.clip(1 - distance, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(8)
def _growing(side: int, large: int) -> Array:
    """Weights (large, side) of bilinear interpolation between the centres of pixels."""
    place = np.clip((np.arange(large) + 0.5) * (side / large) - 0.5, 0, side - 1)
    return np.clip(1 - np.abs(np.arange(side) - place[:, None]), 0, None).astype(np.float32)
