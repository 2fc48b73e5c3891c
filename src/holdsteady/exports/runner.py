"""An export over a video, by ONNX Runtime and without PyTorch."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from holdsteady import video
from holdsteady.exports.display import Display
from holdsteady.exports.step import OnnxStep, State
from holdsteady.video.arrays import Arrays

Array = npt.NDArray[Any]


class ExportRunner:
    """An export as a function of frames of any size.

    Args:
        export: its folder, a zip of that, or its step.

    Raises:
        ExportError: it is damaged, or not for ONNX Runtime.
    """

    def __init__(self, export: str | Path | OnnxStep) -> None:
        self._step = export if isinstance(export, OnnxStep) else OnnxStep(export)
        self._display = Display(self._step.manifest.kind)
        self._state: State | None = None

    def step(self, frame: Array) -> Array:
        """One frame (1, 3, H, W) in [0, 1] → the picture of the stabilized output.

        Raises:
            ExportError: the export takes frames of another size.
        """
        manifest = self._step.manifest
        height, width = frame.shape[-2:]
        padded = padded_to(frame, manifest.multiple, manifest.least)
        if self._state is None:
            self._state = self._step.new_state(*padded.shape)
        output, self._state = self._step(padded, self._state)
        rows, columns = padded.shape[-2:]
        shown = output[..., : round(output.shape[-2] * height / rows), : round(output.shape[-1] * width / columns)]
        return self._display(shown)

    @property
    def strength(self) -> float:
        """How much of the stabilization is in the export."""
        return self._step.manifest.strength

    def reset(self) -> None:
        """Forget what was seen: a new shot begins."""
        self._state = None
        self._display.reset()


def padded_to(frame: Array, multiple: tuple[int, int], least: int = 1) -> Array:
    """A frame (B, C, H, W) continued at the bottom and right by reflection, to sides that are such multiples."""
    height, width = frame.shape[-2:]
    bottom, right = (
        -(-max(side, least) // part) * part - side for side, part in zip((height, width), multiple, strict=True)
    )
    if not (bottom or right):
        return frame
    return np.pad(
        frame,
        ((0, 0), (0, 0), (0, bottom), (0, right)),
        mode="reflect" if bottom < height and right < width else "edge",
    )


def run_export(
    source: str,
    sink: str,
    export: str | Path | OnnxStep,
    how: video.RunOptions,
    *,
    progress: Callable[[int, int | None], None] | None = None,
    stop: threading.Event | None = None,
) -> video.Summary:
    """Run an export over a video; arguments and errors as of ``holdsteady.run``."""
    video.check_sink(source, sink, how.overwrite)
    runner = ExportRunner(export)
    return video.run(source, sink, runner.step, how, on_cut=runner.reset, border=Arrays(), progress=progress, stop=stop)
