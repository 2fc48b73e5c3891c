"""The method: how a present value and what is remembered become the stabilized value.

First the formulas, pure functions; then the cells, one a kind, which are a few lines around them. The equations are
numbered as in docs/method.md; (1) to (6) are the paper's (Instant Video Models, arXiv 2512.03014), the others ours.
What *motion fixed* knows over time is in ``trust.py``, ``relation.py``, ``grain.py`` and ``fade.py``.

Names: z_t is the value at a point of the network, ``present``; z̃_{t−1} is what it was stabilized to in the last frame,
``memory``; both are maps (B, C, H, W), finite. What NaN and first frames mean is in ``missing.py``, what heads are made
of in ``controller.py``, optical flow in ``holdsteady.flow``. Every result is a convex combination of present and past
values (and of zero, where a window leaves the image; a memory that follows a fade is held within their range), so it
never leaves the range of its own history.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.adapters.cell import Cell, Context, Evidence, Fused, Head, Memory, Moment
from holdsteady.adapters.choose import tunable
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import MotionHead, initial_logits, make_head
from holdsteady.adapters.fade import followed
from holdsteady.adapters.grain import own_grain, steeper_at_blocks
from holdsteady.adapters.means import CELL, box_mean, cell_mean, channel_mean, energy, enlarge, shrink, value_range
from holdsteady.adapters.relation import new_relation, steady_relation
from holdsteady.adapters.trust import frames_behind, noise_level, returned_detail, trusted_weight
from holdsteady.flow.dis import FLOWS
from holdsteady.flow.warp import hold_within, resize, resize_flow, warp, warp_bilinear

# Of *motion fixed*, chosen on recorded outputs of three networks (docs/design.md).
ROUGH = 0.25  # part of the unsigned energy in a mismatch
BIAS = 1.1  # in favour of no motion

# --- The formulas ---


def ema(present: Tensor, memory: Tensor, beta: Tensor | float) -> Tensor:
    """(1) Exponential moving average, z̃_t = β z_t + (1−β) z̃_{t−1}; β in [0, 1] is the weight of the present."""
    # Not memory + β (present − memory), which overflows in half precision and is not the base at β = 1.
    return beta * present + (1 - beta) * memory


def gaussian_weights(sigma: float) -> Tensor:
    """(2) Weights (N,) of a causal Gaussian window over the last frames, newest first: N − 1 ≥ 3σ, their sum is one."""
    age = torch.arange(math.ceil(3 * sigma) + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (age / sigma) ** 2)
    return (weights / weights.sum()).float()


def gaussian_window(seen: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """(2) The mean of the values ``seen`` (B, N, C, H, W), newest first, over those that are ``known`` (likewise)."""
    weights = weights[:, None, None, None] * known
    return (weights / weights.sum(dim=1, keepdim=True) * seen).sum(dim=1)


def controlled(present: Tensor, memory: Tensor, logits: Tensor) -> Tensor:
    """(3) Controlled fusion, z̃_t = β ⊙ z_t + (1−β) ⊙ z̃_{t−1} with 1−β = sigmoid(logits).

    Args:
        present, memory: (B, C, H, W).
        logits: of the memory, (B, C, H, W), or (B, 1, H, W) if all channels share them.
    """
    return ema(present, memory, torch.sigmoid(-logits))


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
    """(4) Spatial fusion, z̃_t[p] = η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p + o], η the softmax of (0, logits[p]).

    The memory is zero outside the image. With k = 1 this is :func:`controlled`.

    Args:
        present, memory: (B, C, H, W).
        logits: (B, k²·C, H, W), those of an offset next to each other and the offsets row by row from the top left; or
            (B, k², H, W) if all channels share them.
        kernel: k, the odd side of the window.
    """
    height, width = present.shape[-2:]
    logits = logits.unflatten(1, (kernel**2, -1))
    eta = torch.softmax(torch.cat((torch.zeros_like(logits[:, :1]), logits), dim=1), dim=1)
    fused = eta[:, 0] * present
    around = F.pad(memory, [kernel // 2] * 4)
    for index in range(kernel**2):
        top, left = index // kernel, index % kernel
        fused = fused + eta[:, 1 + index] * around[..., top : top + height, left : left + width]
    return fused


@tunable
def spatial_by(head: Head, values: list[Tensor], present: Tensor, memory: Tensor, kernel: int) -> Tensor:
    """(4) with the logits that a head gives for what it sees."""
    return spatial(present, memory, head(values, (present.shape[-2], present.shape[-1])), kernel)


def local_difference(present: Tensor, warped: Tensor) -> Tensor:
    """(8) d = 5×5 box mean of |z_t − w_t|, averaged over channels, (B, 1, H, W)."""
    return box_mean((present - warped).abs().mean(dim=1, keepdim=True))


def nearer(present: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(9) At each place the one of two memories (B, C, H, W) whose local difference to the present is smaller."""
    with torch.no_grad():
        chosen = local_difference(present, first) < local_difference(present, second)
    return torch.where(chosen, first, second)


def mismatch(r: Tensor, squares: Tensor) -> Tensor:
    """(10) D(r) = mean_c box(r)² + ¼ box(mean_c r²), (B, 1, H, W): noise cancels in the means of signed differences.

    Args:
        r: (B, C, H, W).
        squares: mean_c r², (B, 1, H, W).
    """
    return energy(box_mean(r)) + ROUGH * box_mean(squares)


def standing_share(z: Tensor, still: Tensor, moved: Tensor, size: tuple[int, int]) -> Tensor:
    """(11) How much of the memory is taken from where it is, not along the motion: 1.1 e_m² / (1.1 e_m² + e_s²).

    The energies e of the differences of z_t to the two memories are as (10).

    Args:
        z, still, moved: at half the resolution, (B, C, ⌈H/2⌉, ⌈W/2⌉).
        size: (H, W), of the result (B, 1, H, W).
    """

    def unlike(memory: Tensor) -> Tensor:
        r = z - memory
        return cell_mean(energy(shrink(r, 2)), 1) + ROUGH * cell_mean(energy(r), 2)

    part = (by_moved := unlike(moved)) / (by_moved + unlike(still)).clamp_min(1e-30)  # squares could overflow
    in_favour = BIAS * part.square()
    return enlarge(in_favour / (in_favour + (1 - part).square()), size)


# --- The cells ---


class FixedEMA(Cell):
    """*output fixed* and *simple fixed*: (1) with one β everywhere."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def fuse(self, moment: Moment, context: Context) -> Fused:
        return Fused(ema(moment.present, moment.memory, self.beta), moment.memory)


class GaussianWindow(Cell):
    """*output Gaussian*: (2) over the last raw values."""

    keeps_memory = False
    weights: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("weights", gaussian_weights(sigma), persistent=False)
        self.keeps_raw = len(self.weights) - 1

    def fuse(self, moment: Moment, context: Context) -> Fused:
        seen = torch.cat((moment.present.unsqueeze(1), moment.raw), dim=1)
        known = torch.cat((torch.ones_like(moment.known[:, :1]), moment.known), dim=1)
        return Fused(gaussian_window(seen, known, self.weights), moment.memory)


class LearnedEMA(Cell):
    """*simple learned*: (1) with β = sigmoid(a), one a for each channel."""

    def __init__(self, channels: int, initial_a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((channels,), float(initial_a)))

    def fuse(self, moment: Moment, context: Context) -> Fused:
        return Fused(ema(moment.present, moment.memory, torch.sigmoid(self.a)[:, None, None]), moment.memory)


class HeadFusion(Cell):
    """*controlled* (3) and *spatial* (4): a head of the controller gives the weights.

    Ours may bring the memory to the present along the motion first, as (7).

    Args:
        channels: C of the point.
        has_space: whether the point is a map; a vector gets a linear head, no window and no alignment.
        is_picture: whether the point is an output like the frame. It is cleaner, but what a model made of holes
            misleads a search: at each place its own motion or the frames' is followed, whichever explains it better.
    """

    needs_frames = True

    def __init__(self, channels: int, has_space: bool, is_picture: bool, config: AdapterConfig) -> None:
        super().__init__()
        self.head_input = config.head_input
        self.keeps_raw = 1 if config.head_input == "features" else 0
        self.kernel = config.kernel if config.kind == "spatial" and has_space else 0
        self.has_space = has_space
        self.aligned = config.align == "flow" and has_space
        self.flow = FLOWS[config.flow]() if self.aligned and is_picture and config.flow_from == "auto" else None
        self.head = make_head(channels, has_space, config)

    def fuse(self, moment: Moment, context: Context) -> Fused:
        assert context.features is not None
        memory = self.align(moment, context) if self.aligned else moment.memory
        values = self.head.seen(context.features, self.values(moment, memory, context), moment.size)
        if self.kernel:
            return Fused(spatial_by(self.head, values, moment.present, memory, self.kernel), memory)
        return Fused(controlled(moment.present, memory, self.head(values, moment.size)), memory)

    def align(self, moment: Moment, context: Context) -> Tensor:
        """The memory brought to the present."""
        assert context.flow is not None
        moved = warp(moment.memory, resize_flow(context.flow.to(moment.memory), moment.size))
        if self.flow is None or context.known_flow is not None:
            return moved
        return nearer(moment.present, warp(moment.memory, self.flow(moment.present, moment.memory)), moved)

    def values(self, moment: Moment, memory: Tensor, context: Context) -> list[Tensor]:
        """What the head sees beside the backbone's features."""
        if self.head_input == "backbone":
            return []
        if self.head_input == "features":
            return [moment.present, memory, moment.raw[:, 0]]
        difference = (moment.present - memory).abs()
        near = [box_mean(difference)] if self.has_space else []
        return [moment.present, memory, difference, *near]


class MotionCell(Cell):
    """Base of our kinds at the output: (7) w_t[p] = z̃_{t−1}[p + F_t(p)], then fusion of z_t and w_t.

    F_t is the flow from z_t back to z̃_{t−1} where the output is a picture like the frame, for both are clean where the
    frame may not be; otherwise (depth, logits) that of the frames. ``flow_from`` of the config may choose.
    """

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__()
        self.flow = FLOWS[config.flow]()
        self.flow_from = config.flow_from
        if config.flow_from == "auto" and channels:
            self.flow_from = "output" if channels == frame_channels else "input"
        self.needs_frames = self.flow_from != "output"

    def motion(self, moment: Moment, context: Context) -> Tensor:
        """F_t (B, 2, H, W)."""
        if context.known_flow is not None:
            return resize_flow(context.known_flow.to(moment.present), moment.size)
        if self.follows_output(moment.present, context.frame):
            return self.flow(moment.present, moment.memory)
        assert context.frame is not None and context.previous_frame is not None
        return resize_flow(self.flow(context.frame, context.previous_frame), moment.size)

    def follows_output(self, z: Tensor, frame: Tensor | None) -> bool:
        """Whether the flow is taken from the output; a frame of as many channels makes it a picture."""
        if self.flow_from != "auto" or frame is None:
            return self.flow_from != "input"
        return z.shape[1] == frame.shape[1]


class MotionFixed(MotionCell):
    """*motion fixed*: (1) with a weight of the memory that falls where mismatch exceeds the noise. Nothing is learned.

    r = z_t − w_t, where w_t is the memory moved and not, mixed by (11). :func:`trusted_weight` is its weight, with n
    frames behind the memory and the returned share Q of (13). Before, wide flicker is taken out of z_t
    (``relation.py``).
    """

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.memory_weight, self.tolerance = config.memory_weight, config.tolerance
        self.always, is_picture = config.deflicker is True, channels in (0, frame_channels)
        self.deflickers = self.always or (config.deflicker is None and is_picture)
        self.needs_frames = self.needs_frames or self.deflickers
        self.flow = FLOWS[config.flow](smooth=1.0)

    def more(self, z: Tensor) -> Memory:
        nan, cells = torch.full((), math.nan, device=z.device), [-(-side // CELL) for side in z.shape[2:]]
        shapes = dict.fromkeys(("removed", "count"), (1, *z.shape[2:]))
        shapes |= {"noise": (1, *cells), "returned": (4, *cells), "trend": (1, 1, 1)}
        shapes |= {"change": (2, *cells), "fade": (1, 1, 1)}
        more = {name: nan.repeat(len(z), *shape) for name, shape in shapes.items()}
        return more | (new_relation(z) if self.deflickers else {})

    def fuse(self, moment: Moment, context: Context) -> Fused:
        found = self.find(moment, context)
        return found.settled(torch.lerp(found.present, found.memory, found.weight))

    def find(self, moment: Moment, context: Context) -> Evidence:
        """All but the fusion."""
        z, kept = moment.present.float(), {name: value.float() for name, value in moment.more.items()}
        flow, span = self.motion(moment, context), value_range(z).clamp_min(1e-15)
        more: Memory = {name: kept[name] for name in ("relation", "evidence") if name in kept}
        memory = moment.memory.float()
        still, count = torch.cat((memory, kept["removed"].nan_to_num(0.0)), dim=1), kept["count"].nan_to_num(1.0)
        moved, moved_count = warp(still, flow), warp_bilinear(count, flow)
        halves = [shrink(value, 2) for value in (z, memory, moved[:, :-1])]
        if (frames := context.frames_like(z) if more else None) is not None:
            before = z
            z, more = steady_relation(z, frames, flow, more, halves, self.always)
            halves[0] = halves[0] if z is before else shrink(z, 2)
        share = standing_share(halves[0], halves[1], halves[2], moment.size)
        mixed, count = torch.lerp(moved, still, share), torch.lerp(moved_count, count, share)
        mixed, removed = mixed.split((z.shape[1], 1), dim=1)
        grey = channel_mean(r := z - mixed)
        shift, follows, light = followed(kept, r, change := grey - removed)
        moved = moved[:, :-1]
        if shift is not None:
            shift = enlarge(shift, moment.size)
            moved, memory, mixed = (hold_within(one + shift, one, z) for one in (moved, memory, mixed))
            grey = channel_mean(r := z - mixed)
        squares = energy(r)
        noise = noise_level(kept["noise"], cell_mean(squares), span)
        returned, *after = returned_detail(kept["returned"], kept["trend"], removed, grey, noise, follows)
        if frames is not None and context.frame is not None:
            own = own_grain(change, *frames, flow, share, steeper_at_blocks(context.frame.to(z.dtype)))
            returned = 1 - (1 - returned) * (1 - own)
        weight = trusted_weight(mismatch(r, squares), noise, returned, count, self.tolerance, self.memory_weight)
        more |= light | {"count": frames_behind(count, weight), "noise": noise, "returned": after[0], "trend": after[1]}
        return Evidence(z, moved, memory, mixed, share, weight, removed, noise, flow, more)


class Motion(MotionCell):
    """*motion*: (17), that is (4) of z_t and w_t with weights that a small head gives, shared by all channels."""

    def __init__(self, channels: int, frame_channels: int, config: AdapterConfig) -> None:
        super().__init__(channels, frame_channels, config)
        self.needs_frames = True
        self.kernel = config.kernel
        logits = initial_logits(config, 1, has_window=True)
        self.head = MotionHead(frame_channels + 4 * channels, config.motion_width, logits)

    def fuse(self, moment: Moment, context: Context) -> Fused:
        assert context.frame is not None
        frame, present = resize(context.frame, moment.size), moment.present
        warped = warp(moment.memory, self.motion(moment, context))
        difference = (present - warped).abs()
        values = [frame, present, warped, difference, box_mean(difference)]
        return Fused(spatial_by(self.head, values, present, warped, self.kernel), warped)
