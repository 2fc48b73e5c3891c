"""Large maps a band of rows at a time, with the rows around it that it depends on.

That spares memory, and time: a map that fits into the cache, and into memory that was just freed, is made faster.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# Values of the widest map of a band: those that stay in a CPU's cache, and those that don't burden its memory.
_CACHED, _LARGEST = 2**21, 2**23
#: A band is this many times as high as what it depends on above and below, and so much at the least where that is a
#: burden: 5 % more work, and 20 %.
_HEIGHT, _LEAST = 40, 10


def in_bands(compute: Callable[[slice], Tensor], like: Tensor, channels: int, reach: int) -> Tensor:
    """What ``compute`` makes of all rows, from what it makes of some, where maps are large.

    Not where gradients are wanted, which keep all maps anyway.

    Args:
        compute: a slice of rows of maps (B, C, H, W) → as many rows of the result.
        like: one of the maps.
        channels: of the widest map that is needed on the way.
        reach: how many rows away what a row of the result depends on can lie.
    """
    batch, _, height, width = like.shape
    row = max(batch * channels * width, 1)
    rows = max(_CACHED // row, min(_HEIGHT * reach, max(_LARGEST // row, _LEAST * reach)), 1)
    if rows >= height or torch.is_grad_enabled():
        return compute(slice(0, height))
    rows = -(-height // -(-height // rows))  # all of one height, nearly
    done = []
    for first in range(0, height, rows):
        begin, last = max(first - reach, 0), min(first + rows, height)
        done.append(compute(slice(begin, min(last + reach, height)))[:, :, first - begin : last - begin])
    return torch.cat(done, dim=2)
