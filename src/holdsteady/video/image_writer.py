"""Writing frames as a folder of PNG images."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from holdsteady.errors import VideoError

from .color import special_colours
from .container import is_full, reason
from .frame import VideoFrame, VideoInfo
from .part import PartFolder, keep_aside
from .writer_base import Writer


class ImageWriter(Writer):
    """PNG images of 8 or 16 bits, named as the source's are, else `000000.png`, …

    The arguments are those of `open_writer`.
    """

    def __init__(self, sink: str, *, width: int, height: int) -> None:
        super().__init__(sink, width=width, height=height)
        self._names: set[str] = set()
        self._is_kept = False
        try:
            self._part = PartFolder(Path(sink))
        except OSError as error:
            raise VideoError(f"{sink}: can't be written: {reason(error)}") from error

    def _write(self, frame: VideoFrame) -> None:
        picture = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR)
        if frame.alpha is not None:
            picture = np.dstack([picture, frame.alpha])
        _, data = cv2.imencode(".png", picture)
        path = self._part.path / self._name(frame)
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            path.unlink(missing_ok=True)
            self._is_kept = is_full(error) and self.count > 0
            kept = keep_aside(self._part, self.count) if self._is_kept else ""
            raise VideoError(f"{self.sink}: image {self.count} can't be written: {reason(error)}{kept}") from error

    def _name(self, frame: VideoFrame) -> str:
        """A name that no image has yet, not even on a disk that ignores case: a.png and A.jpg become a.png, A_2.png."""
        stem = f"{self.count:06d}" if frame.name is None else frame.name
        name, number = stem, 1
        while name.casefold() in self._names:
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name.casefold())
        return f"{name}.png"

    def finish(self, *, complete: bool = True, until: Fraction | None = None) -> None:
        if not self.count:
            self.discard()
            return
        try:
            self._part.publish()
        except OSError as error:
            raise VideoError(
                f"{self.sink}: the images can't be moved there: {reason(error)}; they are in {self._part.path}"
            ) from error

    def discard(self) -> None:
        if not self._is_kept:
            self._part.discard()


def images_lose(info: VideoInfo) -> list[str]:
    """What images can't hold of the pictures of a source, in words."""
    shape = [] if info.pixel_aspect == 1 else [f"the shape of its pixels ({info.pixel_aspect})"]
    return [*shape, *special_colours(info), *info.unkept]
