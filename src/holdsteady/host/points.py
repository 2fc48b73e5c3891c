"""List, choose and describe the points of a model."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.adapters.adapter import Point, resolve_layout
from holdsteady.adapters.config import AdapterConfig, make_config
from holdsteady.errors import LayoutError, PointError, near
from holdsteady.host.border import Border, Takes, on_maps
from holdsteady.host.flops import FlopCounter, counting_calls
from holdsteady.host.frame import described
from holdsteady.host.identity import digest
from holdsteady.host.mirror import can_mirror, mirror_or_itself, named_modules
from holdsteady.host.outputs import as_tensor, copied, find_leaf, get_leaf

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class PointInfo:
    """One row of the table of points.

    Attributes:
        point: what an adapter keeps of it.
        share: of the model's floating-point work that is done in it, in [0, 1]; 0 where it was not counted.
        obstacle: why it can't be stabilized; empty if it can.
        is_output: its value is the model's output itself.
        is_enlarged: the model's output is its value, enlarged bilinearly; only looked for where the config asks for
            the point ``coarse``, as values have to be kept for it.
    """

    point: Point
    share: float
    obstacle: str = ""
    is_output: bool = False
    is_enlarged: bool = False

    def cells(self) -> tuple[str, ...]:
        """The table row: name, type, shape, layout or obstacle, share of the work."""
        shape = "×".join(map(str, self.point.shape or ())) or "–"
        layout = self.point.layout.kind if self.point.layout else self.obstacle
        return (self.point.name, self.point.type or "–", shape, layout, f"{100 * self.share:.1f}%")


class PointTable(tuple[PointInfo, ...]):
    """The points of a model in execution order. ``print`` shows the table."""

    def __str__(self) -> str:
        rows = [("name", "type", "shape", "layout", "work"), *(info.cells() for info in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )


def points(
    model: Any,
    example: Any,
    *args: Any,
    config: AdapterConfig | None = None,
    takes: Takes = "auto",
    count_work: bool = True,
    **kwargs: Any,
) -> PointTable:
    """All places of a model where values can be stabilized, from one pass with an example frame.

    The pass runs on a copy of the example: a model may write into its input.

    Args:
        model: any nn.Module; of another callable, only ``input`` and ``output``.
        example: a frame: (B, C, H, W), or in any other form.
        args, kwargs: passed on to the model behind the frame.
        config: states layouts where shapes don't tell them.
        takes: what the model is given, as of :func:`stabilize`.
        count_work: whether to count each point's share of the work.
    """
    config = config or make_config("simple-fixed")
    frame_size = described(example)[1]
    calls: Counter[str] = Counter()
    found: dict[str, PointInfo] = {}
    leaves: dict[str, weakref.ref[Tensor]] = {}
    last: dict[tuple[int, ...], tuple[str, Tensor]] = {}  # of each shape

    def describe(name: str, type_name: str, value: Any, parameters: str) -> None:
        calls[name] += 1
        path = find_leaf(value)
        point = Point(name, type_name, parameters=parameters)
        if path is None:
            found[name] = PointInfo(point, 0.0, "not a floating-point tensor")
            return
        leaf = as_tensor(get_leaf(value, path))
        point = replace(point, shape=tuple(leaf.shape[1:]))
        if isinstance(get_leaf(value, path), Tensor):
            leaves[name] = weakref.ref(leaf)
            if leaf.ndim == 4 and "coarse" in config.points and name not in ("input", "output"):
                last[tuple(leaf.shape)] = name, leaf
        if leaf.shape[0] != frame.shape[0]:
            found[name] = PointInfo(point, 0.0, f"first axis is {leaf.shape[0]}, not the batch")
            return
        try:
            layout = resolve_layout(name, tuple(leaf.shape), frame_size, config)
        except LayoutError:
            found[name] = PointInfo(point, 0.0, "axes unclear")
            return
        found[name] = PointInfo(replace(point, layout=layout), 0.0)

    def listen(name: str, module: nn.Module) -> Callable[[nn.Module, Any, Any], None]:
        type_name, parameters = type(module).__name__, digest(module)
        return lambda _module, _inputs, value: describe(name, type_name, value, parameters)

    run, inner = model, {}
    if can_mirror(model):
        run = mirror_or_itself(model, only_border={"input", "output", "coarse"}.issuperset(config.points))
        inner = {} if run is model else {name: one for name, one in named_modules(run) if name and can_mirror(one)}
        for name, module in inner.items():
            module.register_forward_hook(listen(name, module))
    with torch.no_grad():
        frame, call = on_maps(Border(model, takes), run, copied(example))
    calls.clear()  # a model may have been tried
    describe("input", "", frame, "")
    counter = FlopCounter()
    counting = counter if count_work else nullcontext()
    with torch.inference_mode(False), torch.no_grad(), counting_calls(inner.values(), counter) as work, counting:
        output = call(copied(frame), *args, **kwargs)
    describe("output", "", output, "")

    total = max(1, counter.total)
    final = leaves["output"]() if "output" in leaves else None
    coarse = [name for name, small in last.values() if final is not None and _is_enlarged(small, final)]
    table = []
    for name, info in found.items():
        if info.point.type:
            share = sum(work[inner[name]]) / total
            is_output = final is not None and leaves[name]() is final if name in leaves else False
            often = f"called {calls[name]} times per frame" if calls[name] > 1 else info.obstacle
            info = replace(info, share=share, is_output=is_output, is_enlarged=name in coarse[-1:], obstacle=often)
            if calls[name] > 1:
                info = replace(info, point=replace(info.point, layout=None))
        table.append(info)
    return PointTable(table)


def select_points(table: PointTable, patterns: Sequence[str]) -> list[Point]:
    """The points that names, globs, types, ``input``, ``output``, ``auto`` or ``coarse`` choose, in the table's order.

    Raises:
        PointError: a pattern matches nothing, or something that can't be stabilized.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        named = {"auto": auto_points, "coarse": coarse_points}.get(pattern)
        matched = named(table) if named else _match(table, pattern)
        if not matched:
            raise PointError(_no_match(table, pattern))
        usable = [info for info in matched if not info.obstacle]
        exact = "*" not in pattern and "?" not in pattern
        for info in matched:
            if info.obstacle and (exact or not usable):
                raise PointError(
                    f"point '{info.point.name}' ({info.point.type or 'the model itself'}) can't be stabilized: "
                    f"{info.obstacle}; points that can: {_some(table)}"
                )
        chosen.update(info.point.name for info in usable)
    return [info.point for info in table if info.point.name in chosen]


def auto_points(table: PointTable) -> list[PointInfo]:
    """The repeated blocks of a model, and its output.

    A *block* is a class of modules with submodules, other than a plain container, that is used at least
    twice, and most of whose uses are not inside another such class. A model without any is taken layer by
    layer: every module without submodules that has weights. What can't be stabilized is passed over, and so is
    a block whose value is the model's output.
    """
    by_name = {info.point.name: info for info in table}
    parents = {name.rsplit(".", 1)[0] for name in by_name if "." in name}
    containers = {kind.__name__ for kind in _CONTAINERS}
    branches = [i for i in table if i.point.name in parents and i.point.type not in containers]
    uses = Counter(info.point.type for info in branches)
    repeated = {info.point.name: info for info in branches if uses[info.point.type] > 1}
    outer = [info for name, info in repeated.items() if not any(up in repeated for up in _ancestors(name))]
    outer_uses = Counter(info.point.type for info in outer)
    blocks = [i for i in outer if 2 * outer_uses[i.point.type] > uses[i.point.type]]
    if not blocks:
        blocks = [i for i in table if i.point.name not in parents and i.point.parameters]
    chosen = [i for i in blocks if not i.obstacle and not i.is_output]
    return [*chosen, by_name["output"]]


def coarse_points(table: PointTable) -> list[PointInfo]:
    """The map that the output is enlarged from, as scores of classes often are, or else the output."""
    enlarged = [info for info in table if info.is_enlarged and not info.obstacle]
    return enlarged or [info for info in table if info.point.name == "output"]


def _is_enlarged(small: Tensor, output: Tensor) -> bool:
    """Whether an output (B, C, H, W) is a map (B, C, h, w) of at most half its sides, enlarged bilinearly."""
    if (
        output.ndim != 4
        or small.shape[:2] != output.shape[:2]
        or any(2 * side > whole for side, whole in zip(small.shape[2:], output.shape[2:], strict=True))
    ):
        return False
    size, least = output.shape[2:], 1e-3 * (output.max() - output.min())
    ways = (F.interpolate(small.float(), size=size, mode="bilinear", align_corners=a) for a in (False, True))
    return any(bool((way - output.float()).abs().max() <= least) for way in ways)


def _match(table: Iterable[PointInfo], pattern: str) -> list[PointInfo]:
    exact = [info for info in table if info.point.name == pattern]
    if exact:
        return exact
    return [info for info in table if info.point.type == pattern or fnmatchcase(info.point.name, pattern)]


def _no_match(table: PointTable, pattern: str) -> str:
    names = [info.point.name for info in table]
    types = sorted({info.point.type for info in table if info.point.type})
    hint = near(pattern, names + types)
    return f"nothing in the model matches point '{pattern}'{hint}; points that can be stabilized: {_some(table)}"


def _some(table: PointTable, most: int = 8) -> str:
    names = [info.point.name for info in table if not info.obstacle]
    more = f", … ({len(names)} in all, see holdsteady points)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _ancestors(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
