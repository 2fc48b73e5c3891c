"""*universal*: one small trained adapter for every model, blind to channels, colours and value range.

The head sees no values, only differences: of the present to the memory moved and unmoved, of the input along the
same motion, of the last raw value to what it was stabilized to. All are energies (mean squares over the channels) at
several scales, as logarithms of their ratio to the picture's own noise, so that f(a·z + b) = a·f(z) + b for any
a ≠ 0, and any number of channels will do. It works at half the resolution; its weights are a softmax over candidates,
so that the result is a convex combination of what was seen.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Context, Fused, Memory, Moment
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import RelativeHead, enlarge_rows, shrink
from holdsteady.adapters.method import MotionCell
from holdsteady.flow.dis import FLOWS
from holdsteady.flow.warp import resize, warp, widened

CELL = 8  # side in pixels of the squares whose means are the low band
_FLOOR = 0.003  # of the standard deviation of a picture: differences below are as good as none


def energy(value: Tensor) -> Tensor:
    """Mean of the squares over the channels, (B, C, H, W) → (B, 1, H, W)."""
    return value.square().mean(dim=1, keepdim=True)


def box3(value: Tensor) -> Tensor:
    """Mean over the 3×3 places around each one that are inside."""
    return F.avg_pool2d(value, 3, stride=1, padding=1, count_include_pad=False)


def moved_bilinearly(value: Tensor, flow: Tensor) -> Tensor:
    """value[p + flow(p)], (B, C, H, W), bilinear with border padding: for what is only compared."""
    height, width = value.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    grid = torch.stack((x * (2 / width) + (1 / width - 1), y * (2 / height) + (1 / height - 1)), dim=-1)
    return F.grid_sample(value, grid, mode="bilinear", padding_mode="border", align_corners=False)


def central_energy(value: Tensor) -> Tensor:
    """Energy of the gradient of a map, by central differences, (B, 1, H, W)."""
    around = F.pad(value, (1, 1, 1, 1), mode="replicate")
    across = around[..., 1:-1, 2:] - around[..., 1:-1, :-2]
    down = around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    return (energy(across) + energy(down)) / 4


def spread(value: Tensor) -> Tensor:
    """Variance over space, mean over the channels: (B, C, H, W) → (B, 1, 1, 1)."""
    return value.var(dim=(2, 3), correction=0, keepdim=True).mean(dim=1, keepdim=True)


def relative(value: Tensor, unit: Tensor, floor: Tensor) -> Tensor:
    """An energy against a unit, log((e + floor) / (unit + floor)) at a scale that suits a head."""
    return 0.25 * ((value + floor) / (unit + floor)).log()


def low_band(value: Tensor) -> Tensor:
    """Smoothed means over squares of CELL pixels, (B, C, H, W) → (B, C, ⌈H/CELL⌉, ⌈W/CELL⌉)."""
    return box3(shrink(value, CELL))


@dataclass(frozen=True)
class Halves:
    """What is compared, at half the size: each (B, C, ⌈H/2⌉, ⌈W/2⌉).

    Attributes:
        present: z_t.
        moved: z̃_{t−1} brought to the present.
        still: z̃_{t−1} as it lay.
        lag: what was taken off the last value, z_{t−1} − z̃_{t−1}, brought to the present.
        frame, frame_moved, frame_still: x_t, x_{t−1} brought to the present, and as it lay.
        fine: energies at the full size, pooled: of z_t − w_t, and of the detail within 2×2 pixels of z_t and of w_t.
        flow: (B, 2, ⌈H/2⌉, ⌈W/2⌉), in pixels of this size.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    lag: Tensor
    frame: Tensor
    frame_moved: Tensor
    frame_still: Tensor
    fine: Tensor
    flow: Tensor


#: How many maps :func:`seen` gives.
SEEN = 27


def seen(at: Halves) -> Tensor:
    """What the head sees, (B, SEEN, ⌈H/2⌉, ⌈W/2⌉), without unit and the same for a·z + b."""
    height, width = at.present.shape[-2:]
    cell = CELL // 2

    def at_half(value: Tensor) -> Tensor:
        return enlarge_rows(value, cell, slice(0, height), width)

    def scales(difference: Tensor) -> list[Tensor]:
        """Energies of a signed difference at three scales: noise loses most of its own in each mean, mismatch not."""
        return [energy(difference), energy(box3(difference)), energy(at_half(box3(shrink(difference, cell))))]

    by_moved, by_still = at.present - at.moved, at.present - at.still
    moved, still = scales(by_moved), scales(by_still)
    local = box3(shrink(torch.minimum(moved[0], still[0]), cell))
    noise = torch.quantile(local.flatten(1), 0.3, dim=1)[:, None, None, None]
    size = torch.maximum(spread(at.present), spread(at.still)).clamp_min(1e-20)
    floor = _FLOOR**2 * size
    steady = -F.max_pool2d(-local, 3, stride=1, padding=1)
    lag = box3(at.lag)
    energies = [
        *moved,
        *still,
        *(by_moved.square().amax(dim=1, keepdim=True), box3(moved[0]), box3(still[0])),
        *(energy(at.lag), energy(lag)),
        *(central_energy(at.present), central_energy(at.moved)),
        *(at.fine[:, :1], at.fine[:, 1:2], at.fine[:, 2:]),
        *(at_half(local), at_half(steady)),
    ]
    own = [relative(torch.cat(energies, dim=1), noise, floor)]
    together = box3((by_moved * at.lag).mean(dim=1, keepdim=True))
    own.append(together / (box3(moved[0]) + box3(energies[9]) + floor))

    range_of_frames = spread(at.frame).clamp_min(1e-20)
    frames_floor = _FLOOR**2 * range_of_frames
    frames = [*scales(at.frame - at.frame_moved), *scales(at.frame - at.frame_still)[1:]]
    own.append(relative(torch.cat(frames, dim=1), range_of_frames * 1e-3, frames_floor))
    across, down = at.flow[..., :, 1:] - at.flow[..., :, :-1], at.flow[..., 1:, :] - at.flow[..., :-1, :]
    bend = F.pad(energy(across), (0, 1, 0, 0)) + F.pad(energy(down), (0, 0, 0, 1))
    own.append(0.25 * torch.cat((energy(at.flow), box3(bend)), dim=1).add(0.01).log())
    own.append(relative(noise, 1e-3 * size, floor).expand(-1, 1, height, width))
    return torch.cat(own, dim=1)


class Candidates(NamedTuple):
    """What may be shown, (B, C, H, W) each.

    Attributes:
        present: z_t.
        moved: z̃_{t−1} brought to the present; its neighbours may be shown too.
        still: z̃_{t−1} as it lay.
        corrected: z_t with the low band of the moved memory.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    corrected: Tensor


def with_low_band_of(moved: Tensor, present: Tensor) -> Tensor:
    """The present with the low band of the moved memory, held within the range that each channel of the two has."""
    height, width = present.shape[-2:]
    (low, high), (least, most) = (torch.aminmax(value.flatten(2), dim=2) for value in (present, moved))
    low, high = torch.minimum(low, least)[..., None, None], torch.maximum(high, most)[..., None, None]
    return (present + enlarge_rows(low_band(moved - present), CELL, slice(0, height), width)).clamp(low, high)


def blend(values: Candidates, weights: Tensor, kernel: int) -> Tensor:
    """The convex combination of all candidates with weights (B, 3 + k², H, W) that sum to one.

    The moved memory's window repeats the border.
    """
    height, width = values.present.shape[-2:]
    fused = weights[:, :1] * values.present + weights[:, -2:-1] * values.still + weights[:, -1:] * values.corrected
    around = F.pad(values.moved, [kernel // 2] * 4, mode="replicate")
    for index in range(kernel**2):
        top, left = index // kernel, index % kernel
        fused = fused + weights[:, 1 + index : 2 + index] * around[..., top : top + height, left : left + width]
    return fused


def halves(moment: Moment, moved: Tensor, flow: Tensor, context: Context) -> Halves:
    """What the head compares, from the moved memory and the flow (B, 2, H, W) that it was moved along."""
    present, still = shrink(moment.present, 2), shrink(moment.memory, 2)
    size = (present.shape[-2], present.shape[-1])
    flow = shrink(flow, 2) / 2
    greys = [value.mean(dim=1, keepdim=True) for value in (moment.present, moved)]
    fine = shrink(torch.cat((greys[0] - greys[1], *greys), dim=1).square(), 2)
    within = shrink(torch.cat(greys, dim=1), 2).square()
    fine = torch.cat((fine[:, :1], (fine[:, 1:] - within).clamp_min(0)), dim=1)
    frame, before = context.frame, context.previous_frame
    frame = present if frame is None else resize(frame, size)
    before = still if before is None else resize(before, size)
    lag = moment.more["lag"].nan_to_num(0.0).to(still.dtype)
    along = moved_bilinearly(torch.cat((lag, before), dim=1), flow)
    lag, frame_moved = along.split((lag.shape[1], before.shape[1]), dim=1)
    return Halves(present, shrink(moved, 2), still, lag, frame, frame_moved, before, fine, flow)


class Universal(MotionCell):
    """*universal*: the softmax over the present, the moved memory's window, the memory as it lay, and the present with
    the moved memory's low band.
    """

    def __init__(self, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(0, frame_channels, config)
        self.flow = FLOWS[config.flow](smooth=1.0)
        self.needs_frames = True
        self.kernel = config.kernel
        window = [-4.0] * self.kernel**2
        window[len(window) // 2] = 0.0
        self.head = RelativeHead(SEEN, config.universal_width, (2.0, *window, -1.0, -2.0))

    def more(self, z: Tensor) -> Memory:
        nan = torch.full((), math.nan, device=z.device)
        return {"lag": nan.repeat(*z.shape[:2], *(-(-side // 2) for side in z.shape[2:]))}

    def fuse(self, moment: Moment, context: Context) -> Fused:
        dtype = moment.present.dtype
        if dtype in (torch.float16, torch.bfloat16):  # energies are squares, which take a range that half has not
            moment = replace(moment, present=widened(moment.present), memory=widened(moment.memory))
            frames = (context.frame, context.previous_frame)
            frame, previous = (None if one is None else widened(one) for one in frames)
            context = replace(context, frame=frame, previous_frame=previous)
        values, compared = self.candidates(moment, context)
        fused = self.weigh(values, self.head(seen(compared).to(dtype))).to(dtype)
        return Fused(fused, values.moved, {"lag": compared.present - shrink(fused, 2)})

    def candidates(self, moment: Moment, context: Context) -> tuple[Candidates, Halves]:
        """What may be shown, and what the head compares."""
        flow = self.motion(moment, context)
        moved = warp(moment.memory, flow)
        values = Candidates(moment.present, moved, moment.memory, with_low_band_of(moved, moment.present))
        return values, halves(moment, moved, flow, context)

    def weigh(self, values: Candidates, logits: Tensor) -> Tensor:
        """The fused value (B, C, H, W), from the head's logits at half the size."""
        height, width = values.present.shape[-2:]
        weights = torch.softmax(logits, dim=1)
        return blend(values, enlarge_rows(weights, 2, slice(0, height), width), self.kernel)
