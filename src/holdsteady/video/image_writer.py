"""Writing frames as a folder of PNG images."""

from pathlib import Path

import cv2

from holdsteady.errors import VideoError

from .container import reason
from .frame import VideoFrame
from .part import PartFolder
from .writer_base import Writer


class ImageWriter(Writer):
    """PNG images `000000.png`, … of 8 or 16 bits; the arguments are those of `open_writer`."""

    def __init__(self, sink: str, *, width: int, height: int) -> None:
        super().__init__(sink, width=width, height=height)
        try:
            self._part = PartFolder(Path(sink))
        except OSError as error:
            raise VideoError(f"{sink}: can't be written: {reason(error)}") from error

    def _write(self, frame: VideoFrame) -> None:
        _, data = cv2.imencode(".png", cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))
        try:
            (self._part.path / f"{self.count:06d}.png").write_bytes(data.tobytes())
        except OSError as error:
            raise VideoError(f"{self.sink}: image {self.count} can't be written: {reason(error)}") from error

    def finish(self, *, complete: bool = True) -> None:
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
        self._part.discard()
