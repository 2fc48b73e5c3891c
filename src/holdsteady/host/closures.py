"""Functions that are kept in a module, as hooks are, and what they know of it beside their arguments.

``copy.deepcopy`` leaves functions as they are: a hook that was copied with its module would go on to write into the
module that it was made for.
"""

from collections.abc import Iterator
from functools import partial
from operator import is_
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import nn


def known_globally(module: nn.Module) -> Iterator[Any]:
    """Lists and dicts that functions in a module find by a global name; a copy would be another one than they see."""
    for held in (vars(module), module._forward_pre_hooks, module._forward_hooks):
        for function in held.values():
            if isinstance(function, FunctionType):
                found = (function.__globals__.get(name) for name in function.__code__.co_names)
                yield from (thing for thing in found if isinstance(thing, list | dict))


def rebind(copies: dict[int, Any]) -> None:
    """Functions in what was copied are replaced by ones that know the copies.

    Args:
        copies: the memo of ``copy.deepcopy``: what was copied, by the ids of the originals.
    """
    twins = _Twins(copies)
    for key, thing in list(copies.items()):
        if key in (id(copies), id(thing)):  # what deepcopy keeps alive, and what is shared
            continue
        held: dict[Any, Any] = thing if isinstance(thing, dict) else getattr(thing, "__dict__", {})
        items: list[Any] = thing if isinstance(thing, list) else []
        for place, entries in ((held, list(held.items())), (items, list(enumerate(items)))):
            for name, value in entries:
                if isinstance(value, FunctionType | tuple | partial):
                    place[name] = twins.of(value)


class _Twins:
    """What stands for a thing among the copies."""

    def __init__(self, copies: dict[int, Any]) -> None:
        self._copies = copies
        self._cells: dict[int, CellType] = {}  # functions that share a variable go on to share it

    def of(self, thing: Any) -> Any:
        """The copy of a thing; of a function, one that knows the copies; else the thing itself."""
        if id(thing) in self._copies:
            return self._copies[id(thing)]
        if isinstance(thing, MethodType):
            function, owner = self.of(thing.__func__), self.of(thing.__self__)
            is_same = function is thing.__func__ and owner is thing.__self__
            return thing if is_same else MethodType(function, owner)
        if isinstance(thing, tuple):
            return self._tuple(thing)
        if isinstance(thing, partial):
            return self._partial(thing)
        return self._function(thing) if isinstance(thing, FunctionType) else thing

    def _tuple(self, thing: tuple[Any, ...]) -> tuple[Any, ...]:
        items = tuple(map(self.of, thing))
        if all(map(is_, thing, items)):
            return thing
        return thing._make(items) if hasattr(thing, "_make") else tuple.__new__(type(thing), items)

    def _partial(self, thing: partial[Any]) -> partial[Any]:
        before = (thing.func, *thing.args, *thing.keywords.values())
        function, *after = map(self.of, before)
        if all(map(is_, before, (function, *after))):
            return thing
        count = len(thing.args)
        twin = type(thing)(function, *after[:count], **dict(zip(thing.keywords, after[count:], strict=True)))
        twin.__dict__.update(thing.__dict__)
        return twin

    def _function(self, function: FunctionType) -> FunctionType:
        closure, given, by_name = function.__closure__ or (), function.__defaults__ or (), function.__kwdefaults__ or {}
        cells, defaults = tuple(map(self._cell, closure)), tuple(map(self.of, given))
        named = {name: self.of(value) for name, value in by_name.items()}
        before, after = (*closure, *given, *by_name.values()), (*cells, *defaults, *named.values())
        if all(map(is_, before, after)):
            return function
        twin = FunctionType(function.__code__, function.__globals__, function.__name__, defaults or None, cells)
        twin.__kwdefaults__ = named or None
        twin.__dict__.update(function.__dict__)
        return twin

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self._cells:
            self._cells[id(cell)] = cell  # of a function that knows itself
            try:
                content = cell.cell_contents
            except ValueError:  # it is still empty
                return cell
            twin = self.of(content)
            if twin is not content:
                self._cells[id(cell)] = CellType(twin)
        return self._cells[id(cell)]
