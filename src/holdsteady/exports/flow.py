"""The flow that an export asks its host for: pictures of any size in, the flow of that size out. Without PyTorch."""

import numpy as np
import numpy.typing as npt

from holdsteady.exports.sizes import by_weights, growing, shrinking
from holdsteady.flow.search import MENDED_HEIGHT, search, size_within

Array = npt.NDArray[np.float32]


def flow_between(present: Array, previous: Array, max_height: int, *, mend: bool, smooth: float) -> Array:
    """DIS flow (B, 2, H, W) between grey pictures (B, H, W), as ``flow.dis.DISFlow`` has it, to the last digits."""
    size = (present.shape[1], present.shape[2])
    searched = size_within(size, max_height)
    small = size_within(size, MENDED_HEIGHT if mend else max_height)
    pair = [by_weights(picture, shrinking, small) for picture in (present, previous)]
    flow = search(pair[0], pair[1], searched, mend=mend, smooth=smooth)
    ratio = np.asarray((size[1] / searched[1], size[0] / searched[0]), np.float32)[:, None, None]
    return flow if searched == size else by_weights(flow, growing, size) * ratio
