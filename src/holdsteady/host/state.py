"""What is remembered between frames: typed, of fixed size, and in the caller's hands."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from holdsteady.adapters.cell import Memory
from holdsteady.errors import StateError


@dataclass
class StreamState:
    """The memory of a batch of independent streams. Every tensor's first axis is the stream.

    Attributes:
        memories: for each stabilized point (adapter's number and point's name) what its cell remembers; NaN
            means that nothing is remembered there.
        frame: the last frame (B, C, H, W), where an adapter needs it.
        non_finite: (B,) how many values were NaN or infinite so far, passed through and left out of the memory.
        frame_shape: shape of the frames that this state goes with.
    """

    memories: dict[str, Memory]
    frame: Tensor | None
    non_finite: Tensor
    frame_shape: tuple[int, ...]

    def _map(self, change: Callable[[Tensor], Tensor]) -> "StreamState":
        memories = {
            point: {name: change(tensor) for name, tensor in memory.items()} for point, memory in self.memories.items()
        }
        frame = None if self.frame is None else change(self.frame)
        return replace(self, memories=memories, frame=frame)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "StreamState":
        """The state on another device, or in another floating dtype."""
        moved = self._map(lambda tensor: tensor.to(device=device, dtype=dtype))
        return replace(moved, non_finite=self.non_finite.to(device=device))

    def detach(self) -> "StreamState":
        """The state cut off from the graph: gradients stop flowing back in time here."""
        return self._map(Tensor.detach)

    def reset(self, mask: Tensor | Sequence[bool]) -> "StreamState":
        """The state in which the streams that the mask (B,) names have forgotten all."""
        chosen = torch.as_tensor(mask, dtype=torch.bool, device=self.non_finite.device)
        if chosen.shape != self.non_finite.shape:
            raise StateError(f"the mask has shape {tuple(chosen.shape)}; the state has {self.streams} streams")

        def forget(tensor: Tensor) -> Tensor:
            shaped = chosen.reshape(-1, *(1,) * (tensor.ndim - 1)).to(tensor.device)
            return torch.where(shaped, math.nan, tensor)

        return replace(self._map(forget), non_finite=torch.where(chosen, 0, self.non_finite))

    def select(self, streams: Sequence[int] | Tensor) -> "StreamState":
        """The state of some streams, in the order given (indices)."""
        index = torch.as_tensor(streams)
        if index.dtype == torch.bool:
            raise StateError("streams are given by their numbers, not by a mask; take mask.nonzero()[:, 0]")
        index = index.long()
        if index.numel() == 0 or index.min() < 0 or index.max() >= self.streams:
            raise StateError(f"streams {index.tolist()} are not all among 0 … {self.streams - 1}")
        picked = self._map(lambda tensor: tensor.index_select(0, index.to(tensor.device)))
        non_finite = self.non_finite.index_select(0, index.to(self.non_finite.device))
        return replace(picked, non_finite=non_finite, frame_shape=(len(index), *self.frame_shape[1:]))

    @staticmethod
    def merge(states: "Sequence[StreamState]") -> "StreamState":
        """One state of all the streams of several, in order.

        Raises:
            StateError: there is none, or their frame sizes, points or what is remembered there differ, be it in dtype
                or device.
        """
        if not states:
            raise StateError("no states to merge")
        first = states[0]
        for other in states[1:]:
            if other._form() != first._form():
                raise StateError(
                    f"states don't go together: one is of {first._described()}, another of {other._described()}"
                )
        memories = {
            point: {name: torch.cat([s.memories[point][name] for s in states]) for name in memory}
            for point, memory in first.memories.items()
        }
        frames = [s.frame for s in states if s.frame is not None]
        return StreamState(
            memories,
            torch.cat(frames) if frames else None,
            torch.cat([s.non_finite for s in states]),
            (sum(s.streams for s in states), *first.frame_shape[1:]),
        )

    def _form(self) -> tuple[object, ...]:
        """What has to be equal for states to be merged."""
        memories = {
            point: {name: _kind(tensor) for name, tensor in memory.items()} for point, memory in self.memories.items()
        }
        return self.frame_shape[1:], None if self.frame is None else _kind(self.frame), memories

    def _described(self) -> str:
        points = {
            point: ", ".join(f"{name} {tensor.dtype} on {tensor.device}" for name, tensor in memory.items())
            for point, memory in self.memories.items()
        }
        return f"frames {self.frame_shape} with {'; '.join(f'{point}: {text}' for point, text in points.items())}"

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through it."""
        tensors = [tensor for memory in self.memories.values() for tensor in memory.values()]
        return any(tensor.requires_grad for tensor in tensors)

    @property
    def streams(self) -> int:
        """B, the number of streams."""
        return int(self.non_finite.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all that is remembered; the same at every frame."""
        tensors = [tensor for memory in self.memories.values() for tensor in memory.values()]
        if self.frame is not None:
            tensors.append(self.frame)
        return sum(tensor.nbytes for tensor in tensors) + self.non_finite.nbytes


def new_state(frame_shape: tuple[int, ...]) -> StreamState:
    """The state of streams of which nothing was remembered yet, for frames of a shape (B, …)."""
    return StreamState({}, None, torch.zeros(frame_shape[0], dtype=torch.long), frame_shape)


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape[1:], tensor.dtype, tensor.device
