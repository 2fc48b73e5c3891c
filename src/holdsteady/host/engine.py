"""One frame's way: in at the border, through the base and its points, out as the output and the next state."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.cell import Context, Memory
from holdsteady.adapters.missing import fill_frames
from holdsteady.errors import ConfigError, PointError, StateError
from holdsteady.host.border import Arrival, Border, Takes
from holdsteady.host.frame import to_flow
from holdsteady.host.hooked import NetworkPool
from holdsteady.host.outputs import open_image, what_to_state
from holdsteady.host.state import StreamState, new_state

#: For each point, the adapters that have a cell there (their numbers), and which of their points it is.
Cells = dict[str, list[tuple[int, int]]]

Held = list[StreamState | None]  # holds one state: a frame takes it out and puts the next one in


class FramePass:
    """A frame's pass through a network: the old memories and the new.

    It frees the old memory of a point as soon as there is a new one.

    Args:
        cells_at: the cells of each point.
        adapters: all of them.
        contexts: one for each adapter.
        memories: what was remembered at each point.
        size: (H, W) of the frame.
        streams: B of the frame.
    """

    def __init__(
        self,
        cells_at: Cells,
        adapters: list[Adapter],
        contexts: list[Context],
        memories: dict[str, Memory],
        size: tuple[int, int],
        streams: int,
    ) -> None:
        self.cells_at, self.adapters, self.contexts = cells_at, adapters, contexts
        self.memories, self.size, self.streams = memories, size, streams
        self.after: dict[str, Memory] = {}
        self.left_out: list[Tensor] = []

    @property
    def at_border(self) -> dict[str, Callable[[Any], Any]]:
        """What visits the input and the output, where there are cells."""
        return {name: partial(self.visit, name) for name in ("input", "output") if name in self.cells_at}

    def visit(self, name: str, value: Any) -> Any:
        """What leaves a point: the stabilized value of every adapter that has a cell there, in turn."""
        image = open_image(value)
        if image is None:
            raise PointError(
                f"point '{name}' returned {_describe(value)}, not a float tensor with spatial axes{_remedy(value)}"
            )
        tensor, put = image
        if tensor.shape[0] != self.streams:
            raise PointError(
                f"point '{name}' returned {_describe(tensor)}: its first axis is not the batch of {self.streams}; "
                "where a model leaves that axis out, return output[None]"
            )
        for number, index in self.cells_at[name]:
            key = f"{number}:{name}"
            if key in self.after:
                raise PointError(f"point '{name}' was reached twice in one frame; use a point around or inside it")
            tensor, self.after[key], left_out = self.adapters[number].stabilize(
                index, tensor, self._memory(key, tensor), self.contexts[number], self.size
            )
            self.left_out.append(left_out)
            self.memories.pop(key, None)
        return put(tensor)

    def _memory(self, key: str, value: Tensor) -> Memory | None:
        """A point's memory in the precision of its present value, which under autocast may be another each time."""
        memory = self.memories.get(key)
        if memory is None:
            return None
        for tensor in memory.values():
            if tensor.device != value.device:
                raise StateError(
                    f"the state is on {tensor.device} and the values at '{key.partition(':')[2]}' are on "
                    f"{value.device}; use state.to('{value.device}')"
                )
        return {
            name: tensor.to(value.dtype) if name in ("stabilized", "raw") else tensor for name, tensor in memory.items()
        }


class Engine:
    """A base with adapters at its points. It remembers nothing, and serves several threads.

    Args:
        base: any callable that maps frames to outputs.
        adapters: applied at each point in this order.
        takes: what the base is given.
        check_finite: whether NaN and infinities are looked for.
    """

    def __init__(self, base: Any, adapters: Sequence[Adapter], takes: Takes, check_finite: bool = True) -> None:
        self.adapters, self.takes, self.check_finite = list(adapters), takes, check_finite
        self.cells_at: Cells = {}
        for number, adapter in enumerate(adapters):
            for index, point in enumerate(adapter.points):
                self.cells_at.setdefault(point.name, []).append((number, index))
        # Where each cell's memory stands in a state, and what is in it.
        self._remembers = {
            f"{number}:{name}": set(self.adapters[number].remembers(index))
            for name, cells in self.cells_at.items()
            for number, index in cells
        }
        self._needs_frames = any(adapter.needs_frames for adapter in adapters)
        self._border = Border(base, takes)
        inside = [name for name in self.cells_at if name not in ("input", "output")]
        # Without adapters it is the base itself that runs, in the mode that it is in.
        self._pool = NetworkPool(base, inside if self.adapters else None)

    @property
    def network(self) -> Any:
        """What runs in one thread: the mirror of the base that has the adapters' hooks, or the base."""
        return self._pool.first.run

    def advance(
        self, frame: Any, held: Held, strength: float, args: tuple[Any, ...], kwargs: dict[str, Any], flow: Any = None
    ) -> Any:
        """The output of a frame; its state is taken out of a list and the next one put there.

        A frame that fails inside the network is forgotten by the points that it did not reach. ``flow`` is that of
        :meth:`StabilizedModel.step`.
        """
        arrival, state = self._border.receive(frame, self._needs_frames or "input" in self.cells_at), held[0]
        if arrival.given is None and self._pool.points:
            # Tried beforehand: a call that fails midway may have been at a point inside already.
            arrival = self._border.tried(arrival, self.network, args, kwargs)
        current, kept = self._begin(arrival, strength, state, None if flow is None else self._known(flow, arrival))
        non_finite = None if state is None else state.non_finite
        held[0] = state = None  # the last reference: an old memory is freed as soon as the new one exists
        try:
            network = self._pool.take(current.visit)
            try:
                output = self._border.through(arrival, network.run, current.at_border, args, kwargs)
            finally:
                self._pool.give(network)
            self._check_reached(current)
        except BaseException:
            if non_finite is not None:
                held[0] = self._end(current, arrival.shape, kept, non_finite)
            raise
        held[0] = self._end(current, arrival.shape, kept, non_finite)
        return output

    def alone(self, frame: Any, held: Held, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of the base alone; the state stays."""
        arrival = self._border.receive(frame, wants_map=False)
        output = self._border.through(arrival, self.network, {}, args, kwargs)
        if held[0] is None:
            held[0] = new_state(arrival.shape)
        return output

    def _known(self, flow: Any, arrival: Arrival) -> Tensor:
        """A flow that came with a frame, checked."""
        if self.adapters and not any(adapter.follows_motion for adapter in self.adapters):
            kinds = ", ".join(adapter.config.kind for adapter in self.adapters)
            raise ConfigError(f"flow is given, and {kinds} does not follow motion: leave it out, or take motion-fixed")
        return to_flow(flow, arrival.shape, arrival.size)

    def _begin(
        self, arrival: Arrival, strength: float, state: StreamState | None, flow: Tensor | None
    ) -> tuple[FramePass, Tensor | None]:
        """A frame before the first point, and the frame to remember."""
        if state is not None and not state.memories:
            state = None  # of a model that was disabled all along
        if state is not None:
            self._check_state(state, arrival.shape)
        present, previous, kept = self._frames(arrival.map, state)
        memories = {} if state is None else dict(state.memories)
        contexts = [
            adapter.context(present, previous, strength, memories.get(f"{number}:input"), self.check_finite, flow)
            for number, adapter in enumerate(self.adapters)
        ]
        return FramePass(self.cells_at, self.adapters, contexts, memories, arrival.size, arrival.shape[0]), kept

    def _check_state(self, state: StreamState, shape: tuple[int, ...]) -> None:
        if set(state.memories) != set(self._remembers):
            raise StateError(
                f"the state belongs to other adapters, at the points {', '.join(state.memories)}; start with state=None"
            )
        for key, names in self._remembers.items():
            if set(state.memories[key]) != names:
                number, _, name = key.partition(":")
                kind, held = self.adapters[int(number)].config.kind, ", ".join(state.memories[key])
                raise StateError(
                    f"the state is of another adapter or version: at '{name}' it holds {held}, and kind '{kind}' "
                    f"remembers {', '.join(sorted(names))}; start with state=None"
                )
        if state.frame_shape != shape:
            raise StateError(
                f"the frame has shape {shape}, but the state is for frames of {state.frame_shape}: call reset(), "
                "or start with state=None, when the size or the number of streams changes"
            )

    def _frames(
        self, x: Tensor | None, state: StreamState | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """x_t, x_{t−1} (None at the start), (B, C, H, W), and the frame to remember; None where none is needed."""
        if x is None or not self._needs_frames:
            return None, None, None
        memory = torch.full_like(x, math.nan) if state is None or state.frame is None else state.frame.to(x.dtype)
        present, previous, kept = fill_frames(x, memory, check_finite=self.check_finite)
        return present, None if state is None else previous, kept

    def _check_reached(self, current: FramePass) -> None:
        missed = self._remembers.keys() - current.after.keys()
        if missed:
            names = sorted(key.partition(":")[2] for key in missed)
            raise PointError(f"the model did not reach its points {', '.join(names)} in this frame")

    def _end(
        self, current: FramePass, shape: tuple[int, ...], kept: Tensor | None, non_finite: Tensor | None
    ) -> StreamState:
        """The state after a frame, or after the part of it that was done."""
        counts = [*current.left_out, *([] if non_finite is None else [non_finite])]
        counted = torch.stack(counts).sum(dim=0) if counts else torch.zeros(shape[0], dtype=torch.long)
        return StreamState(current.memories | current.after, kept, counted, shape)


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of {value.dtype} {tuple(shape)}"


def _remedy(value: Any) -> str:
    way_out = what_to_state(value)
    if "labels" in way_out:
        return f"; integers are mixed only in an image like the frame, because classes can't be{way_out}"
    return way_out
