"""StabilizedModel: a frame-wise model that remembers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.files import save_adapter
from holdsteady.errors import AdapterError, ConfigError
from holdsteady.host import stream
from holdsteady.host.border import Takes
from holdsteady.host.cost import Cost, cost
from holdsteady.host.engine import Cells, Engine, Held
from holdsteady.host.identity import base_of
from holdsteady.host.mirror import apply
from holdsteady.host.state import StreamState

#: Models that are switched off in this thread or task.
_disabled: ContextVar[tuple["StabilizedModel", ...]] = ContextVar("disabled", default=())


class StabilizedModel(nn.Module):
    """A base and its adapters, run causally, frame by frame.

    The base is never edited: points inside it are reached in a mirror of its module tree that shares its
    weights and runs in eval mode. ``parameters()`` and ``state_dict()`` are the adapters' alone; ``to()`` moves the
    base too. Weights of the base that change are followed, and so are modules that are replaced. Several
    StabilizedModels over one base don't see each other.

    Frames are tensors (B, C, H, W) or (B, H, W, C), NumPy arrays of these or of one picture (H, W, C) or (H, W), in
    floats, uint8 or uint16, or PIL images; outputs are in the frame's form. What the base is given, see
    :class:`holdsteady.host.border.Border`.

    Args:
        base: any callable that maps frames to outputs.
        adapters: applied at each point in this order (composition).
        strength: how much of the stabilization is shown, from 0 (the base) to 1 (the adapters).
        takes: what the base is given: ``tensors``, ``frames`` as they are, or ``auto``, whichever it takes.
        check_finite: False if no frame and no value will ever be NaN or infinite: saves a pass over each.
    """

    base: Any

    def __init__(
        self,
        base: Callable[..., Any],
        adapters: Sequence[Adapter],
        strength: float = 1.0,
        takes: Takes = "auto",
        check_finite: bool = True,
    ) -> None:
        super().__init__()
        # Not registered as a submodule, so that an optimizer over `parameters()` can't move the base.
        object.__setattr__(self, "base", base)
        self._attach(adapters, takes, check_finite)
        self.strength = strength
        self.eval()

    def _attach(self, adapters: Sequence[Adapter], takes: Takes, check_finite: bool) -> None:
        self.adapters = nn.ModuleList(adapters)
        self._engine = Engine(self.base, adapters, takes, check_finite)
        self._held: Held = [None]

    @property
    def cells_at(self) -> Cells:
        """The cells of each point: the adapters' numbers, and which of their points it is."""
        return self._engine.cells_at

    def adapter(self, number: int) -> Adapter:
        """One of the adapters, in the order in which they are applied."""
        return cast(Adapter, self.adapters[number])

    def twin(self) -> "StabilizedModel":
        """The same base and adapters, not copied, with a memory of its own."""
        adapters = [self.adapter(number) for number in range(len(self.adapters))]
        return StabilizedModel(self.base, adapters, self._strength, self._engine.takes, self._engine.check_finite)

    @property
    def strength(self) -> float:
        """How much of the stabilization is shown, in [0, 1]; can be changed between frames."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not isinstance(strength, int | float) or not 0 <= strength <= 1:
            raise ConfigError(f"strength = {strength}: from 0 (the base) to 1 (the adapter)")
        self._strength = float(strength)

    @property
    def network(self) -> Any:
        """What runs: the mirror of the base that has the adapters' hooks, or the base where there is none."""
        return self._engine.network

    @property
    def state(self) -> StreamState | None:
        """What ``forward`` remembers; None before the first frame. Set it to go on from what was kept."""
        return self._held[0]

    @state.setter
    def state(self, state: StreamState | None) -> None:
        self._held[0] = state

    def step(
        self, frame: Any, state: StreamState | None = None, *args: Any, flow: Any = None, **kwargs: Any
    ) -> tuple[Any, StreamState]:
        """One frame with the state in the caller's hands; several threads may step through one model.

        Gradients flow through the state until it is detached, in training mode or where it brings one; otherwise
        outputs carry none.

        Args:
            frame: of B independent streams, or one picture.
            state: what the last step returned, or None at the start of a video.
            flow: the motion where it is known, as a renderer's, so that it is not searched: a tensor or array
                (B, 2, H, W) in pixels of the frame, channel 0 to the right and channel 1 down, such that what is at p
                was at p + flow(p) in the last frame. NaN where that is unknown.
            args, kwargs: passed on to the base.

        Returns:
            The base's output, stabilized, and the state for the next frame.

        Raises:
            StateError: the frame has another shape than the state.
            PointError: a point was not reached, or twice, or gave no image.
            LayoutError: it is not a frame, or the flow is not one of its size.
            ConfigError: a flow is given, and no adapter follows motion.
        """
        held = [state]
        output = self._advance(frame, held, args, kwargs, flow)
        return output, cast(StreamState, held[0])

    def forward(self, frame: Any, *args: Any, flow: Any = None, **kwargs: Any) -> Any:
        """One frame, remembered here; arguments as of :meth:`step`.

        In training mode gradients flow back through all frames since ``reset``. Each point's old memory is freed for
        its new one, where ``step`` has to keep them all until it returns. A frame that fails inside the network is
        forgotten by the points that it did not reach.
        """
        output = self._advance(frame, self._held, args, kwargs, flow)
        if not self.training and self._held[0] is not None:
            self._held[0] = self._held[0].detach()
        return output

    def _advance(
        self,
        frame: Any,
        held: Held,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        flow: Any = None,
    ) -> Any:
        state = held[0]
        keeps_graph = self.training or (state is not None and state.requires_grad)
        del state  # see Engine.advance
        with nullcontext() if keeps_graph else torch.no_grad():
            if any(model is self for model in _disabled.get()):
                return self._engine.alone(frame, held, args, kwargs or {})
            return self._engine.advance(frame, held, self._strength, args, kwargs or {}, flow)

    def new_state(self, frame: Any, *args: Any, **kwargs: Any) -> StreamState:
        """The state of streams that have seen nothing, for frames like this one; it takes the time of a frame.

        ``step`` begins with it as with None, in the very graph that serves all later frames: under ``torch.compile``
        there is then one to compile, not two. Arguments and errors as of :meth:`step`.
        """
        with torch.no_grad():
            _, state = self.step(frame, None, *args, **kwargs)
        return state.reset([True] * state.streams)

    def stream(self, frames: Iterable[Any], cuts: str = "off") -> Iterator[Any]:
        """The outputs of a video's frames, one by one, as they are asked for; what ``forward`` remembers stays.

        Examples:
            >>> for output in steady.stream(frames): ...

        Args:
            frames: of one size, as ``step`` takes them, from any iterable.
            cuts: where shots begin, which clears the memory: ``auto`` looks for them, which takes the extra
                ``holdsteady[video]``; ``off``; or a file with the number of a frame on each line.
        """
        return stream.outputs(self._advance, frames, cuts, keeps_graph=self.training)

    def clip(self, clip: Any, time_axis: int = 1) -> Any:
        """A whole clip at once, from a new start, as a tensor or array: what ``stream`` gives, stacked.

        Args:
            clip: (B, T, C, H, W), or other frames with an axis of time, as (T, H, W, 3).
            time_axis: which axis that is, also of the result.

        Raises:
            LayoutError: the outputs are not tensors or arrays; use ``stream``.
        """
        return stream.stacked(self.stream, clip, time_axis)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The base alone, while entered, in this thread: its outputs as they are; what is remembered stays."""
        token = _disabled.set((*_disabled.get(), self))
        try:
            yield
        finally:
            _disabled.reset(token)

    def reset(self, mask: Tensor | Sequence[bool] | None = None) -> None:
        """Forget: all streams, or those that the mask (B,) names."""
        state = self._held[0]
        self._held[0] = None if mask is None or state is None else state.reset(mask)

    def cost(self, example: Any, *args: Any, **kwargs: Any) -> Cost:
        """Parameters, work and memory by point, counted on a batch of frames (B, C, H, W); see :func:`cost.cost`."""
        return cost(self, example, *args, **kwargs)

    def remove(self) -> Any:
        """Take the adapters off and return the base, which was never edited. From now on this too is the base."""
        self._attach((), self._engine.takes, self._engine.check_finite)
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
        adapter = self.adapter(0)
        adapter.base = adapter.base | base_of(self.base)  # as it is now: it may have been trained too
        return save_adapter(adapter, folder)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "StabilizedModel":
        super()._apply(fn, recurse)
        if isinstance(self.base, nn.Module):
            apply(self.base, fn)
        state = self._held[0]
        if state is not None:
            self._held[0] = replace(state._map(fn), non_finite=fn(state.non_finite))
        return self
