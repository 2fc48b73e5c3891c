"""Finding the first frames of new shots, where a model's memory has to be cleared."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from holdsteady.errors import ConfigError

from .frame import Pixels

# Noise and holes change every pixel and are no cuts. They average out at this width, and shots differ there as much as
# ever; hues, which are anything where a picture is grey, count by half.
_WIDTH = 16
_HUE = 0.5
_THRESHOLD = 25.0
# A lamp or a shutter that flickers is no cut either: two shots differ at the same brightness too.
_BRIGHTNESS = 110.0


class CutDetector:
    """Tells, frame by frame, whether a new shot begins. Feed every frame once, in order."""

    def __init__(self) -> None:
        from scenedetect.detectors import ContentDetector

        weights = ContentDetector.Components(delta_hue=_HUE, delta_sat=1.0, delta_lum=1.0, delta_edges=0.0)
        # Of the pictures as they are, and all equally bright. Length 0 switches the flash filter off, which would
        # report a cut late or not at all.
        self._detectors = [ContentDetector(_THRESHOLD, min_scene_len=0, weights=weights) for _ in range(2)]
        self._number = 0

    def is_cut(self, pixels: Pixels) -> bool:
        """Whether this frame is the first of a new shot; never true for the first frame of all.

        Args:
            pixels: RGB (H, W, 3) uint8 or uint16.
        """
        from scenedetect import FrameTimecode

        height, width = pixels.shape[:2]
        small: Pixels = pixels
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            small = cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        if small.dtype == np.uint16:
            small = (small >> 8).astype(np.uint8)
        evened = np.clip(small * (_BRIGHTNESS / max(small.mean(), 1.0)), 0, 255).astype(np.uint8)
        # The rate only serves the detectors' messages.
        time = FrameTimecode(self._number, fps=25.0)
        self._number += 1
        found = [
            detector.process_frame(time, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            for detector, picture in zip(self._detectors, (small, evened), strict=True)
        ]
        return all(found)


def read_cuts(path: str | Path) -> frozenset[int]:
    """Frame numbers from a text file: one a line, counted from 0; `#` starts a comment.

    Raises:
        ConfigError: The file can't be read, or a line is not a frame number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
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


def open_cuts(spec: str) -> Callable[[int, Pixels], bool]:
    """A function that tells whether a frame begins a new shot, from its number and its pixels.

    Args:
        spec: `auto` to detect cuts in the pixels, `off` for none, else a file for `read_cuts`. Numbers
            count the frames that are read, from 0 at the start of the part that is processed.

    Raises:
        ConfigError: The file of cuts is missing or malformed.
    """
    if spec == "off":
        return lambda number, pixels: False  # noqa: ARG005
    if spec == "auto":
        detector = CutDetector()
        return lambda number, pixels: detector.is_cut(pixels)  # noqa: ARG005
    cuts = read_cuts(spec)
    return lambda number, pixels: number in cuts  # noqa: ARG005
