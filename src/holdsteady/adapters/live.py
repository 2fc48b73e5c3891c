"""*live*: *motion fixed* for networks that are fast themselves; motion and trust are found on a shrunk picture.

On tall outputs nearly all the time of *motion fixed* goes into its weight, not into the fusion. Here the search, (11)
and the weight are at 1/s of the size, and only the memory is moved, compared and fused at the full one; (23).
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from holdsteady.adapters.cell import Context, Fused, Memory, Moment
from holdsteady.adapters.classes import MotionFixedOutput
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.fade import followed
from holdsteady.adapters.means import CELL, box_mean, cell_mean, channel_mean, energy, enlarge, shrink, value_range
from holdsteady.adapters.method import ROUGH, standing_share
from holdsteady.adapters.trust import frames_behind, noise_level, returned_detail, trusted_weight
from holdsteady.flow.warp import hold_within, resize_flow, warp, warp_bilinear


def shrinking(height: int, max_height: int) -> int:
    """s, the largest power of two that leaves a map of some height at least ``max_height`` lines; 1 if none does."""
    return 1 << max(0, int(math.log2(height / max_height)))


class Live(MotionFixedOutput):
    """*live*: (7), (1), (11) to (13) and (25), with all that is no more than a weight at 1/s of the size.

    Small maps have s = 1, which is *motion fixed* without its care for wide flicker and for what is the input's own.
    """

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.max_height, self.deflickers = config.max_height, False
        self.flow = replace(self.flow, max_height=config.max_height)
        self.input_flow = replace(self.input_flow, max_height=config.max_height)

    def more(self, z: Tensor) -> Memory:
        scale, sizes = shrinking(z.shape[2], self.max_height), (z.shape[2], z.shape[3])
        small = [-(-side // scale) for side in sizes]
        cells = [-(-side // _cell(scale)) for side in small]
        shapes = {"removed": (1, *sizes), "count": (1, *small), "noise": (1, *cells), "returned": (4, *cells)}
        shapes |= {"change": (2, *cells), "fade": (1, 1, 1)}
        nan = torch.full((), math.nan, device=z.device)
        return {name: nan.repeat(len(z), *shape) for name, shape in (shapes | {"trend": (1, 1, 1)}).items()}

    def fuse(self, moment: Moment, context: Context) -> Fused:
        scale = shrinking(moment.size[0], self.max_height)
        if scale == 1:
            return super().fuse(moment, context)
        # Planes are shrunk, moved and compared one by one, whatever order the network left its channels in.
        z, memory = moment.present.float().contiguous(), moment.memory.float()
        kept = {name: value.float() for name, value in moment.more.items()}
        present, still = shrink(z, scale), shrink(memory, scale)
        flow = self.motion(replace(moment, present=present, memory=still), context)
        count = kept["count"].nan_to_num(1.0)
        moved = warp_bilinear(torch.cat((still, count), dim=1), flow)
        size = (present.shape[2], present.shape[3])
        # One memory is moved at the full size, so it lies still or it moves.
        stands = standing_share(shrink(present, 2), shrink(still, 2), shrink(moved[:, :-1], 2), size) > 0.5
        count = torch.where(stands, count, moved[:, -1:])
        flow = resize_flow(torch.where(stands, 0.0, flow), moment.size)
        moved = warp(torch.cat((memory, kept["removed"].nan_to_num(0.0)), dim=1), flow)
        memory, removed = moved.split((z.shape[1], 1), dim=1)

        grey, small = channel_mean(r := z - memory), shrink(r, scale)
        shift, follows, light = followed(kept, small, shrink(grey - removed, scale), _cell(scale))
        if shift is not None:
            memory = hold_within(memory + enlarge(shift, moment.size), memory, z)
            grey, small = channel_mean(r := z - memory), shrink(r, scale)
        squares = shrink(energy(r), scale)
        noise = noise_level(kept["noise"], cell_mean(squares, _cell(scale)), value_range(present).clamp_min(1e-15))
        side = max(CELL, scale)
        returned, *after = returned_detail(kept["returned"], kept["trend"], removed, grey, noise, follows, side)
        # A place of the shrunk map is a mean over four pixels or more in each direction, of eight at a scale of two.
        signed = energy(box_mean(small, 3 if scale == 2 else 1))
        weight = trusted_weight(signed + ROUGH * squares, noise, returned, count, self.tolerance, self.memory_weight)
        shown = enlarge(weight, moment.size)
        more = light | {"count": frames_behind(count, weight), "noise": noise, "returned": after[0], "trend": after[1]}
        more["removed"] = grey * shown  # of what is shown, z − shown · r
        return Fused(torch.lerp(z, memory, shown), memory, more)


def _cell(scale: int) -> int:
    """Side of the cells of noise, in places of a map that is shrunk."""
    return max(1, CELL // scale)
