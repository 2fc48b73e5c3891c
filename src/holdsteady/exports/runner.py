"""An export over a video, by ONNX Runtime and without PyTorch."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from holdsteady import video
from holdsteady.exports.display import Display
from holdsteady.exports.manifest import Manifest
from holdsteady.exports.sizes import cropped, largest, padded_to, resized
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

        It has the frame's size times the card's scale, and where that is not stated, no less than the frame's.

        Raises:
            ExportError: the export takes frames of another size.
        """
        manifest = self._step.manifest
        height, width = frame.shape[-2:]
        padded = padded_to(frame, manifest.multiple, manifest.least)
        if self._state is None:
            self._state = self._step.new_state(*padded.shape)
        output, self._state = self._step(padded, self._state)
        output = output[:, None] if output.ndim == 3 else output
        shown = cropped(output, padded.shape[-2:], (height, width))
        natural = 1.0 if _is_stretched(manifest) else max(1.0, output.shape[-2] / padded.shape[-2])
        scale = manifest.card.scale or natural
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if manifest.kind in ("classes", "labels"):
            return self._display(largest(shown, size))
        return self._display(resized(shown, size))

    @property
    def strength(self) -> float:
        """How much of the stabilization is in the export."""
        return self._step.manifest.strength

    def reset(self) -> None:
        """Forget what was seen: a new shot begins."""
        self._state = None
        self._display.reset()


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


def _is_stretched(manifest: Manifest) -> bool:
    """Whether the output has one size whatever the frame's is."""
    frame, output = manifest.frame.shape[-2:], manifest.output.shape[-2:]
    if all(isinstance(side, int) for side in (*frame, *output)):
        return int(output[0]) * int(frame[1]) != int(output[1]) * int(frame[0])
    return all(isinstance(side, int) for side in output)
