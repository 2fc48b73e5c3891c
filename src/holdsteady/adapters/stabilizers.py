"""The recurrent cells, one a kind: (z_t, memory, context) → (z̃_t, memory).

A cell works on one point, on maps (B, C, H, W), and keeps everything it remembers in a dict of tensors
whose first axis is the stream. *NaN in a memory means that nothing is remembered there*: so a new stream, a
stream that was reset and a value that was never finite are one case. Values that are not finite pass through for
that frame and leave the memory as it was.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from holdsteady.adapters import fusion
from holdsteady.adapters.bands import in_bands
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import Head, VectorHead, enlarge_rows
from holdsteady.adapters.heads import make_head
from holdsteady.adapters.window import reach
from holdsteady.flow.dis import FLOWS
from holdsteady.flow.warp import resize_flow, warp

Memory = dict[str, Tensor]


@dataclass(frozen=True)
class Context:
    """What a cell may know beside its own point.

    Attributes:
        frame: x_t (B, C, H, W), finite.
        previous_frame: x_{t−1}; the present frame where a stream is new, None where all are.
        features: g_t (B, width, h, w) of the controller's backbone, for the kinds that have one.
        flow: from x_t back to the last frame (B, 2, H, W) in pixels, for the adapters that align with it.
        strength: how much of the stabilization is shown, in [0, 1]; memories are always at full strength.
    """

    frame: Tensor | None = None
    previous_frame: Tensor | None = None
    features: Tensor | None = None
    flow: Tensor | None = None
    strength: float = 1.0


@dataclass(frozen=True)
class Moment:
    """What a fusion sees at time t, all of it finite and of one shape (B, C, H, W).

    Attributes:
        present: z_t, with what is not finite filled in from the memory.
        stabilized: z̃_{t−1}, with what is not remembered filled in from the present.
        raw: z_{t−1}, likewise, for the cells that remember it.
    """

    present: Tensor
    stabilized: Tensor
    raw: Tensor | None = None


class Stabilizer(nn.Module, ABC):
    """Base of the cells that remember z̃_{t−1}. A kind writes ``fuse`` alone."""

    #: The kind looks at the previous frame, which the state then has to keep.
    needs_frames = False
    #: The cell also remembers z_{t−1}.
    keeps_raw = False

    @property
    def remembers(self) -> tuple[str, ...]:
        """The names in this cell's memory."""
        return ("stabilized", "raw") if self.keeps_raw else ("stabilized",)

    def new_memory(self, z: Tensor) -> Memory:
        """The memory of streams that have seen nothing, for values like ``z``."""
        return {name: torch.full_like(z, math.nan, requires_grad=False) for name in self.remembers}

    def begin(self, z: Tensor) -> tuple[Tensor, Memory]:
        """The first frame, z̃_1 = z_1: what ``forward`` makes of a new memory, without its work."""
        finite = fusion.is_finite(z)
        memory = {name: torch.where(finite, z, math.nan) for name in self.remembers}
        return torch.where(finite, memory["stabilized"], z), memory

    def forward(self, z: Tensor, memory: Memory, context: Context) -> tuple[Tensor, Memory]:
        """One step: z_t (B, C, H, W) → what the following layers see, and the memory for the next frame.

        What is remembered is never what is handed out or was handed in: layers that follow may write over theirs.
        """
        if fusion.is_all_finite(z, *memory.values()):
            # As below, without a dozen passes over maps that need none.
            fused = self.fuse(Moment(z, memory["stabilized"], memory.get("raw")), context)[0].to(z.dtype)
            kept = fused if fused.stride() == z.stride() else _copy(fused, z)
            after = {"stabilized": kept} | ({"raw": z.clone()} if self.keeps_raw else {})
            return _copy(_show(z, fused, context.strength), z), after
        finite = fusion.is_finite(z)
        previous = memory["stabilized"]
        absent = previous.isnan()
        present = torch.where(finite, z, previous.nan_to_num(0.0))
        moment = Moment(present, torch.where(absent, present, previous))
        if self.keeps_raw:
            moment = replace(moment, raw=torch.where(memory["raw"].isnan(), present, memory["raw"]))
        fused, carried = self.fuse(moment, context)
        fused = torch.where(absent, present, fused.to(z.dtype))
        kept = torch.where(finite, fused, torch.where(absent, previous, carried.to(z.dtype)))
        after = {"stabilized": kept}
        if self.keeps_raw:
            after["raw"] = torch.where(finite, z, memory["raw"])
        return torch.where(finite, _show(present, fused, context.strength), z), after

    @abstractmethod
    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        """z̃_t, and the memory as it stands at time t (moved, for the kinds that follow motion)."""


def _show(present: Tensor, fused: Tensor, strength: float) -> Tensor:
    return fused if strength == 1.0 else torch.lerp(present, fused, strength)


def _copy(value: Tensor, z: Tensor) -> Tensor:
    """A copy that lies in memory as z does: kernels round differently by the order of the axes."""
    return torch.empty_like(z, requires_grad=False).copy_(value)


class FixedEMA(Stabilizer):
    """*output fixed* and *simple fixed*: one β everywhere."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        return fusion.ema(moment.present, moment.stabilized, self.beta), moment.stabilized


class LearnedEMA(Stabilizer):
    """*simple learned*: β = sigmoid(a), one a for each channel."""

    def __init__(self, channels: int, initial_a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((channels,), float(initial_a)))

    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        beta = torch.sigmoid(self.a)[:, None, None]
        return fusion.ema(moment.present, moment.stabilized, beta), moment.stabilized


class GaussianWindow(nn.Module):
    """*output Gaussian*: a causal Gaussian window over the last raw values, 3σ long."""

    needs_frames = False
    remembers = ("window",)
    weights: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("weights", fusion.gaussian_weights(sigma), persistent=False)

    def new_memory(self, z: Tensor) -> Memory:
        shape = (z.shape[0], len(self.weights) - 1, *z.shape[1:])
        return {"window": z.new_full(shape, math.nan)}

    def begin(self, z: Tensor) -> tuple[Tensor, Memory]:
        """The first frame."""
        return self(z, self.new_memory(z), Context())

    def forward(self, z: Tensor, memory: Memory, context: Context) -> tuple[Tensor, Memory]:
        seen = torch.cat((z.unsqueeze(1), memory["window"]), dim=1)
        known = fusion.is_finite(seen)
        weights = self.weights[:, None, None, None] * known
        # A window that is not full yet, or has holes, is weighted over what it has.
        mean = (weights * torch.where(known, seen, 0)).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-12)
        only_present = ~known[:, 1:].any(dim=1)
        fused = torch.where(only_present, z, mean.to(z.dtype))
        after = {"window": torch.where(known[:, :-1], seen[:, :-1], math.nan)}
        return torch.where(known[:, 0], _show(z, fused, context.strength), z), after


class HeadFusion(Stabilizer):
    """*controlled* and *spatial*: a head of the controller gives the weights.

    Args:
        channels: C of the point.
        has_space: whether the point is a map; a vector gets a linear head, no window and no alignment.
        config: of kind ``controlled`` or ``spatial``.
        head: one that other points of this shape have too, kept by the adapter; None for one of its own.
        is_picture: whether the point is an output like the frame. It is cleaner, but what a model made of holes
            misleads a search: where the config lets it, at each place its own motion or the frames' is followed,
            whichever explains it better.
    """

    needs_frames = True

    def __init__(
        self,
        channels: int,
        has_space: bool,
        config: AdapterConfig,
        head: Head | VectorHead | None = None,
        *,
        is_picture: bool = False,
    ) -> None:
        super().__init__()
        self.head_input = config.head_input
        self.keeps_raw = config.head_input in ("features", "differences")
        self.kernel = config.kernel if config.kind == "spatial" and has_space else 0
        self.dilations = config.dilations
        self.aligned = config.align != "none" and has_space
        has_own_flow = is_picture and config.align == "flow" and config.flow_from == "auto"
        self.flow = FLOWS[config.flow]() if has_own_flow else None
        self.has_space = has_space
        if head is None:
            self.head = make_head(channels, has_space, config)
        else:
            # Not registered here, so that its weights are saved once.
            object.__setattr__(self, "head", head)

    def fuse(self, moment: Moment, context: Context) -> tuple[Tensor, Tensor]:
        assert context.features is not None
        size = (moment.present.shape[-2], moment.present.shape[-1])
        stabilized = moment.stabilized
        if self.aligned:
            stabilized = self._align(moment, context, size)
        values = self._values(moment, stabilized)
        if not self.kernel:
            logits = self.head(context.features, values, size)
            return fusion.controlled(moment.present, stabilized, logits), stabilized
        head, window = cast(Head, self.head), (self.kernel, self.dilations)  # points without space have no window
        seen = head.seen(context.features, values, size)
        if head.scale == 1:
            return fusion.spatial_in_bands(head, seen, moment.present, stabilized, *window), stabilized
        small = head.logits(head.hidden(seen))

        def fused(rows: slice) -> Tensor:
            logits = enlarge_rows(small, head.scale, rows, size[1])
            return fusion.spatial(moment.present[:, :, rows], stabilized[:, :, rows], logits, *window)

        around = reach(fusion.window_offsets(*window))
        return in_bands(fused, moment.present, small.shape[1], around), stabilized

    def _align(self, moment: Moment, context: Context, size: tuple[int, int]) -> Tensor:
        assert context.flow is not None
        moved = warp(moment.stabilized, resize_flow(context.flow, size))
        if self.flow is None:
            return moved
        own = warp(moment.stabilized, self.flow(moment.present, moment.stabilized))
        return fusion.nearer(moment.present, own, moved)

    def _values(self, moment: Moment, stabilized: Tensor) -> list[Tensor]:
        present = moment.present
        if self.head_input == "backbone":
            return []
        if self.head_input == "pair":
            difference = (present - stabilized).abs()
            near = [fusion.box_mean(difference)] if self.has_space else []
            return [present, stabilized, difference, *near]
        assert moment.raw is not None
        if self.head_input == "differences":
            return [(present - stabilized).abs(), (present - moment.raw).abs()]
        return [present, stabilized, moment.raw]
