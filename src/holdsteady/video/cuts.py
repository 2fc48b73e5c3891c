"""Finding the first frames of new shots, where a model's memory has to be cleared."""

import warnings
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from holdsteady.errors import ConfigError

from .frame import Pixels

# Noise and holes change every pixel without being cuts. They average out at this width, where shots still differ.
_WIDTH = 16
# Weights of hue, saturation and value: hue is arbitrary where the frame is grey, so it counts by half.
_WEIGHTS = np.array([0.5, 1.0, 1.0]) / 2.5
_THRESHOLD = 25.0
# A flickering lamp or shutter is not a cut either: two shots differ at equal brightness too.
_BRIGHTNESS = 110.0


class CutDetector:
    """Tells, frame by frame, whether a new shot begins. Feed every frame once, in order.

    A cut is a jump of the mean absolute difference in HSV between neighbouring frames, as in PySceneDetect's content
    detector; here of thumbnails, and of the same thumbnails at equal brightness.
    """

    def __init__(self) -> None:
        self._previous: list[npt.NDArray[np.float32]] = []

    def is_cut(self, pixels: Pixels) -> bool:
        """True if this frame is the first of a new shot; never for the very first frame.

        Args:
            pixels: RGB (H, W, 3) uint8 or uint16.
        """
        height, width = pixels.shape[:2]
        small: Pixels = pixels
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            small = cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        if small.dtype == np.uint16:
            small = (small >> 8).astype(np.uint8)
        evened = np.clip(small * (_BRIGHTNESS / max(small.mean(), 1.0)), 0, 255).astype(np.uint8)
        current = [cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32) for image in (small, evened)]
        scores = [
            float(np.abs(now - before).mean(axis=(0, 1)) @ _WEIGHTS)
            for now, before in zip(current, self._previous, strict=False)
        ]
        self._previous = current
        return bool(scores) and min(scores) >= _THRESHOLD


def read_cuts(path: str | Path) -> frozenset[int]:
    """Frame numbers from a text file: one a line, counted from 0; `#` starts a comment.

    Raises:
        ConfigError: The file can't be read, or a line is not a frame number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the file of cuts can't be read: {error}") from error
    cuts = set()
    for number, line in enumerate(text.splitlines(), 1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        if not (content.isascii() and content.isdigit()):
            raise ConfigError(f"{path}, line {number}: {content!r} is not a frame number (0, 1, 2, …)")
        cuts.add(int(content))
    return frozenset(cuts)


class Cuts:
    """Tells whether a frame begins a new shot, from its number and its pixels. Call it with each frame once, in order.

    A shot that began at a frame that was left out begins at the next one.

    Args:
        spec: See `open_cuts`.
    """

    def __init__(self, spec: str) -> None:
        self._spec, self._frames = spec, 0
        self._detector = CutDetector() if spec == "auto" else None
        self._listed = frozenset[int]() if spec in ("auto", "off") else read_cuts(spec)

    def __call__(self, number: int, pixels: Pixels) -> bool:
        passed, self._frames = range(self._frames, number + 1), number + 1
        return not self._listed.isdisjoint(passed) if self._detector is None else self._detector.is_cut(pixels)

    def warn_of_rest(self) -> None:
        """Say which numbers of the file lie past the last frame. Call it when all frames were seen."""
        rest = sorted(number for number in self._listed if number >= self._frames)
        if rest:
            shown = ", ".join(str(number) for number in rest[:5]) + (", …" if len(rest) > 5 else "")
            warnings.warn(
                f"{self._spec}: no frame has the number {shown}: there are {self._frames}, counted from 0 at the "
                "start of the part that is processed",
                stacklevel=2,
            )


def open_cuts(spec: str) -> Cuts:
    """What tells whether a frame begins a new shot, from its number and its pixels.

    Args:
        spec: `auto` to detect cuts in the pixels, `off` for none, else a file for `read_cuts`. Numbers
            count the frames that are read, from 0 at the start of the part that is processed.

    Raises:
        ConfigError: The file of cuts is missing or malformed.
    """
    return Cuts(spec)
