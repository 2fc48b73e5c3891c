"""``holdsteady.export``: a stabilized model as files that run without this package."""

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from holdsteady.adapters.config import AdapterConfig
from holdsteady.errors import ConfigError, ExportError, extra
from holdsteady.exports.manifest import FORMAT, MANIFEST, FlowEntry, Manifest, Part, files_of_exports, is_export
from holdsteady.exports.operator import flow as flow_operator
from holdsteady.exports.split import DOMAIN, FLOW
from holdsteady.exports.step import OnnxStep
from holdsteady.exports.trace import Traced, image, trace
from holdsteady.flow.dis import DISFlow, Flow
from holdsteady.flow.pyramid import PyramidFlow
from holdsteady.folders import made_folder
from holdsteady.host.frame import form_of, to_map
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.card import Kind, ModelCard
from holdsteady.models.guess import guess
from holdsteady.models.model import card_of
from holdsteady.models.sizes import Trial, fit, try_model

Format = Literal["onnx", "pt2"]
FlowPlace = Literal["host", "inside"]
#: What sizes a model takes, an example in one of them, and what the model's output is.
Found = tuple[Trial, Tensor, Kind]

_TOLERANCE = 1e-3  # of the largest value of an output


def export(
    steady: StabilizedModel,
    example: Any,
    folder: str | Path,
    *,
    format: Format = "onnx",
    flow: FlowPlace = "host",
    overwrite: bool = False,
) -> Path:
    """Write a stabilized model as ``step(frame, state) → (output, state)``, with the state in the caller's hands.

    Examples:
        >>> hs.export(steady, frame, "out/")

    ``out/holdsteady.json`` says what goes in and comes out: names, dtypes, shapes, what the state is before the first
    frame. ``holdsteady run --model out/`` runs it, by ONNX Runtime and without PyTorch. See docs/export.md.

    Args:
        steady: the model with its adapters, and its strength.
        example: a frame (B, 3, H, W), or another that ``steady`` takes, of about the size that it will run on.
        folder: made if it is not there.
        format: ``onnx``, or ``pt2`` of torch.export.
        flow: where optical flow is searched: by the ``host`` between two parts of the export (DIS, the better one), or
            ``inside`` the one graph.
        overwrite: whether an export in the folder may be replaced.

    Returns:
        The folder.

    Raises:
        ExportError: the model can't be exported, with what it stumbled over, or the folder can't be written.
        ConfigError: an unknown format or place of the flow.
        MissingExtraError: ONNX is not installed.
    """
    if format not in ("onnx", "pt2") or flow not in ("host", "inside"):
        raise ConfigError(f"format = {format!r}, flow = {flow!r}: formats are onnx and pt2, flows host and inside")
    folder = Path(folder)
    check_folder(folder, overwrite)
    return write(steady, looked_at(steady.base, example), folder, format=format, flow=flow)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise ExportError where a folder can't take an export, or holds what would be replaced."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"'{folder}' is a file; exports need a folder")
    if is_export(folder) and not overwrite:
        raise ExportError(f"'{folder}' holds an export already; give --overwrite to replace it")
    earlier = files_of_exports(folder)
    if earlier and not is_export(folder):
        raise ExportError(f"'{earlier[0]}' is of no export, and could be replaced by one; take another folder")


def write(steady: StabilizedModel, found: Found, folder: Path, *, format: Format, flow: FlowPlace) -> Path:
    """As :func:`export`, of a model that was looked at, into a folder that was checked."""
    earlier, card = files_of_exports(folder), card_of(steady.base)
    trial, fitted, kind = found
    unread = [adapter for adapter in _configs(steady) if adapter.settings().get("fuse_as") == "auto"]
    if kind in ("classes", "mask") and unread:
        raise ExportError(f"a graph can't look whether an output is of {kind}: state it (--kind {kind}, or fuse_as)")
    write_parts = _write_onnx if format == "onnx" else _write_pt2
    height = int(fitted.shape[-2])
    multiple = math.lcm(trial.multiple, PyramidFlow.like(DISFlow(), height).multiple if flow == "inside" else 1)
    traced = trace(steady, fitted, multiple, _replaced(format, flow, height))
    try:
        with made_folder(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as beside:
            parts, flows = write_parts(traced, Path(beside))
            manifest = Manifest(
                format=FORMAT,
                version=version("holdsteady"),
                runtime=format,
                parts=parts,
                frame=traced.frame,
                multiple=traced.multiple,
                least=trial.least,
                output=traced.output,
                kind=kind,
                state=traced.state,
                flows=flows,
                card=card,
                adapters=tuple(config.settings() for config in _configs(steady)),
                strength=steady.strength,
            )
            content = manifest.model_dump(mode="json") | {"card": card.model_dump(mode="json", exclude_unset=True)}
            Path(beside, MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            if format == "onnx":
                _verify(Path(beside), steady, traced, flow)
            for name in (*(part.file for part in parts), MANIFEST):
                Path(beside, name).replace(folder / name)
        for path in earlier:  # of an export in more parts, or another format
            if path.name not in {part.file for part in parts}:
                path.unlink()
    except OSError as error:
        raise ExportError(f"can't write an export to '{folder}': {error.strerror or error}") from error
    return folder


def looked_at(model: Callable[..., Any], example: Any) -> Found:
    """What sizes a model takes, the example in one of them, and what the model's output is.

    Raises:
        ExportError: it gives class numbers or truths, which are not exported.
        ModelError: it fails on the example.
    """
    frame = _as_frame(example)
    with torch.inference_mode(False), torch.no_grad():
        card = card_of(model)
        trial = try_model(model, frame, card)
        fitted = fit(frame, ModelCard(multiple=trial.multiple), trial.least)
        found = guess(trial, fitted, card)
    if found.kind == "labels":
        raise ExportError("the model gives class numbers; export one that gives logits (--kind classes)")
    if not found.floating and card.kind is None:
        raise ExportError(f"the model gives whole numbers or truths: say what they are (--kind {found.kind})")
    return trial, fitted, found.kind


def _configs(steady: StabilizedModel) -> list[AdapterConfig]:
    return [steady.adapter(number).config for number in range(len(steady.adapters))]


def _as_frame(example: Any) -> Tensor:
    return to_map(example, form_of(example)).detach().float()


def _replaced(format: Format, flow: FlowPlace, height: int) -> Callable[[DISFlow], Flow]:
    """What stands in a graph for a search by OpenCV."""
    if flow == "inside":
        return lambda dis: PyramidFlow.like(dis, height)
    return lambda dis: partial(_asked, dis, format)


def _asked(dis: DISFlow, format: Format, present: Tensor, previous: Tensor) -> Tensor:
    """A flow that a graph asks its host for."""
    grey = (present.float().mean(dim=1), previous.float().mean(dim=1))
    if format == "pt2":
        return flow_operator(*grey, dis.max_height, dis.mend, dis.smooth).to(present.dtype)
    batch, height, width = grey[0].shape
    settings: dict[str, Any] = {"max_height": dis.max_height, "mend": int(dis.mend), "smooth": float(dis.smooth)}
    name, shape = f"{DOMAIN}::{FLOW}", (batch, 2, height, width)
    found: Tensor = torch.onnx.ops.symbolic(name, grey, settings, dtype=torch.float32, shape=shape, version=1)
    return found.to(present.dtype)


def _write_pt2(traced: Traced, folder: Path) -> tuple[tuple[Part, ...], tuple[FlowEntry, ...]]:
    path = folder / "step.pt2"
    torch.export.save(traced.program, path)
    names = ("frame", *(entry.name for entry in traced.state))
    given = ("output", *(entry.next for entry in traced.state))
    return (_part(path, names, given),), ()


def _write_onnx(traced: Traced, folder: Path) -> tuple[tuple[Part, ...], tuple[FlowEntry, ...]]:
    with extra("onnx", "exporting to ONNX"):
        import onnxscript  # noqa: F401 – torch.onnx needs it

        from holdsteady.exports.graph import to_parts
    models, flows = to_parts(traced)
    parts = []
    for number, model in enumerate(models):
        path = folder / ("step.onnx" if len(models) == 1 else f"step-{number + 1}.onnx")
        try:
            path.write_bytes(model.SerializeToString())
        except ValueError as error:  # protobuf's limit
            raise ExportError("the model has more than 2 GB, which no ONNX file holds; take --format pt2") from error
        parts.append(_part(path, [value.name for value in model.graph.input], [v.name for v in model.graph.output]))
    return tuple(parts), flows


def _part(path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Part:
    digest = sha256(path.read_bytes()).hexdigest()
    return Part(file=path.name, sha256=digest, inputs=tuple(inputs), outputs=tuple(outputs))


def _verify(folder: Path, steady: StabilizedModel, traced: Traced, kind: FlowPlace) -> None:
    """Raise ExportError where an export gives something else than the model for a first frame and the next."""
    frame, _ = traced.example
    second = frame.roll(1, dims=3)
    # Of copies: a model may write into its input.
    expected, state = steady.step(frame.clone())
    results = [image(expected).clone()]
    if kind == "host":
        results.append(image(steady.step(second.clone(), state)[0]))
    step = OnnxStep(folder)
    held = step.new_state(*frame.shape)
    for number, (given, wanted) in enumerate(zip((frame, second), results, strict=False)):
        output, held = step(given.numpy(), held)
        scale = float(wanted.abs().max()) or 1.0
        error = float(np.abs(output - wanted.numpy()).max()) / scale
        if not error <= _TOLERANCE:
            raise ExportError(
                f"the export differs from the model by {error:.2g} of its range at frame {number}: "
                "ONNX Runtime computes one of its operations in another way; please report this"
            )
