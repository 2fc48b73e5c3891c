"""A stabilized model as one function of tensors, traced by ``torch.export``: ``step(frame, state) → (output, state)``.

NaN in a state means that nothing is remembered, so that one graph serves the first frame and all later ones.
"""

import io
import math
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from holdsteady.errors import ExportError, HoldsteadyError, in_one_line
from holdsteady.exports.manifest import Entry, StateEntry, extent, read_extent
from holdsteady.flow.dis import DISFlow, Flow
from holdsteady.host.outputs import as_tensor, get_leaf
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.host.state import StreamState
from holdsteady.models.values import image_path

# What cells of 8×8 pixels, halves and quarters divide.
_CELLS = 8
_DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.float64: "float64"}

Named = dict[str, Tensor]


class Step(nn.Module):
    """``output, state = step(frame, state)`` with the state as tensors by name.

    Args:
        steady: the model.
        empty: a state of streams that have seen nothing.
    """

    steady: StabilizedModel

    def __init__(self, steady: StabilizedModel, empty: StreamState) -> None:
        super().__init__()
        self.base = steady.base if isinstance(steady.base, nn.Module) else None
        self.adapters = steady.adapters
        # Not registered as a module of this one, which would give its adapters two names.
        object.__setattr__(self, "steady", steady)
        self.empty = empty
        self.places = _places(empty)
        self.eval()

    def forward(self, frame: Tensor, state: Named) -> tuple[Tensor, Named]:
        memories: dict[str, Named] = {}
        for name, (point, tensor) in self.places.items():
            memories.setdefault(point, {})[tensor] = state[name]
        known = replace(
            self.empty,
            memories=memories,
            frame=state["frame_before"] if self.empty.frame is not None else None,
            non_finite=torch.zeros(frame.shape[0], dtype=torch.long),
            frame_shape=tuple(frame.shape),
        )
        output, after = self.steady.step(frame, known)
        return image(output), named(after, self.places)


def named(state: StreamState, places: dict[str, tuple[str, str]]) -> Named:
    """A state's tensors by the names that they have in an export."""
    tensors = {name: state.memories[point][tensor] for name, (point, tensor) in places.items()}
    return tensors if state.frame is None else {**tensors, "frame_before": state.frame}


def _places(state: StreamState) -> dict[str, tuple[str, str]]:
    """Where a state has the tensor of each name."""
    alone = len({key.partition(":")[0] for key in state.memories}) == 1
    places: dict[str, tuple[str, str]] = {}
    for key, memory in state.memories.items():
        number, _, point = key.partition(":")
        for tensor in memory:
            name = re.sub(r"\W", "_", f"{point}_{tensor}" if alone else f"adapter{number}_{point}_{tensor}")
            while name in places or name == "frame_before" or not re.match("[A-Za-z_]", name):
                name = f"_{name}"
            places[name] = (key, tensor)
    return places


def image(output: Any) -> Tensor:
    """The image in what a model gives.

    Raises:
        ExportError: there is none.
    """
    path = image_path(output)
    if path is None:
        raise ExportError("the model gives no image (B, C, H, W) or (B, H, W)")
    return as_tensor(get_leaf(output, path))


@dataclass(frozen=True)
class Traced:
    """A traced step.

    Attributes:
        step: the function.
        program: of torch.export.
        example: what it was traced with.
        frame, output, state: the tensors that go in and come out.
        multiple: what the frame's height and width are divisible by.
    """

    step: Step
    program: torch.export.ExportedProgram
    example: tuple[Tensor, Named]
    frame: Entry
    output: Entry
    state: tuple[StateEntry, ...]
    multiple: tuple[int, int]


def trace(steady: StabilizedModel, example: Tensor, multiple: int, replaced: Callable[[DISFlow], Flow]) -> Traced:
    """Trace a model's step, with batch, height and width as they come where the model allows it.

    Args:
        steady: the model; its adapters are given other flows for that time.
        example: a frame (B, 3, H, W) in [0, 1]. Of that size the export is where no other can be.
        multiple: what the sides of frames have to be divisible by.
        replaced: what stands in for a flow that no graph holds.

    Raises:
        ExportError: the model can't be traced, with what it stumbled over.
    """
    failed: Exception | None = None
    with torch.inference_mode(False), torch.no_grad(), _flows(steady, replaced):
        for free in (("batch", "height", "width"), ("height", "width"), ()):
            try:
                traced = _traced(steady, example, multiple, free)
            except HoldsteadyError:
                raise
            except Exception as error:  # whatever a model's own code raises, and torch's own
                failed = failed or error
                continue
            if len(free) < 3:
                kept = "its batch is 1" if free else f"it takes frames of {_size(traced)} alone"
                warnings.warn(f"the export is less general than it could be: {kept}", stacklevel=2)
            return traced
    assert failed is not None
    raise ExportError(
        f"the model can't be exported: {_reason(failed)}; torch.export takes modules whose forward is made of torch's "
        "operations, and no NumPy, OpenCV or ONNX Runtime (of ONNX files: --inside), nor branches that depend on values"
    ) from failed


def _size(traced: Traced) -> str:
    return f"{traced.frame.shape[3]}x{traced.frame.shape[2]}"


def _reason(error: Exception) -> str:
    """What a trace stumbled over: the error, and the module of the model that it happened in, where torch says so."""
    return in_one_line(error)


def _traced(steady: StabilizedModel, example: Tensor, multiple: int, free: tuple[str, ...]) -> Traced:
    unit = math.lcm(multiple, _CELLS)
    height, width = example.shape[-2:]
    if "height" in free:
        height, width = (unit * max(2, round(side / unit)) for side in (height, width))
        width += unit * (height == width)  # or the two would be one dimension
    sizes = {"batch": 2 if "batch" in free else 1, "height": height, "width": width}
    # What varies is seen from frames of another size.
    more = {"batch": 1, "height": unit, "width": 2 * unit}
    others = {name: size + more[name] * (name in free) for name, size in sizes.items()}
    frame, other = (_of_size(example[:1], **size) for size in (sizes, others))
    (output, state), (other_output, other_state) = (_first(steady, one) for one in (frame, other))
    step = Step(steady, state)
    known, other_known = named(state, step.places), named(other_state, step.places)

    def shape(first: Tensor, second: Tensor) -> tuple[int | str, ...]:
        axes = zip(first.shape, second.shape, strict=True)
        return tuple(_axis(axis, other_axis, sizes, others) for axis, other_axis in axes)

    shapes = {name: shape(tensor, other_known[name]) for name, tensor in known.items()}
    frame_shape = shape(frame, other)
    dims = {name: torch.export.Dim(name, min=2 if name == "batch" else 1) for name in free}
    dynamic = (
        _dynamic(frame_shape, dims, unit),
        {name: _dynamic(axes, dims, unit) for name, axes in shapes.items()},
    )
    with warnings.catch_warnings(), _without_graphs():
        warnings.simplefilter("ignore")
        program = torch.export.export(step, (frame, known), dynamic_shapes=dynamic, strict=False)
    return Traced(
        step,
        program,
        (frame, known),
        Entry(name="frame", dtype=_dtype(frame), shape=frame_shape),
        Entry(name="output", dtype=_dtype(output), shape=shape(output, other_output)),
        tuple(
            StateEntry(name=name, next=f"{name}_next", dtype=_dtype(known[name]), shape=axes)
            for name, axes in shapes.items()
        ),
        (unit, unit) if "height" in free else (height, width),
    )


class _Held(io.TextIOBase):
    """A stream that holds back what one thread writes, and lets all others write on.

    Args:
        stream: where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.held, self._thread = stream, list[str](), threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self.stream.write(text)
        self.held.append(text)
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


@contextmanager
def _without_graphs() -> Iterator[None]:
    """Where torch.export fails, it prints the whole graph: without what it writes to stderr then, but with all else."""
    held = _Held(sys.stderr or io.StringIO())  # there may be none, as under pythonw
    with redirect_stderr(held):
        yield
    held.stream.write("".join(held.held))


def _first(steady: StabilizedModel, frame: Tensor) -> tuple[Tensor, StreamState]:
    """The output for a first frame, and the state of streams that have seen nothing."""
    output, state = steady.step(frame.clone())  # the model may write into it
    return image(output), state.reset([True] * state.streams)


def _axis(size: int, other: int, sizes: dict[str, int], others: dict[str, int]) -> int | str:
    """An axis of a tensor, from its sizes for two sizes of frames."""
    if size == other:
        return size
    for name, whole in sizes.items():
        if whole != others[name] and size * others[name] == other * whole and (text := extent(size, whole, name)):
            return text
    raise ValueError(f"an axis of {size} for frames of {sizes} is one of {other} for {others}")


def _of_size(frame: Tensor, batch: int, height: int, width: int) -> Tensor:
    resized = nn.functional.interpolate(frame, size=(height, width), mode="bilinear", antialias=True)
    return resized.expand(batch, -1, -1, -1).contiguous()


def _dynamic(shape: tuple[int | str, ...], dims: dict[str, Any], unit: int) -> dict[int, Any]:
    """The dimensions for torch.export: ``height`` and ``width`` count units of the frame's sides."""
    found: dict[int, Any] = {}
    for axis, text in enumerate(shape):
        if isinstance(text, str):
            name, times, over = read_extent(text)
            factor, rest = divmod((1 if name == "batch" else unit) * times, over)
            if rest:
                raise ValueError(f"{text} is not whole for multiples of {unit}")
            found[axis] = factor * dims[name] if factor > 1 else dims[name]
    return found


def _dtype(tensor: Tensor) -> Any:
    if tensor.dtype not in _DTYPES and tensor.is_floating_point():
        raise ExportError(
            f"the model gives {tensor.dtype}, and exports are of float32 or float16: let it give .float()"
        )
    if tensor.dtype not in _DTYPES:
        raise ExportError(f"exports are of floating numbers, and the model gives {tensor.dtype}; set --kind, --classes")
    return _DTYPES[tensor.dtype]


@contextmanager
def _flows(steady: StabilizedModel, replaced: Callable[[DISFlow], Flow]) -> Iterator[None]:
    """The adapters with other flows, while entered."""
    searches = [
        (module, name, value)
        for module in steady.adapters.modules()
        for name, value in vars(module).items()
        if isinstance(value, DISFlow)
    ]
    try:
        for module, name, flow in searches:
            setattr(module, name, replaced(flow))
        yield
    finally:
        for module, name, flow in searches:
            setattr(module, name, flow)
