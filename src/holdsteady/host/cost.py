"""What stabilizing costs: parameters, work and memory, counted on one frame of the model itself."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.choose import plain_formulas
from holdsteady.host.flops import FlopCounter, counting_calls
from holdsteady.host.frame import described
from holdsteady.host.mirror import named_parameters
from holdsteady.host.outputs import copied
from holdsteady.host.state import StreamState

#: Column headers of a table of costs.
COLUMNS = ("name", "parameters", "MACs per pixel", "state bytes", "× base")


class Steady(Protocol):
    """What is counted: a StabilizedModel, whose file knows this one."""

    base: Any
    adapters: nn.ModuleList

    def disabled(self) -> AbstractContextManager[None]: ...

    def adapter(self, number: int) -> Adapter: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def step(
        self, frame: Any, state: StreamState | None = None, *args: Any, **kwargs: Any
    ) -> tuple[Any, StreamState]: ...


@dataclass(frozen=True)
class PointCost:
    """Cost of one point.

    Attributes:
        name: of the point; where several adapters are chained, as in a state: ``"1:output"`` is the second one's.
        parameters: that no other point uses.
        macs_per_pixel: multiply-accumulates for each pixel of the frame (not of the point's own map).
        state_bytes: what is remembered for one stream.
    """

    name: str
    parameters: int
    macs_per_pixel: float
    state_bytes: int


@dataclass(frozen=True)
class Cost:
    """What the adapters cost, by point and in total, beside the base. ``print`` shows the table.

    Attributes:
        base_macs_per_pixel: of the base alone; 0 for what computes outside of torch.
        base_parameters: of the base; 0 for what is not an nn.Module.
        points: in the order of the adapters and of their points.
        shared: what belongs to no single point: the controller's backbone, the parameters of heads that several
            points use (whose work is counted at each of them), the frame in the state.
    """

    base_macs_per_pixel: float
    base_parameters: int
    points: tuple[PointCost, ...]
    shared: PointCost

    @property
    def total(self) -> PointCost:
        """All that the adapters add to the base."""
        parts = (*self.points, self.shared)
        return PointCost(
            "total",
            sum(part.parameters for part in parts),
            sum(part.macs_per_pixel for part in parts),
            sum(part.state_bytes for part in parts),
        )

    @property
    def ratio(self) -> float | None:
        """How many times the work of the base the adapters take; None where nothing was counted in the base."""
        return self._times(self.total)

    def cells(self) -> list[tuple[str, ...]]:
        """Table rows, in the columns of ``COLUMNS``: the points, what is shared, total, base."""
        base = PointCost("base", self.base_parameters, self.base_macs_per_pixel, 0)
        rows = [self._row(part) for part in (*self.points, self.shared, self.total)]
        return [*rows, tuple("–" if cell == "0" else cell for cell in self._row(base))]

    def _times(self, part: PointCost) -> float | None:
        return part.macs_per_pixel / self.base_macs_per_pixel if self.base_macs_per_pixel else None

    def _row(self, part: PointCost) -> tuple[str, ...]:
        times = self._times(part)
        figures = (part.parameters, part.macs_per_pixel, part.state_bytes)
        return (part.name, *(f"{figure:,.0f}" for figure in figures), "–" if times is None else f"{times:.3f}")

    def __str__(self) -> str:
        rows = [COLUMNS, *self.cells()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
        )


def cost(steady: Steady, example: Any, *args: Any, **kwargs: Any) -> Cost:
    """What a stabilized model costs, counted while it runs on a frame that is not its first.

    Counted are the multiply-accumulates (MACs) of convolutions, linear layers, matrix products and attention. What
    works on each value by itself (fusion, activations, norms, resizing, warping) is not, nor is what runs outside of
    torch, as optical flow does. The base runs three times; what ``steady`` remembers is not changed.

    Args:
        steady: a base and its adapters.
        example: a frame, as ``steady.step`` takes it.
        args, kwargs: passed on to the base.

    Raises:
        PointError, LayoutError: as ``steady.step`` does.
    """
    _, (height, width), shape = described(example)
    # A multiply-accumulate is two operations.
    each = 2 * shape[0] * height * width
    adapters = [steady.adapter(number) for number in range(len(steady.adapters))]
    cells = [cell for adapter in adapters for cell in adapter.cells.values()]
    with torch.inference_mode(False), torch.no_grad():
        # Copies: a base may write into its input.
        with FlopCounter() as alone, steady.disabled():
            steady.step(copied(example), None, *args, **kwargs)
        _, state = steady.step(copied(example), None, *args, **kwargs)
        with plain_formulas(), FlopCounter() as counter, counting_calls(cells, counter) as calls:
            _, state = steady.step(copied(example), state, *args, **kwargs)

    users = Counter(id(parameter) for cell in cells for parameter in cell.parameters())
    points, outside = [], counter.total - alone.total
    for number, adapter in enumerate(adapters):
        for point, cell in zip(adapter.points, adapter.cells.values(), strict=True):
            key = f"{number}:{point.name}"
            name = key if len(adapters) > 1 else point.name
            own = (parameter for parameter in cell.parameters() if users[id(parameter)] == 1)
            flops = calls[cell].pop(0)
            outside -= flops
            kept = sum(_bytes(tensor) for tensor in state.memories[key].values()) // state.streams
            points.append(PointCost(name, _size(own), flops / each, kept))
    elsewhere = _size(steady.parameters()) - sum(point.parameters for point in points)
    frame = 0 if state.frame is None else _bytes(state.frame) // state.streams
    parameters = _size(p for _, p in named_parameters(steady.base)) if isinstance(steady.base, nn.Module) else 0
    shared = PointCost("shared", elsewhere, outside / each, frame)
    return Cost(alone.total / each, parameters, tuple(points), shared)


def _size(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
