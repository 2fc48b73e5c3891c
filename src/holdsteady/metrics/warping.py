"""Warp error: steadiness along the motion, where the motion can be followed.

After Lai et al. 2018, "Learning Blind Video Temporal Consistency"; the two checks that find occlusions
and motion edges come with their constants from there.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import MetricError
from holdsteady.flow.warp import places, warp
from holdsteady.metrics.masked import as_float, check_shapes, mean_where


def visible(flow: Tensor, flow_back: Tensor) -> Tensor:
    """Where a pixel of the present frame can be followed to the previous one.

    Left out are places outside of the previous frame; occlusions, where the way there and back does not
    return: |F(p) + F_b(p+F)|² > 0.01 (|F(p)|² + |F_b(p+F)|²) + 0.5; and motion edges, where
    |∇u|² + |∇v|² > 0.01 |F(p)|² + 0.002.

    Args:
        flow: F (B, 2, H, W) in pixels, H and W ≥ 2: pixel p of the present frame was at p + F(p) in the
            previous one; channel 0 to the right, channel 1 down.
        flow_back: F_b, from the previous frame to the present one, in the same form.

    Returns:
        (B, 1, H, W), boolean.

    Raises:
        MetricError: a flow has another shape.
    """
    check_shapes(flow, flow_back)
    if flow.dim() != 4 or flow.shape[1] != 2 or min(flow.shape[2:]) < 2:
        raise MetricError(f"expected a flow (B, 2, H, W) with H and W ≥ 2, got {tuple(flow.shape)}")
    flow, flow_back = as_float(flow), as_float(flow_back)
    height, width = flow.shape[2:]
    x, y = places(flow)
    # A pixel reaches half a pixel around its centre.
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)

    back = warp(flow_back, flow)
    length = flow.square().sum(dim=1)
    returns = (flow + back).square().sum(dim=1) <= 0.01 * (length + back.square().sum(dim=1)) + 0.5

    down, right = torch.gradient(flow, dim=(2, 3))
    smooth = (down.square() + right.square()).sum(dim=1) <= 0.01 * length + 0.002
    return (inside & returns & smooth)[:, None]


def warp_error(present: Tensor, previous: Tensor, flow: Tensor, flow_back: Tensor) -> Tensor:
    """Mean squared difference between an output and the previous output warped along the motion.

    The mean is over the pixels that are ``visible`` and over channels. The flows must come from the
    *clean input*, never from the outputs, or every model is measured with a ruler of its own.

    Args:
        present: ŷ_t (B, C, H, W), any range; NaN leaves the element out.
        previous: ŷ_{t−1} (B, C, H, W); NaN leaves out what is interpolated from it.
        flow: (B, 2, H, W) from the present clean frame to the previous one, as in ``visible``.
        flow_back: (B, 2, H, W), from the previous clean frame to the present one.

    Returns:
        (B,) ≥ 0, in squared units of the frames; lower is steadier. NaN if nothing is visible.

    Raises:
        MetricError: the shapes don't fit each other.
    """
    check_shapes(present, previous)
    if present.dim() != 4 or (len(present), *present.shape[2:]) != (len(flow), *flow.shape[2:]):
        raise MetricError(
            f"expected frames (B, C, H, W) and flows (B, 2, H, W) of the same B, H and W, "
            f"got {tuple(present.shape)} and {tuple(flow.shape)}"
        )
    missing = previous.isnan()
    warped = warp(torch.where(missing, 0, as_float(previous)), as_float(flow))
    # Widened by the reach of bicubic interpolation: each warped value that a hole touched is left out.
    holes = F.max_pool2d(missing.float(), 5, stride=1, padding=2)
    valid = visible(flow, flow_back) & ~present.isnan() & (warp(holes, as_float(flow)) <= 0)
    return mean_where((as_float(present) - warped).square(), valid)
