"""An export run by ONNX Runtime: frames and state in, output and state out, all of them NumPy arrays."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from holdsteady.errors import ExportError, extra, in_one_line
from holdsteady.exports.flow import flow_between
from holdsteady.exports.manifest import FlowEntry, Manifest, Part, read_manifest, read_part

Array = npt.NDArray[Any]
State = dict[str, Array]

_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "float64": "tensor(double)"}


class OnnxStep:
    """The step of an export: ``output, state = step(frame, state)``.

    Examples:
        >>> step = OnnxStep("out/")
        >>> state = step.new_state(*frame.shape)
        >>> output, state = step(frame, state)

    It remembers nothing itself, so that several threads can use one.

    Args:
        folder: of the export.
        threads: that ONNX Runtime may use; None for OMP_NUM_THREADS, or else all.
        search: gives the flows that the export asks for, from two grey pictures (B, H, W); None for DIS, which it was
            made for. Motion that is known better, as a renderer's, may take its place.

    Attributes:
        manifest: what ``holdsteady.json`` says.

    Raises:
        ExportError: the folder is no export for ONNX Runtime, or damaged.
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(
        self,
        folder: str | Path,
        threads: int | None = None,
        search: Callable[[Array, Array, FlowEntry], Array] | None = None,
    ) -> None:
        self._search = search or _search
        self.manifest: Manifest = read_manifest(folder)
        if self.manifest.runtime != "onnx":
            raise ExportError(f"'{folder}' is for torch.export.load; export it with --format onnx to run it here")
        with extra("onnx", "running exports"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads() if threads is None else threads
        self._sessions = []
        for part in self.manifest.parts:
            path, content = Path(folder) / part.file, read_part(folder, part)
            try:
                session = onnxruntime.InferenceSession(
                    content, options, providers=onnxruntime.get_available_providers()
                )
            except Exception as error:  # its exceptions have no common base
                raise ExportError(f"{path} can't be read as ONNX: {in_one_line(error)}; export it again") from error
            self._check(path, part, session)
            self._sessions.append(session)

    def new_state(self, batch: int, _channels: int, height: int, width: int) -> State:
        """The state of streams that have seen nothing, for frames of this shape.

        Raises:
            ExportError: the export does not take frames of this size.
        """
        self._check_frame((batch, _channels, height, width))
        return {
            entry.name: np.full(entry.sizes(batch, height, width), np.nan, entry.dtype) for entry in self.manifest.state
        }

    def __call__(self, frame: Array, state: State) -> tuple[Array, State]:
        """One frame.

        Args:
            frame: (B, 3, H, W) in [0, 1], float32; sides are multiples of those of the manifest.
            state: of the frame before, or a new one.

        Returns:
            The stabilized output, and the state for the next frame.

        Raises:
            ExportError: the frame or the state does not fit, or ONNX Runtime failed.
        """
        self._check_frame(frame.shape)
        values: dict[str, Array] = {self.manifest.frame.name: np.ascontiguousarray(frame, self.manifest.frame.dtype)}
        values |= state
        waiting = list(self.manifest.flows)
        for part, session in zip(self.manifest.parts, self._sessions, strict=True):
            for flow in [flow for flow in waiting if flow.present in values and flow.previous in values]:
                waiting.remove(flow)
                values[flow.name] = self._search(values[flow.present], values[flow.previous], flow)
            try:
                given = session.run(list(part.outputs), {name: values[name] for name in part.inputs})
            except KeyError as error:
                raise ExportError(f"the state lacks {error}; begin with new_state") from None
            except Exception as error:
                raise ExportError(f"{part.file} failed: {in_one_line(error)}") from error
            values |= zip(part.outputs, given, strict=True)
        return values[self.manifest.output.name], {entry.name: values[entry.next] for entry in self.manifest.state}

    def _check(self, path: Path, part: Part, session: Any) -> None:
        """Raise ExportError where the file and the manifest differ."""
        stated = {entry.name: entry for entry in (self.manifest.frame, *self.manifest.state, *self.manifest.flows)}
        takes = {entry.name: entry for entry in session.get_inputs()}
        differing = takes.keys() ^ set(part.inputs)
        differing |= set(part.outputs) - {entry.name for entry in session.get_outputs()}
        for name in takes.keys() & stated.keys():
            if tuple(takes[name].shape) != stated[name].shape or takes[name].type != _TYPES.get(stated[name].dtype):
                differing.add(name)
        if differing:
            names = ", ".join(sorted(differing))
            raise ExportError(f"{path} and holdsteady.json do not agree about {names}; export it again")

    def _check_frame(self, shape: tuple[int, ...]) -> None:
        wanted = self.manifest.frame.shape
        fits = len(shape) == 4 and all(isinstance(w, str) or w == side for w, side in zip(wanted, shape, strict=True))
        if not fits or shape[2] % self.manifest.multiple[0] or shape[3] % self.manifest.multiple[1]:
            raise ExportError(
                f"this export takes frames ({', '.join(map(str, wanted))}) whose height and width are multiples of "
                f"{self.manifest.multiple[0]} and {self.manifest.multiple[1]}; this one has shape {shape}"
            )


def _threads() -> int:
    """What OMP_NUM_THREADS says, as for other libraries; 0 for all."""
    outer = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(outer) if outer.isdecimal() else 0


def _search(present: Array, previous: Array, flow: FlowEntry) -> Array:
    return flow_between(present, previous, flow.max_height, mend=flow.mend, smooth=flow.smooth)
