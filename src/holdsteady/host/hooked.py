"""A network with the adapters' hooks, and the pool from which each thread takes one."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from holdsteady.errors import PointError
from holdsteady.host.mirror import Structure, can_mirror, mirror_or_itself, named_modules

#: What becomes of the value of a point, by the point's name.
Visit = Callable[[str, Any], Any]


class HookedNetwork:
    """What runs in place of a base: its mirror, with hooks at the points inside; or the base, if it has no mirror.

    Args:
        base: any callable.
        points: names of modules; None for the base itself, in the mode that it is in.

    Raises:
        PointError: the base has no such module.
        ModelError: it can't be copied.
    """

    def __init__(self, base: Any, points: Iterable[str] | None) -> None:
        self.visit: Visit | None = None
        points = points if points is None else tuple(points)
        mirrored = can_mirror(base) and points is not None
        self._structure = Structure(base) if mirrored else None
        self.run = mirror_or_itself(base, only_border=not points) if mirrored else base
        modules = dict(named_modules(self.run)) if mirrored else {}
        for name in points or ():
            if name not in modules:
                raise PointError(f"the model has no module '{name}'; see holdsteady.points(model, example)")
            # Before hooks that came with the base, by which transformers collects what its heads see.
            modules[name].register_forward_hook(partial(self._visit, name), prepend=True)

    def _visit(self, name: str, _module: nn.Module, _inputs: Any, value: Any) -> Any:
        return value if self.visit is None else self.visit(name, value)

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

    def take(self, visit: Visit) -> HookedNetwork:
        """A network that nothing else uses, over the base as it is now; the values of its points go to ``visit``."""
        network = self._free_one()
        network.visit = visit
        return network

    def _free_one(self) -> HookedNetwork:
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
        network.visit = None
        if not torch.compiler.is_compiling():
            self._free.append(network)
