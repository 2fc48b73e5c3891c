"""Large maps a band of rows at a time, with the rows around it that it depends on."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Values that the widest map of a band may have: 32 MiB. Of a frame of 640×480, 64 channels make three bands, whose
#: borders cost 3 % more work.
_VALUES = 2**23


def in_bands(compute: Callable[[slice], Tensor], shape: Sequence[int], channels: int, reach: int) -> Tensor:
    """What ``compute`` makes of all rows, from what it makes of some, where this spares memory.

    Not where gradients are wanted, which keep all maps anyway, nor in a compiler.

    Args:
        compute: a slice of rows of maps (B, C, H, W) → as many rows of the result.
        shape: (B, C, H, W) of the maps.
        channels: of the widest map that is needed on the way.
        reach: how many rows away what a row of the result depends on can lie.
    """
    batch, _, height, width = shape
    count = -(-batch * channels * height * width // _VALUES)
    if count <= 1 or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return compute(slice(0, height))
    rows = -(-height // count)
    done = []
    for first in range(0, height, rows):
        begin, last = max(first - reach, 0), min(first + rows, height)
        done.append(compute(slice(begin, last + reach))[:, :, first - begin : last - begin])
    return torch.cat(done, dim=2)
