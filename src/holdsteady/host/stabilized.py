"""StabilizedModel: a frame-wise model that remembers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.cell import Context
from holdsteady.adapters.files import save_adapter
from holdsteady.adapters.missing import Memory, where_finite
from holdsteady.errors import AdapterError, ConfigError, PointError, StateError
from holdsteady.host.cost import Cost, cost
from holdsteady.host.mirror import mirror
from holdsteady.host.outputs import as_tensor, find_leaf, get_leaf, like, set_leaf
from holdsteady.host.points import can_mirror, frame_size_of, is_channels_last
from holdsteady.host.state import StreamState


class _Pass:
    """One frame on its way through the model: what was remembered, and what will be.

    It lets go of the old memory of a point as soon as there is a new one.
    """

    def __init__(
        self,
        host: "StabilizedModel",
        contexts: list[Context],
        memories: dict[str, Memory],
        size: tuple[int, int],
    ) -> None:
        self.host, self.contexts, self.memories, self.size = host, contexts, memories, size
        self.after: dict[str, Memory] = {}
        self.left_out: list[Tensor] = []

    def visit(self, name: str, value: Any) -> Any:
        """What goes on from a point: the stabilized value of every adapter that has a cell there, in turn."""
        for number, index in self.host.cells_at.get(name, ()):
            key = f"{number}:{name}"
            if key in self.after:
                raise PointError(f"point '{name}' was reached twice in one frame; choose a point around or inside it")
            path = find_leaf(value)
            if path is None:
                raise PointError(f"point '{name}' gave no float tensor with space in it, but {type(value).__name__}")
            leaf = get_leaf(value, path)
            stabilized, self.after[key], left_out = self.host.adapter(number).stabilize(
                index, as_tensor(leaf), self.memories.get(key), self.contexts[number], self.size
            )
            self.left_out.append(left_out)
            self.memories.pop(key, None)
            value = set_leaf(value, path, like(leaf, stabilized))
        return value


class StabilizedModel(nn.Module):
    """A base and its adapters, run causally, frame by frame.

    The base is never edited: points inside it are reached in a mirror of its module tree that shares its
    weights and runs in eval mode. ``parameters()`` and ``state_dict()`` are the adapters' alone; ``to()`` moves the
    base too. Use one StabilizedModel a thread; several over one base don't see each other.

    Args:
        base: any callable that maps a batch of frames to outputs.
        adapters: applied at each point in this order (composition).
        strength: how much of the stabilization is shown, from 0 (the base) to 1 (the adapters).
    """

    base: Any
    _run: Any

    def __init__(self, base: Callable[..., Any], adapters: Sequence[Adapter], strength: float = 1.0) -> None:
        super().__init__()
        # Not registered as a submodule, so that an optimizer over `parameters()` can't move the base.
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "_run", mirror(base) if can_mirror(base) else base)
        self.adapters = nn.ModuleList(adapters)
        self.cells_at: dict[str, list[tuple[int, int]]] = {}
        for number, adapter in enumerate(adapters):
            for index, point in enumerate(adapter.points):
                self.cells_at.setdefault(point.name, []).append((number, index))
        self._pass: _Pass | None = None
        self._state: StreamState | None = None
        self.strength = strength
        self._attach()
        self.eval()

    def _attach(self) -> None:
        inner = [name for name in self.cells_at if name not in ("input", "output")]
        modules = dict(self._run.named_modules()) if can_mirror(self._run) else {}
        for name in inner:
            if name not in modules:
                raise PointError(f"the model has no module '{name}'; see holdsteady.points(model, example)")
            # Before hooks that came with the base, by which transformers collects what its heads see.
            modules[name].register_forward_hook(partial(self._visit, name), prepend=True)

    def _visit(self, name: str, _module: nn.Module, _inputs: Any, value: Any) -> Any:
        return value if self._pass is None else self._pass.visit(name, value)

    def adapter(self, number: int) -> Adapter:
        """One of the adapters, in the order in which they are applied."""
        return cast(Adapter, self.adapters[number])

    @property
    def strength(self) -> float:
        """How much of the stabilization is shown, in [0, 1]; can be changed between frames."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise ConfigError(f"strength = {strength}: from 0 (the base) to 1 (the adapter)")
        self._strength = float(strength)

    @property
    def network(self) -> Any:
        """What runs: the mirror of the base that has the adapters' hooks, or the base where there is none."""
        return self._run

    @property
    def _keys(self) -> set[str]:
        """Where each cell's memory stands in a state."""
        return {f"{number}:{name}" for name, cells in self.cells_at.items() for number, _ in cells}

    @property
    def state(self) -> StreamState | None:
        """What ``forward`` remembers; None before the first frame."""
        return self._state

    def step(self, frame: Any, state: StreamState | None = None, *args: Any, **kwargs: Any) -> tuple[Any, StreamState]:
        """One frame with the state in the caller's hands. Gradients flow through the state unless it is detached.

        Args:
            frame: (B, C, H, W) or (B, H, W, C); B independent streams.
            state: what the last step returned, or None at the start of a video.
            args, kwargs: passed on to the base.

        Returns:
            The base's output, of the same type and shape, stabilized; and the state for the next frame.

        Raises:
            StateError: the frame has another shape than the state.
            PointError: a point was not reached, or twice, or gave no image.
        """
        current, kept = self._begin(frame, state)
        output = self._through(current, frame, args, kwargs)
        return output, self._end(current, frame, kept, None if state is None else state.non_finite)

    def _begin(self, frame: Any, state: StreamState | None) -> tuple[_Pass, Tensor | None]:
        """A frame before the first point, and the frame to remember."""
        size, shape = frame_size_of(frame), tuple(frame.shape)
        if state is not None and set(state.memories) != self._keys:
            raise StateError(
                f"the state is of other adapters: it has the points {', '.join(state.memories)}; start with state=None"
            )
        if state is not None and state.frame_shape != shape:
            raise StateError(
                f"the frame is {shape} and the state is of frames {state.frame_shape}: call reset(), "
                "or start with state=None, when the size or the number of streams changes"
            )
        present, previous, kept = self._frames(frame, state)
        memories = {} if state is None else dict(state.memories)
        contexts = [
            self.adapter(number).context(present, previous, self._strength, memories.get(f"{number}:input"))
            for number in range(len(self.adapters))
        ]
        return _Pass(self, contexts, memories, size), kept

    def _through(self, current: _Pass, frame: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of a frame that goes through all points."""
        value = current.visit("input", frame)
        self._pass = current
        try:
            output = self._run(value, *args, **kwargs)
        finally:
            self._pass = None
        output = current.visit("output", output)
        missed = self._keys - current.after.keys()
        if missed:
            names = sorted(key.partition(":")[2] for key in missed)
            raise PointError(f"the model did not reach its points {', '.join(names)} in this frame")
        return output

    @staticmethod
    def _end(current: _Pass, frame: Any, kept: Tensor | None, non_finite: Tensor | None) -> StreamState:
        """The state after a frame, or after the part of it that came to pass."""
        shape = tuple(frame.shape)
        counts = [*current.left_out, *([] if non_finite is None else [non_finite])]
        counted = torch.stack(counts).sum(dim=0) if counts else torch.zeros(shape[0], dtype=torch.long)
        return StreamState(current.memories | current.after, kept, counted, shape)

    def new_state(self, frame: Any, *args: Any, **kwargs: Any) -> StreamState:
        """The state of streams that have seen nothing, for frames like this one; it takes the time of a frame.

        ``step`` begins with it as with None, in the very graph that serves all later frames: under ``torch.compile``
        there is then one to compile, not two. Arguments and errors as of :meth:`step`.
        """
        with torch.no_grad():
            _, state = self.step(frame, None, *args, **kwargs)
        return state.reset([True] * state.streams)

    def _frames(self, frame: Any, state: StreamState | None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """x_t, x_{t−1} (None at the start), (B, C, H, W), and the frame to remember; None where none is needed."""
        floating = isinstance(frame, Tensor | np.ndarray) and find_leaf(frame) is not None
        needed = any(self.adapter(number).needs_frames for number in range(len(self.adapters)))
        if not floating or not needed:
            return None, None, None
        x = as_tensor(frame)
        x = x.permute(0, 3, 1, 2) if is_channels_last(tuple(x.shape)) else x
        memory = torch.full_like(x, math.nan) if state is None or state.frame is None else state.frame
        finite = where_finite(x)
        present = torch.where(finite, x, memory.nan_to_num(0.0))
        previous = None if state is None else torch.where(memory.isnan(), present, memory)
        return present, previous, torch.where(finite, x, memory)

    def forward(self, frame: Any, *args: Any, **kwargs: Any) -> Any:
        """One frame, remembered here. In training mode gradients flow back through all frames since ``reset``.

        Each point's old memory is given up for its new one, where ``step`` has to keep them all until it returns. A
        frame that fails inside the network is forgotten by the points that it did not reach.
        """
        state = self._state
        current, kept = self._begin(frame, state)
        non_finite = None if state is None else state.non_finite
        self._state = state = None  # with the last name for it, an old memory goes when the new one is there
        try:
            output = self._through(current, frame, args, kwargs)
        except BaseException:
            if non_finite is not None:
                self._remember(self._end(current, frame, kept, non_finite))
            raise
        self._remember(self._end(current, frame, kept, non_finite))
        return output

    def _remember(self, state: StreamState) -> None:
        self._state = state if self.training else state.detach()

    def reset(self, mask: Tensor | Sequence[bool] | None = None) -> None:
        """Forget: all streams, or those that the mask (B,) names."""
        self._state = None if mask is None or self._state is None else self._state.reset(mask)

    def cost(self, example: Any, *args: Any, **kwargs: Any) -> Cost:
        """Parameters, work and memory by point, counted on a batch of frames (B, C, H, W); see :func:`cost.cost`."""
        return cost(self, example, *args, **kwargs)

    def detach(self) -> Any:
        """Take the adapters off and return the base, which was never edited. From now on this too is the base."""
        self.adapters = nn.ModuleList()
        self.cells_at = {}
        object.__setattr__(self, "_run", self.base)
        self._state = None
        return self.base

    def save(self, folder: str | Path) -> Path:
        """Save the adapter to a folder; load it with ``holdsteady.stabilize(model, folder)``.

        Raises:
            AdapterError: the folder can't be written, or there are several adapters.
        """
        if len(self.adapters) != 1:
            raise AdapterError(
                f"{len(self.adapters)} adapters are attached; save each of them: steady.adapter(0) and so on"
            )
        return save_adapter(self.adapter(0), folder)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "StabilizedModel":
        super()._apply(fn, recurse)
        if isinstance(self.base, nn.Module):
            self.base._apply(fn, recurse)
        if self._state is not None:
            self._state = replace(self._state._map(fn), non_finite=fn(self._state.non_finite))
        return self
