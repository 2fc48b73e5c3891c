"""A true change of light, as a fade: the memory follows it, so that it is of use all the while.

A fade goes on from frame to frame, flicker does not: its wide changes are those of the last two frames again, where
those of flicker soon turn round (docs/method.md, (25)).
"""

import torch
from torch import Tensor

from holdsteady.adapters.cell import Memory
from holdsteady.adapters.means import CELL, between, cell_mean
from holdsteady.eager import can_look

_REMEMBERS = 0.3  # weight of the present in the average of the correlation
_BEGINS, _WHOLE = 0.2, 0.5  # correlation at which the memory begins to follow, and does wholly


def followed(known: Memory, r: Tensor, change: Tensor, side: int = CELL) -> tuple[Tensor | None, Tensor, Memory]:
    """(25) How far the memory follows, and by what.

    Args:
        known: ``change``, the mean changes of the last two frames in cells (B, 2, h, w), the last one first, and
            ``fade``, how much those of a frame are like them, averaged over time (B, 1, 1, 1); NaN at the start.
        r: z_t − w_t, (B, C, H, W).
        change: of the value against the last one brought to the present, both without their wide flicker alone, mean
            over the channels, (B, 1, H, W).
        side: of a cell, in pixels.

    Returns:
        What to add to the memory, in cells (B, C, h, w), None if nothing; how far it follows, (B, 1, 1, 1) in [0, 1];
        and what is known afterwards.
    """
    change, before = cell_mean(change, side), known["change"].nan_to_num(0.0)
    likeness = [_correlation(change, one) for one in before.split(1, dim=1)]
    fade = torch.lerp(known["fade"].nan_to_num(0.0), torch.minimum(*likeness), _REMEMBERS)
    after = {"change": torch.cat((change, before[:, :1]), dim=1), "fade": fade}
    part = between(fade, _BEGINS, _WHOLE)
    if can_look(r) and not bool(part.any()):
        return None, part, after
    return part * cell_mean(r, side), part, after


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Of two maps (B, 1, h, w), about zero, of each stream: (B, 1, 1, 1); 0 where one of them is flat."""
    both, first, second = (x.mean(dim=(1, 2, 3), keepdim=True) for x in (one * other, one.square(), other.square()))
    # Clamped before the root, whose gradient at zero is infinite.
    return both / (first.clamp_min(1e-30).sqrt() * second.clamp_min(1e-30).sqrt())
