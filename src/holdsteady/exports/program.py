"""An export for torch.export, loaded: frames and state in, output and state out, all of them tensors."""

import io
from pathlib import Path

import torch
from torch import Tensor

from holdsteady.errors import ExportError, in_one_line
from holdsteady.exports import operator  # noqa: F401 – programs that search for flow call it
from holdsteady.exports.manifest import Manifest, read_manifest, read_part

State = dict[str, Tensor]


class ProgramStep:
    """The step of an export of format pt2: ``output, state = step(frame, state)``.

    Attributes:
        manifest: what ``holdsteady.json`` says.

    Raises:
        ExportError: the folder is no export for torch.export, or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.manifest: Manifest = read_manifest(folder)
        if self.manifest.runtime != "pt2":
            raise ExportError(f"'{folder}' is for ONNX Runtime; export it with --format pt2 to load it here")
        content = read_part(folder, self.manifest.parts[0])
        try:
            self._run = torch.export.load(io.BytesIO(content)).module()
        except Exception as error:  # of another version of torch, as one of many things
            raise ExportError(f"'{folder}' can't be loaded by this torch: {in_one_line(error)}") from error

    def new_state(self, batch: int, _channels: int, height: int, width: int) -> State:
        """The state of streams that have seen nothing, for frames of this shape."""
        return {
            entry.name: torch.full(entry.sizes(batch, height, width), torch.nan, dtype=getattr(torch, entry.dtype))
            for entry in self.manifest.state
        }

    def __call__(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame (B, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            output, after = self._run(frame, state)
        return output, after
