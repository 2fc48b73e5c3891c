"""What a stabilizer's cell is: what it sees of a point of the network at time t, and what it remembers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from holdsteady.adapters.means import channel_mean
from holdsteady.flow.warp import resize

#: What is remembered between frames, by name; the first axis of each tensor is the stream.
Memory = dict[str, Tensor]


class Head(Protocol):
    """What gives the logits (B, k²·C or k², H, W) of a window from the maps (B, …, H, W) that it looks at."""

    def __call__(self, values: list[Tensor], size: tuple[int, int]) -> Tensor: ...


@dataclass(frozen=True)
class Moment:
    """A point of the network at time t: all finite, (B, C, H, W).

    Attributes:
        present: z_t.
        memory: z̃_{t−1}.
        raw: z_{t−1}, z_{t−2}, … (B, N, C, H, W), as many as the cell asks for.
        known: where ``raw`` is remembered rather than filled in from the present, boolean.
        more: what else the cell remembers, NaN where a stream is new.
        finite: where the value was finite before it was filled in, boolean; None where all of it was.
    """

    present: Tensor
    memory: Tensor
    raw: Tensor
    known: Tensor
    more: Memory = field(default_factory=dict)
    finite: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.present.shape[-2], self.present.shape[-1]


@dataclass(frozen=True)
class Context:
    """What a cell may know beside its own point.

    Attributes:
        frame: x_t (B, C, H, W), finite.
        previous_frame: x_{t−1}; the present frame where a stream is new, None where all are.
        features: g_t (B, width, h, w) of the controller's backbone, for the kinds that have one.
        flow: from x_t back to the last frame (B, 2, H, W) in pixels, for the adapters that align with it.
        strength: how much of the stabilization is shown, in [0, 1]; memories are always at full strength.
        check_finite: False if the caller promises that no value is NaN or infinite.
        known_flow: as ``flow``, but from whoever made the frames; no motion is searched then.
    """

    frame: Tensor | None = None
    previous_frame: Tensor | None = None
    features: Tensor | None = None
    flow: Tensor | None = None
    strength: float = 1.0
    check_finite: bool = True
    known_flow: Tensor | None = None

    def frames_like(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """x_t and x_{t−1} at the size of a value (B, C, H, W); None where it is no picture of as many channels."""
        if self.frame is None or self.previous_frame is None or self.frame.shape[1] != z.shape[1]:
            return None
        size = (z.shape[2], z.shape[3])
        return resize(self.frame, size).to(z.dtype), resize(self.previous_frame, size).to(z.dtype)


class Fused(NamedTuple):
    """What a cell makes of a moment.

    Attributes:
        value: z̃_t (B, C, H, W).
        memory: z̃_{t−1} as it stands at time t: moved, for the kinds that follow the motion.
        more: what else it remembers of this frame.
    """

    value: Tensor
    memory: Tensor
    more: Memory = {}  # noqa: RUF012 – never written to


class Evidence(NamedTuple):
    """What *motion fixed* finds of the memory, (B, C, H, W) or (B, 1, H, W) each; *universal* builds on it.

    Attributes:
        present: z_t without its wide flicker.
        moved, still: z̃_{t−1} brought to the present, and as it lay; in a fade, with its change of light.
        memory: the two mixed by ``share``, which is the part of the second.
        share, weight: of the memory as it lay, and of the memory.
        removed: what was taken off the last value, brought to the present, mean over the channels.
        noise: N in cells.
        flow: (B, 2, H, W) in pixels.
        more: what else is remembered.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    memory: Tensor
    share: Tensor
    weight: Tensor
    removed: Tensor
    noise: Tensor
    flow: Tensor
    more: Memory

    def settled(self, value: Tensor) -> Fused:
        """With z̃_t, what was removed is known."""
        removed = channel_mean(self.present - value)
        return Fused(value, self.memory, self.more | {"removed": removed})


class Cell(nn.Module, ABC):
    """One kind at one point. ``fuse`` is all there is to a kind."""

    #: It looks at the frame and the one before.
    needs_frames = False
    #: It remembers z̃_{t−1}.
    keeps_memory = True
    #: How many raw values z_{t−1}, z_{t−2}, … it remembers.
    keeps_raw = 0

    def more(self, z: Tensor) -> Memory:
        """What else it remembers, for values like z_t (B, C, H, W), before it has seen any: NaN of those shapes."""
        return {}

    def forward(self, moment: Moment, context: Context) -> Fused:
        return self.fuse(moment, context)

    @abstractmethod
    def fuse(self, moment: Moment, context: Context) -> Fused:
        """z̃_t and what is remembered of it."""
