"""The motion from a frame to the one before, and where it can be followed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdsteady.check.bands import SIDE, Array, Bands, blur, moved
from holdsteady.flow.dis import DISFlow
from holdsteady.metrics.warping import visible

_FLOW = DISFlow(max_height=2 * SIDE)  # as measured, also where a picture stands upright
# Where standing still explains the pictures nearly as well as the flow, noise has invented the flow.
_STILL = 1.1
_STEP = 0.5  # pixels that the last, finer step may go


@dataclass(frozen=True)
class Motion:
    """From a frame to the one before.

    Attributes:
        flow: (H, W, 2) in pixels: pixel p was at p + flow(p).
        seen: (H, W), where it can be followed: no occlusion, no motion edge.
    """

    flow: Array
    seen: npt.NDArray[np.bool_]


def find_motion(present: Bands, previous: Bands) -> Motion:
    """The motion between two frames: DIS between pictures that are blurred a little, a bias for rest, and one
    least-squares step (Lucas and Kanade 1981) on the detail, since DIS is right to a third of a pixel only."""
    now, before = _smooth(present), _smooth(previous)
    forth, back = _FLOW(now, before), _FLOW(before, now)
    seen = visible(forth, back)[0, 0].numpy()
    flow = np.ascontiguousarray(forth[0].permute(1, 2, 0).numpy())
    flow = _stay_where_still(flow, present, previous)
    return Motion(flow + _last_step(flow, present, previous), seen)


def _smooth(bands: Bands) -> Tensor:
    return torch.from_numpy(blur(bands.picture, 1.4).transpose(2, 0, 1))[None]


def _middle(bands: Bands) -> Array:
    """The detail that motion is told from, without the light, which may change: grey (H, W)."""
    return np.asarray(sum(bands.detail[1:])).mean(axis=2, dtype=np.float32)


def _stay_where_still(flow: Array, present: Bands, previous: Bands) -> Array:
    now, before = _middle(present), _middle(previous)
    along = blur(np.square(now - moved(before, flow)), 2.8)
    still = blur(np.square(now - before), 2.8)
    return np.where((still <= _STILL * along)[..., None], np.float32(0), flow)


def _last_step(flow: Array, present: Bands, previous: Bands) -> Array:
    now, before = _middle(present), moved(_middle(previous), flow)
    down, right = np.gradient((now + before) / 2)
    change = now - before
    xx, xy, yy, xt, yt = (
        blur(np.asarray(product, np.float32), 5.6)
        for product in (right * right, right * down, down * down, right * change, down * change)
    )
    # Where there is little detail the step is small.
    some = 0.01 * float((xx + yy).mean()) + 1e-9
    xx, yy = xx + some, yy + some
    det = xx * yy - xy * xy
    step = np.stack(((yy * xt - xy * yt) / det, (xx * yt - xy * xt) / det), axis=2)
    step[~flow.any(axis=2)] = 0
    return np.clip(step, -_STEP, _STEP).astype(np.float32)
