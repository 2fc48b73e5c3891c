"""A network with the adapters' hooks, and a frame on its way through it."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.cell import Context, Memory
from holdsteady.errors import PointError, StateError
from holdsteady.host.mirror import Structure, can_mirror, mirror, named_modules
from holdsteady.host.outputs import as_tensor, find_leaf, get_leaf, like, set_leaf

#: For each point, the adapters that have a cell there (their numbers), and which of their points it is.
Cells = dict[str, list[tuple[int, int]]]


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

    def visit(self, name: str, value: Any) -> Any:
        """What leaves a point: the stabilized value of every adapter that has a cell there, in turn."""
        for number, index in self.cells_at.get(name, ()):
            key = f"{number}:{name}"
            if key in self.after:
                raise PointError(f"point '{name}' was reached twice in one frame; use a point around or inside it")
            path = find_leaf(value)
            if path is None:
                raise PointError(
                    f"point '{name}' returned {_describe(value)}, not a float tensor with spatial axes; integers are "
                    "mixed only in an image like the frame, because classes can't be"
                )
            leaf = get_leaf(value, path)
            tensor = as_tensor(leaf)
            if tensor.shape[0] != self.streams:
                raise PointError(
                    f"point '{name}' returned {_describe(tensor)}: its first axis is not the batch of {self.streams}; "
                    "where a model leaves that axis out, return output[None]"
                )
            stabilized, self.after[key], left_out = self.adapters[number].stabilize(
                index, tensor, self._memory(key, tensor), self.contexts[number], self.size
            )
            self.left_out.append(left_out)
            self.memories.pop(key, None)
            value = set_leaf(value, path, like(leaf, stabilized))
        return value

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


class HookedNetwork:
    """What runs in place of a base: its mirror, with hooks at the points inside; or the base, where none is inside.

    Args:
        base: any callable.
        points: names of modules; None for the base itself, in the mode that it is in.

    Raises:
        PointError: the base has no such module.
    """

    def __init__(self, base: Any, points: Iterable[str] | None) -> None:
        self.current: FramePass | None = None
        mirrored = can_mirror(base) and points is not None
        self._structure = Structure(base) if mirrored else None
        self.run = mirror(base) if mirrored else base
        modules = dict(named_modules(self.run)) if mirrored else {}
        for name in points or ():
            if name not in modules:
                raise PointError(f"the model has no module '{name}'; see holdsteady.points(model, example)")
            # Before hooks that came with the base, by which transformers collects what its heads see.
            modules[name].register_forward_hook(partial(self._visit, name), prepend=True)

    def _visit(self, name: str, _module: nn.Module, _inputs: Any, value: Any) -> Any:
        return value if self.current is None else self.current.visit(name, value)

    @property
    def is_stale(self) -> bool:
        """Whether modules of the base were replaced since; its tensors are shared and followed."""
        return self._structure is not None and self._structure.changed


class NetworkPool:
    """Hooked networks over one base. Each serves one frame at a time; when all are at work, there is one more.

    So several threads can step through one model. All of them share the base's tensors.

    Args:
        base, points: as of :class:`HookedNetwork`.
    """

    def __init__(self, base: Any, points: Iterable[str] | None) -> None:
        self.base, self.points = base, None if points is None else tuple(points)
        self.first = HookedNetwork(base, self.points)
        self._free = [self.first]

    def take(self) -> HookedNetwork:
        """A network that nothing else uses, over the base as it is now."""
        if torch.compiler.is_compiling():
            return self.first  # one thread compiles at a time, and what is compiled looks at no attribute
        try:
            network = self._free.pop()
        except IndexError:
            return HookedNetwork(self.base, self.points)
        if not network.is_stale:
            return network
        fresh = HookedNetwork(self.base, self.points)
        if network is self.first:
            self.first = fresh
        return fresh

    def give(self, network: HookedNetwork) -> None:
        """Take back what :meth:`take` gave."""
        network.current = None
        if not torch.compiler.is_compiling():
            self._free.append(network)


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of {value.dtype} {tuple(shape)}"
