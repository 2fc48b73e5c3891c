"""``holdsteady.json`` of an export: what its files take and give, checked before anything is run. Without PyTorch."""

import math
import re
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from holdsteady import archive
from holdsteady.errors import ExportError
from holdsteady.models.card import Kind, ModelCard

MANIFEST = "holdsteady.json"
FORMAT: Literal[1] = 1

#: How every flow is meant, wherever it comes from.
FLOW_CONVENTION = (
    "float32 (batch, 2, height, width) in pixels of that size: channel 0 to the right, channel 1 down, such that "
    "present[y, x] is found at previous[y + flow[1], x + flow[0]]; zeros stand for no motion"
)

_MOST_BYTES = 1 << 20
_PART = re.compile(r"step(-\d+)?\.onnx|step\.pt2")
_EXTENT = re.compile(r"(batch|height|width)(?:\*([1-9]\d{0,3}))?(?:/([1-9]\d{0,3}))?")

Extent = Annotated[int, Field(ge=1, le=1 << 20)] | Annotated[str, Field(pattern=rf"^{_EXTENT.pattern}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", max_length=200)]
DType = Literal["float32", "float16", "float64", "int64", "uint8", "bool"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Entry(_Model):
    """A tensor that goes in or comes out.

    Attributes:
        name: of the input or output.
        dtype: its dtype.
        shape: its axes; those that vary are ``batch``, ``height`` and ``width`` of the frame, times or over a number.
    """

    name: Name
    dtype: DType
    shape: tuple[Extent, ...]

    def sizes(self, batch: int, height: int, width: int) -> tuple[int, ...]:
        """The shape for frames of a size.

        Raises:
            ExportError: an axis is not whole then.
        """
        return tuple(_extent(axis, {"batch": batch, "height": height, "width": width}) for axis in self.shape)


class StateEntry(Entry):
    """A tensor that is remembered between frames.

    Attributes:
        next: name of the output that is this input for the next frame.
        initial: what it is filled with before the first frame; NaN means that nothing is remembered.
    """

    next: Name
    initial: Literal["nan"] = "nan"

    @field_validator("dtype")
    @classmethod
    def _holds_nan(cls, dtype: DType) -> DType:
        if not dtype.startswith("float"):
            raise ValueError(f"{dtype} holds no NaN")
        return dtype


class FlowEntry(Entry):
    """An optical flow that the host computes between two parts.

    Attributes:
        present, previous: names of the grey pictures (batch, height, width), outputs of the parts before.
        method: what it was made for; others will do.
        max_height: lines that are searched; larger pictures are shrunk to it, and the flow is enlarged again.
        mend, smooth: of the search, see ``holdsteady.flow.dis.DISFlow``.
    """

    present: Name
    previous: Name
    method: Literal["dis"] = "dis"
    max_height: int = Field(ge=16, le=1 << 14)
    mend: bool
    smooth: float = Field(ge=0, le=64)


class Part(_Model):
    """One file, run in its turn on what was given and what the parts before gave.

    Attributes:
        file: its name; it lies beside ``holdsteady.json``.
        sha256: its digest.
        inputs, outputs: by name.
    """

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    inputs: tuple[Name, ...]
    outputs: tuple[Name, ...]

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, file: str) -> str:
        if file in ("", ".", "..") or "\0" in file or {PurePosixPath(file).name, PureWindowsPath(file).name} != {file}:
            raise ValueError("has to be the name of a file beside holdsteady.json")
        return file


class Manifest(_Model):
    """All of ``holdsteady.json``.

    Attributes:
        format: of this file.
        version: of holdsteady that wrote it.
        runtime: what runs the parts: ``onnx`` or ``pt2``.
        parts: the files, in order.
        frame: what goes in: RGB in [0, 1].
        multiple: what the frame's height and width have to be divisible by.
        least: what they have to be at the least.
        output: what comes out.
        kind: what that is.
        state: what is remembered.
        flows: what the host computes between parts.
        flow_convention: how flows are meant, in words.
        card: what the model behind it wants; its scaling of values is part of the export.
        adapters: the settings of each adapter.
        strength: how much of the stabilization is in the export.
    """

    format: Literal[1]
    version: str
    runtime: Literal["onnx", "pt2"]
    parts: tuple[Part, ...] = Field(min_length=1, max_length=64)
    frame: Entry
    multiple: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    least: int = Field(ge=1, le=1 << 16)
    output: Entry
    kind: Kind
    state: tuple[StateEntry, ...]
    flows: tuple[FlowEntry, ...]
    flow_convention: str = FLOW_CONVENTION
    card: ModelCard
    adapters: tuple[dict[str, Any], ...]
    strength: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> "Manifest":
        if len(self.frame.shape) != 4:
            raise ValueError("the frame has to have four axes, (batch, channels, height, width)")
        given = {self.frame.name, *(entry.name for entry in self.state)}
        if len(given) != 1 + len(self.state):
            raise ValueError("two inputs have one name")
        waiting = list(self.flows)
        for part in self.parts:
            for flow in [flow for flow in waiting if {flow.present, flow.previous} <= given]:
                waiting.remove(flow)
                given.add(flow.name)
            if missing := sorted(set(part.inputs) - given):
                raise ValueError(f"nothing gives {', '.join(missing)}, which {part.file} takes")
            given.update(part.outputs)
        wanted = {self.output.name, *(entry.next for entry in self.state)}
        if missing := sorted(wanted - given):
            raise ValueError(f"no part gives {', '.join(missing)}")
        return self


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of an export, checked.

    Raises:
        ExportError: the folder holds none, or it is damaged or of a newer format.
    """
    path = Path(folder) / MANIFEST
    try:
        content = archive.read(Path(folder), MANIFEST, _MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ExportError(f"{path} has more than {_MOST_BYTES} bytes: it is not a manifest of holdsteady")
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"'{folder}' is not an export: {MANIFEST} can't be read: {error}") from error
    found = re.search(r'"format"\s*:\s*(\d{1,9})\b', text)
    if found and int(found[1]) > FORMAT:
        raise ExportError(f"{path} has format {found[1]}; this version reads {FORMAT}: pip install -U holdsteady")
    try:
        manifest = Manifest.model_validate_json(text)
    except (ValidationError, RecursionError) as error:
        raise ExportError(f"{path} is damaged: {_faults(error)}; export it again") from error
    return manifest


def read_part(folder: str | Path, part: Part) -> bytes:
    """The content of one of the files.

    Raises:
        ExportError: it can't be read, or is not what was written.
    """
    path = Path(folder) / part.file
    try:
        content = archive.read(Path(folder), part.file)
    except OSError as error:
        raise ExportError(f"{path} can't be read: {error.strerror or error}; export it again") from error
    if sha256(content).hexdigest() != part.sha256:
        raise ExportError(f"{path} is damaged, or belongs to another export: export it again")
    return content


def is_export(folder: str | Path) -> bool:
    """Whether something is the folder of an export, or a zip, which nothing else here comes in."""
    path = Path(folder)
    return path.suffix == ".zip" if path.is_file() else (path / MANIFEST).is_file()


def files_of_exports(folder: Path) -> list[Path]:
    """The files in a folder that have the names of an export's parts."""
    return sorted(path for path in folder.glob("step*") if _PART.fullmatch(path.name))


def extent(size: int, frame: int, name: str) -> str | None:
    """An axis of a size as one of a frame's that varies, written as ``Entry.shape`` has it."""
    common = math.gcd(size, frame)
    times, over = size // common, frame // common
    text = name + (f"*{times}" if times > 1 else "") + (f"/{over}" if over > 1 else "")
    return text if _EXTENT.fullmatch(text) else None


def read_extent(text: str) -> tuple[str, int, int]:
    """What :func:`extent` wrote: which axis of the frame, times and over what."""
    found = _EXTENT.fullmatch(text)
    assert found is not None, text
    return found[1], int(found[2] or 1), int(found[3] or 1)


def _extent(axis: int | str, sizes: dict[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    name, times, over = read_extent(axis)
    whole, rest = divmod(sizes[name] * times, over)
    if rest:
        raise ExportError(f"{axis} is not whole for a {name} of {sizes[name]}")
    return whole


def _faults(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
