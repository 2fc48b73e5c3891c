"""A second module tree over the same weights, so that nothing of the base is ever edited.

Networks may have attributes named ``modules``, ``parameters`` or ``children``: what is asked of a module here is asked
of its own dicts, and no method of it is called.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady.errors import ModelError
from holdsteady.host.closures import known_globally, rebind


def can_mirror(model: Any) -> bool:
    """Whether points inside a model can be reached: it is a module in Python, not a compiled or scripted one.

    What stands around another model, as a :class:`Model` does, says so by ``has_points``.
    """
    is_python = isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule)
    return is_python and bool(getattr(model, "has_points", True))


def named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A module and all that it registered, each once, by name, as ``model.named_modules()``."""
    seen: set[int] = set()
    waiting: list[tuple[str, nn.Module]] = [("", model)]
    while waiting:
        name, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield name, module
        if can_mirror(module):
            prefix = f"{name}." if name else ""
            inner = [(prefix + key, child) for key, child in module._modules.items() if child is not None]
            waiting.extend(reversed(inner))


def named_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """All parameters of a module, each once, by name, as ``model.named_parameters()``."""
    seen: set[int] = set()
    for name, module in named_modules(model):
        prefix = f"{name}." if name else ""
        own = module._parameters.items() if can_mirror(module) else module.named_parameters()  # of a script: all
        for key, parameter in own:
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                yield prefix + key, parameter


def apply(model: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Change all tensors of a module, as ``model.to()`` does."""
    modules = [module for _, module in named_modules(model)]
    if not any("children" in vars(module) for module in modules):
        model._apply(change)  # which some classes extend
        return
    for module in modules:
        nn.Module._apply(module, change, recurse=False)


def mirror(model: Any, *, shares_buffers: bool = True) -> nn.Module:
    """A copy of a model's structure, in eval mode, that shares its parameters and, unless told otherwise, its buffers.

    Modules and all that refers to them (lists, bound methods, hooks) are copied; tensors are the base's own, also
    when they are moved, loaded or trained later. Hooks set on the mirror are invisible to the base and to other
    mirrors.

    Raises:
        ModelError: the model holds something that can't be copied.
    """
    shared: dict[int, Any] = {}
    originals = list(_parts(model))
    for thing in originals:
        if isinstance(thing, Tensor):
            if thing.grad_fn is not None:  # kept from an earlier run
                shared.setdefault(id(thing), thing.detach())
        elif isinstance(thing, torch.jit.ScriptModule):
            if not thing.training:
                shared[id(thing)] = thing  # a copy would have weights of its own
        else:
            # The dicts themselves are shared: `base.to(device)` puts new buffers into them.
            for tensors in (thing._parameters, *((thing._buffers,) if shares_buffers else ())):
                shared[id(tensors)] = tensors
                shared.update((id(t), t) for t in tensors.values() if t is not None)
            shared.update((id(v), v) for v in vars(thing).values() if isinstance(v, Tensor))
            shared.update((id(v), v) for v in known_globally(thing))
    try:
        copied = copy.deepcopy(model, shared)
    except Exception as error:  # whatever a part of it raises when it is copied
        way = "put it in eval mode, or " if _trains(model) else ""
        raise ModelError(
            f"can't attach inside {type(model).__name__}: part of it can't be copied ({error}); "
            f"to stabilize only its output, {way}pass a function that calls it"
        ) from error
    rebind(shared)
    known = set(map(id, originals))
    for module in _parts(copied):
        if isinstance(module, nn.Module) and module.training and id(module) not in known:
            if isinstance(module, torch.jit.ScriptModule):
                module.eval()  # all of it is a copy
            else:
                # Not by `eval()`, which in some classes merges weights that the base has too.
                module.training = False
    return copied


def mirror_or_itself(model: nn.Module, *, only_border: bool) -> nn.Module:
    """The mirror of a model; where it can't be copied, and nothing inside is asked for, the model itself.

    Raises:
        ModelError: it can't be copied, and something inside is asked for, or it is not in eval mode.
    """
    try:
        return mirror(model)
    except ModelError:
        if not only_border or _trains(model):
            raise
        return model


def _trains(model: nn.Module) -> bool:
    return any(module.training for _, module in named_modules(model))


class Structure:
    """What a mirror can't follow by sharing: which modules a base has, of which classes, with which hooks.

    Args:
        model: the base.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tree = [module for _, module in named_modules(model) if can_mirror(module)]
        self._children = [module._modules for module in self._tree]
        self._hooks = [hooks for module in self._tree for hooks in (module._forward_pre_hooks, module._forward_hooks)]
        self._attributes = [vars(module) for module in self._tree]
        self._seen = self._look()

    def _look(self) -> list[Any]:
        # Every frame begins with this: loops in C take a tenth of a microsecond for each module.
        return [
            list(map(type, self._tree)),
            [tuple(children.values()) for children in self._children if children],
            list(map(tuple, filter(None, self._hooks))),
            [attributes["forward"] for attributes in self._attributes if "forward" in attributes],
        ]

    @property
    def changed(self) -> bool:
        """Whether a module was replaced, added, taken away or wrapped since; tensors are shared and may change."""
        return self._look() != self._seen


def _parts(model: nn.Module) -> Iterator[Any]:
    """The modules of a model, registered or not, and the tensors that it keeps beside parameters and buffers."""
    seen: set[int] = set()
    waiting: list[Any] = [model]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _ATOMS):
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            yield thing
        elif isinstance(thing, nn.Module):
            yield thing
            if can_mirror(thing):
                waiting.extend(thing._modules.values())
                waiting.extend(v for k, v in vars(thing).items() if k not in _OWN)
        elif isinstance(thing, Mapping):
            waiting.extend(thing.values())
        elif isinstance(thing, list | tuple | set):
            waiting.extend(thing)
        elif not hasattr(type(thing), "__deepcopy__"):  # which may leave it as it is
            waiting.extend(getattr(thing, "__dict__", {}).values())


#: What has nothing in it that is copied.
_ATOMS = (str, bytes, int, float, type, FunctionType, MethodType, ModuleType)
#: What torch itself keeps in a module.
_OWN = frozenset(vars(nn.Module()))
