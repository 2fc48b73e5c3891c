"""An adapter: a config, the points that it was made for, and a cell for each."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from holdsteady.adapters.cell import Cell, Context, Memory
from holdsteady.adapters.classes import MotionFixedOutput
from holdsteady.adapters.config import HEAD_KINDS, AdapterConfig
from holdsteady.adapters.controller import Backbone
from holdsteady.adapters.layout import Layout, infer_layout, output_layout, stated_layout
from holdsteady.adapters.live import Live
from holdsteady.adapters.method import (
    FixedEMA,
    GaussianWindow,
    HeadFusion,
    LearnedEMA,
    Motion,
    MotionCell,
)
from holdsteady.adapters.missing import advance, remembers
from holdsteady.adapters.statistics import GatedStatistics, Statistics
from holdsteady.adapters.universal import Universal
from holdsteady.errors import AdapterError, LayoutError, StateError
from holdsteady.flow.dis import FLOWS


@dataclass(frozen=True)
class Point:
    """A place of a model where a value can be stabilized.

    Attributes:
        name: the module's name in the model, or ``input`` or ``output``.
        type: the class of the module; empty for ``input`` and ``output``.
        shape: of the value for one stream, without the batch axis; None when no frame was seen yet.
        layout: how its axes are read; None when no frame was seen yet.
        parameters: a digest of the names and shapes of the module's parameters.
    """

    name: str
    type: str = ""
    shape: tuple[int, ...] | None = None
    layout: Layout | None = None
    parameters: str = ""

    @property
    def channels(self) -> int | None:
        """C of the value seen as a map; None when no frame was seen yet."""
        if self.shape is None or self.layout is None:
            return None
        if self.layout.kind == "depth":
            return 1
        return self.shape[-1] if self.layout.kind in ("channels-last", "tokens") else self.shape[0]


class Adapter(nn.Module):
    """The cells of one adapter and, for the kinds that need it, the controller's backbone.

    Args:
        config: the kind and its settings.
        points: where the cells belong; each with shape and layout if the kind has parameters.
        frame_channels: channels of the frames.
        base: what is known of the base that it was made for (``class`` and ``parameters``).
        provenance: where it comes from: free text by topic, saved with it.
    """

    def __init__(
        self,
        config: AdapterConfig,
        points: Iterable[Point],
        frame_channels: int = 3,
        base: dict[str, str] | None = None,
        provenance: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.points = tuple(points)
        self.frame_channels = frame_channels
        self.base = base or {}
        self.provenance = provenance or {}
        self.cells = nn.ModuleDict({_key(p.name): self._make_cell(p) for p in self.points})
        needs_backbone = any(isinstance(cell, HeadFusion) for cell in self.cells.values())
        self.backbone = (
            Backbone(frame_channels, config.backbone_width, config.backbone_layers, config.backbone_scale)
            if needs_backbone
            else None
        )
        self.flow = FLOWS[config.flow](mend=True) if needs_backbone and config.align == "flow" else None
        # Convolutions are faster in this memory format, on CPUs twice as fast, whatever format a value comes in.
        self.to(memory_format=torch.channels_last)

    def _make_cell(self, point: Point) -> Cell:
        """The cell of a point. A new kind is added here, in ``config.py``, and as a class in ``method.py``."""
        config, channels = self.config, point.channels or 0
        if config.is_at_input:  # by the evidence of (24) the camera's own grain is left as it is
            config = config.model_copy(update={"fuse_as": "values", "flow_from": "output"})
        if config.kind in ("output-fixed", "simple-fixed"):
            return FixedEMA(config.beta)
        if config.kind == "output-gaussian":
            return GaussianWindow(config.sigma)
        if config.kind == "simple-learned":
            return LearnedEMA(channels, config.initial_a)
        if config.kind == "motion-fixed":
            return MotionFixedOutput(channels, self.frame_channels, config)
        if config.kind == "live":
            return Live(channels, self.frame_channels, config)
        if config.kind == "motion":
            return Motion(channels, self.frame_channels, config)
        if config.kind == "universal":
            return Universal(self.frame_channels, config)
        if config.kind == "statistics-fixed":
            return Statistics(config)
        if config.kind == "statistics":
            return GatedStatistics(config)
        has_space = point.layout is None or point.layout.kind != "vector"
        is_picture = point.name == "output" and channels == self.frame_channels
        return HeadFusion(channels, has_space, is_picture, config)

    def remembers(self, index: int) -> tuple[str, ...]:
        """The names in the memory of a point, by its index in ``points``."""
        return remembers(cast(Cell, self.cells[_key(self.points[index].name)]))

    @property
    def follows_motion(self) -> bool:
        """Whether any cell brings its memory to the present along a flow."""
        return self.flow is not None or any(isinstance(cell, MotionCell) for cell in self.cells.values())

    @property
    def needs_frames(self) -> bool:
        """Whether any cell looks at the previous frame."""
        return any(cell.needs_frames for cell in self.cells.values())

    def context(
        self,
        frame: Tensor | None,
        previous_frame: Tensor | None,
        strength: float,
        kept: Memory | None = None,
        check_finite: bool = True,
        known_flow: Tensor | None = None,
    ) -> Context:
        """What the cells share at one time step; the backbone and the flow of the frames run here, once.

        Args:
            frame: x_t (B, C, H, W), finite; a grey one stands for as many equal channels as the adapter looks at.
            previous_frame: x_{t−1}; None at the start of a video.
            strength: of the stabilization, in [0, 1].
            kept: this adapter's memory of the input; None at the start, or where it has no cell there.
            check_finite: False if no value is NaN or infinite, for sure.
            known_flow: from x_t back to x_{t−1} (B, 2, H, W), where it need not be searched.
        """
        looks = self.backbone is not None or self.config.kind == "motion" or self.config.flow_from == "input"
        if looks and frame is not None and frame.shape[1] == 1:
            frame = frame.expand(-1, self.frame_channels, -1, -1)
            previous_frame = None if previous_frame is None else previous_frame.expand_as(frame)
        if looks and (frame is None or frame.shape[1] != self.frame_channels):
            raise AdapterError(
                f"this adapter looks at floating-point frames (B, {self.frame_channels}, H, W); it was given "
                f"{'none' if frame is None else tuple(frame.shape)}"
            )
        if self.backbone is None or frame is None or previous_frame is None:
            return Context(frame, previous_frame, strength=strength, check_finite=check_finite, known_flow=known_flow)
        features, flow = self.backbone(frame, previous_frame), known_flow
        if self.flow is not None and flow is None:
            # What is remembered of the input is cleaner than the last frame.
            known = None if kept is None else torch.where(kept["stabilized"].isnan(), frame, kept["stabilized"])
            flow = self.flow(frame, previous_frame if known is None else known)
        return Context(frame, previous_frame, features, flow, strength, check_finite, known_flow)

    def stabilize(
        self, index: int, value: Tensor, memory: Memory | None, context: Context, frame_size: tuple[int, int]
    ) -> tuple[Tensor, Memory, Tensor]:
        """One point, one frame.

        Args:
            index: which of ``points``.
            value: z_t in its own layout.
            memory: of the last frame, or None at the start.
            context: from :meth:`context`.
            frame_size: (H, W) of the frame.

        Returns:
            z̃_t in the layout of the value, the new memory, and how many values of each stream were not
            finite (B,).

        Raises:
            AdapterError: the value has other channels than the cell was made for.
            LayoutError: the axes can't be told from the shape.
            StateError: the value has another shape than what is remembered.
        """
        point = self.points[index]
        layout = self._layout(point, tuple(value.shape), frame_size)
        z = layout.to_map(value, frame_size)
        # Kernels that all channels share do not care how many they are: grey is three equal channels.
        is_grey = z.shape[1] == 1 and self.takes_grey(point)
        if is_grey:
            z = z.expand(-1, self.frame_channels, -1, -1).contiguous()
        if point.channels not in (None, z.shape[1]) and self.config.learned:
            raise AdapterError(
                f"point '{point.name}' has {z.shape[1]} channels {tuple(value.shape)}; "
                f"this adapter was made for {point.channels} there"
            )
        if memory is not None and not torch.compiler.is_compiling():
            _check_shape(point, z, memory)
        cell = cast(Cell, self.cells[_key(point.name)])
        if isinstance(cell, MotionCell):
            z = z.contiguous()  # warps of a few channels take almost twice as long on channels-last memory
        stabilized, after, left_out = advance(cell, z, memory, context)
        if is_grey:
            stabilized, left_out = stabilized[:, :1], left_out // self.frame_channels
        return layout.from_map(stabilized, value), after, left_out

    def takes_grey(self, point: Point) -> bool:
        """Whether one channel may come where the cell was made for those of the frame: its kernels are shared."""
        shares = self.config.kind == "motion" or (self.config.kind in HEAD_KINDS and self.config.shared_kernel)
        return shares and point.name in ("input", "output") and point.channels == self.frame_channels

    def _layout(self, point: Point, shape: tuple[int, ...], frame_size: tuple[int, int]) -> Layout:
        """The layout of a value: at input and output, where adapters serve other models too, of this one's."""
        known = point.layout
        if known is None or (point.name in ("input", "output") and not _reads(known, point, shape)):
            return resolve_layout(point.name, shape, frame_size, self.config)
        return known

    def extra_repr(self) -> str:
        return f"{self.config.kind} at {len(self.points)} points"


def resolve_layout(name: str, shape: tuple[int, ...], frame_size: tuple[int, int], config: AdapterConfig) -> Layout:
    """The layout that the config states for a point, or else the one inferred from its shape.

    Raises:
        LayoutError: nothing states it, and the shape does not tell.
    """
    if name in config.layouts:
        return stated_layout(config.layouts[name], shape, frame_size, config.grid)
    try:
        return infer_layout(shape, frame_size, config.grid)
    except LayoutError:
        own = output_layout(shape, are_classes=config.fuse_as == "classes") if name == "output" else None
        if own is None:
            raise
        return own


def _reads(layout: Layout, point: Point, shape: tuple[int, ...]) -> bool:
    """Whether a layout finds as many channels in a shape as a point has, or one."""
    if point.shape is None or len(shape) != len(point.shape) + 1:
        return False
    channels = {"map": shape[1], "channels-last": shape[-1], "tokens": shape[-1]}.get(layout.kind)
    return channels in (None, 1, point.channels)


def _check_shape(point: Point, z: Tensor, memory: Memory) -> None:
    """Raise StateError where a value has another shape than what is remembered of the last."""
    kept = memory["stabilized"] if "stabilized" in memory else memory["raw"][:, 0] if "raw" in memory else z
    if kept.shape != z.shape:
        raise StateError(
            f"point '{point.name}' has the shape {tuple(z.shape)} in this frame and had {tuple(kept.shape)} in the "
            "last: size and channels stay within a video; reset() forgets them"
        )


def empty_like(memory: Memory) -> Memory:
    """A memory of the same sizes in which nothing is remembered."""
    return {name: torch.full_like(tensor, math.nan) for name, tensor in memory.items()}


def _key(name: str) -> str:
    # A ModuleDict takes neither dots nor the names of its own methods, as 'update' or 'values'.
    return f"{name}/" if hasattr(nn.ModuleDict, name) else name.replace(".", "/")
