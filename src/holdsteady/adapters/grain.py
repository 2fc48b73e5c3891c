"""The input's own faint grain, which a memory would take off the output: a part of the picture, and to be kept.

What changes in the output as the input itself does, was not added by the network. If that is faint too, it is the grain
of the camera, or fine texture that no search follows exactly, and both belong to the picture (docs/method.md, (24)).
Noise that a viewer would see is stronger; what a network adds of its own does not follow its input.
"""

import torch
from torch import Tensor

from holdsteady.adapters.means import CELL, between, cell_mean, channel_mean, energy, value_range
from holdsteady.flow.warp import places, sample

_APART = 4  # of the places, each so many-th row and column is looked at
_OWN, _WHOLLY = 0.8, 0.92  # share of a change that the input's explains: none of it is kept, all is
_FAINT, _SEEN = 2.2 / 255, 3.2 / 255  # deviation of the input's grain in ranges of it: all is kept, nothing is


def own_grain(change: Tensor, frame: Tensor, previous: Tensor, flow: Tensor, share: Tensor) -> Tensor:
    """(24) G in cells (B, 1, h, w), in [0, 1]: how far what changes in the output is faint grain of the input.

    Args:
        change: of the output against the last one brought to the present, both without their wide flicker alone,
            mean over the channels, (B, 1, H, W).
        frame, previous: x_t and x_{t−1}, (B, C, H, W).
        flow: from t back to t−1, (B, 2, H, W) in pixels.
        share: of the last output as it lay, (B, 1, H, W); the input's is mixed likewise.
    """
    some = (..., slice(None, None, _APART), slice(None, None, _APART))
    moved = sample(previous, *places(flow.to(previous.dtype), _APART))
    by_channel = frame[some] - torch.lerp(moved, previous[some], share[some])
    out, into = change[some], channel_mean(by_channel)
    side = CELL // _APART
    both, out, into = (cell_mean(product, side) for product in (out * into, out * out, into * into))
    explained = both.clamp_min(0).square() / (out * into).clamp_min(1e-30)
    # Both frames have grain, so half of the energy is that of one.
    deviation = cell_mean(energy(by_channel), side) / (2 * value_range(frame).clamp_min(1e-15).square())
    return between(explained, _OWN, _WHOLLY) * between(deviation, _SEEN**2, _FAINT**2)
