"""One frame's way: in at the border, through the base and its points, out as the output and the next state."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.missing import where_finite
from holdsteady.errors import PointError, StateError
from holdsteady.host.frame import (
    Border,
    Form,
    Takes,
    form_of,
    frame_size_of,
    from_map,
    give_back,
    open_output,
    shape_of,
    to_map,
)
from holdsteady.host.hooked import Cells, FramePass, NetworkPool
from holdsteady.host.state import StreamState, new_state

Held = list[StreamState | None]  # holds one state: a frame takes it out and puts the next one in


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
        # Where each cell's memory stands in a state.
        self._keys = {f"{number}:{name}" for name, cells in self.cells_at.items() for number, _ in cells}
        self._border = Border(base, takes)
        inside = [name for name in self.cells_at if name not in ("input", "output")]
        # Without adapters it is the base itself that runs, in the mode that it is in.
        self._pool = NetworkPool(base, inside if self.adapters else None)

    @property
    def network(self) -> Any:
        """What runs in one thread: the mirror of the base that has the adapters' hooks, or the base."""
        return self._pool.first.run

    def advance(self, frame: Any, held: Held, strength: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of a frame; its state is taken out of a list and the next one put there.

        A frame that fails inside the network is forgotten by the points that it did not reach.
        """
        form, state = form_of(frame), held[0]
        given, shape = self._as_given(frame, form, args, kwargs), shape_of(frame, form)
        current, kept = self._begin(frame, form, given, strength, state)
        non_finite = None if state is None else state.non_finite
        held[0] = state = None  # the last reference: an old memory is freed as soon as the new one exists
        try:
            output = self._through(current, frame, form, given, args, kwargs)
        except BaseException:
            if non_finite is not None:
                held[0] = self._end(current, shape, kept, non_finite)
            raise
        held[0] = self._end(current, shape, kept, non_finite)
        return output

    def alone(self, frame: Any, held: Held, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of the base alone; the state stays."""
        form = form_of(frame)
        given = self._border.gives_frames(form)
        if given is None:
            output, given = self._border.call(self.network, frame, form, args, kwargs)
        else:
            output = self.network(frame if given else self._border.tensor(frame, form), *args, **kwargs)
        if held[0] is None:
            held[0] = new_state(shape_of(frame, form))
        return output if given else give_back(output, form)

    def _as_given(self, frame: Any, form: Form, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
        """Whether the base is given the frame as it is, or a tensor; None if the call itself will show that."""
        given = self._border.gives_frames(form)
        if given is None and self._pool.points:
            # Tried beforehand: a call that fails midway may have been at a point inside already.
            given = self._border.call(self.network, frame, form, args, kwargs)[1]
        return given

    def _begin(
        self, frame: Any, form: Form, given: bool | None, strength: float, state: StreamState | None
    ) -> tuple[FramePass, Tensor | None]:
        """A frame before the first point, and the frame to remember."""
        size, shape = frame_size_of(frame), shape_of(frame, form)
        if state is not None and not state.memories:
            state = None  # of a model that was disabled all along
        if state is not None and set(state.memories) != self._keys:
            raise StateError(
                f"the state belongs to other adapters, at the points {', '.join(state.memories)}; start with state=None"
            )
        if state is not None and state.frame_shape != shape:
            raise StateError(
                f"the frame has shape {shape}, but the state is for frames of {state.frame_shape}: call reset(), "
                "or start with state=None, when the size or the number of streams changes"
            )
        present, previous, kept = self._frames(frame, form, given, state)
        memories = {} if state is None else dict(state.memories)
        contexts = [
            adapter.context(present, previous, strength, memories.get(f"{number}:input"), self.check_finite)
            for number, adapter in enumerate(self.adapters)
        ]
        return FramePass(self.cells_at, self.adapters, contexts, memories, size, shape[0]), kept

    def _frames(
        self, frame: Any, form: Form, given: bool | None, state: StreamState | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """x_t, x_{t−1} (None at the start), (B, C, H, W), and the frame to remember; None where none is needed."""
        if not any(adapter.needs_frames for adapter in self.adapters):
            return None, None, None
        x = self._border.tensor(frame, form) if given is False else to_map(frame, form)
        memory = torch.full_like(x, math.nan) if state is None or state.frame is None else state.frame.to(x.dtype)
        finite = where_finite(x) if self.check_finite else torch.ones((), dtype=torch.bool, device=x.device)
        present = torch.where(finite, x, memory.nan_to_num(0.0))
        previous = None if state is None else torch.where(memory.isnan(), present, memory)
        return present, previous, torch.where(finite, x, memory)

    def _through(
        self,
        current: FramePass,
        frame: Any,
        form: Form,
        given: bool | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The output of a frame that goes through all points."""
        network = self._pool.take()
        try:
            network.current = current
            if given is False:
                output = network.run(current.visit("input", self._border.tensor(frame, form)), *args, **kwargs)
            elif given and form.is_map:
                output = network.run(current.visit("input", frame), *args, **kwargs)
            else:
                if "input" in self.cells_at:
                    frame = from_map(current.visit("input", to_map(frame, form)), form)
                if given:
                    output = network.run(frame, *args, **kwargs)
                else:
                    output, given = self._border.call(network.run, frame, form, args, kwargs)
        finally:
            self._pool.give(network)
        if given:
            seen, close = open_output(output, form)
            output = close(current.visit("output", seen))
        else:
            output = give_back(current.visit("output", output), form)
        missed = self._keys - current.after.keys()
        if missed:
            names = sorted(key.partition(":")[2] for key in missed)
            raise PointError(f"the model did not reach its points {', '.join(names)} in this frame")
        return output

    def _end(
        self, current: FramePass, shape: tuple[int, ...], kept: Tensor | None, non_finite: Tensor | None
    ) -> StreamState:
        """The state after a frame, or after the part of it that was done."""
        counts = [*current.left_out, *([] if non_finite is None else [non_finite])]
        counted = torch.stack(counts).sum(dim=0) if counts else torch.zeros(shape[0], dtype=torch.long)
        return StreamState(current.memories | current.after, kept, counted, shape)
