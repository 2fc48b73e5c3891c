"""The motion of the clean clip, for a stability term that does not punish it."""

import torch
from torch import Tensor

from holdsteady.errors import LayoutError
from holdsteady.flow.dis import DISFlow
from holdsteady.metrics.warping import visible


@torch.no_grad()
def clean_flow(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Flow between the frames of a clean clip, and where it can be trusted, as ``unified_loss`` takes them.

    DIS flow on the CPU, there and back; occlusions, motion edges and what leaves the picture are masked by
    ``holdsteady.metrics.visible`` (Lai et al. 2018). Data that knows its exact flow needs ``visible`` alone.

    Args:
        frames: x (B, T, 3, H, W), clean, of any range, T ≥ 2, H and W ≥ 2.

    Returns:
        Flows (B, T−1, 2, H, W) in pixels, from frame t back to frame t−1, such that x_t[p] ≈ x_{t−1}[p + flow(p)];
        and valid (B, T−1, 1, H, W), boolean.

    Raises:
        LayoutError: the frames have other axes, or there are fewer than two.
    """
    if frames.dim() != 5 or frames.shape[1] < 2 or min(frames.shape[3:]) < 2:
        raise LayoutError(f"expected a clip (B, T, 3, H, W) with T, H and W ≥ 2, got {tuple(frames.shape)}")
    estimate = DISFlow(max_height=540)
    present, previous = frames[:, 1:].flatten(0, 1), frames[:, :-1].flatten(0, 1)
    flow = estimate(present, previous)
    valid = visible(flow, estimate(previous, present))
    pairs = (len(frames), frames.shape[1] - 1)
    return flow.unflatten(0, pairs), valid.unflatten(0, pairs)
