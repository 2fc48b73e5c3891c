"""What every sink of frames has in common."""

from abc import ABC, abstractmethod
from fractions import Fraction
from types import TracebackType
from typing import Self

from holdsteady.errors import VideoError

from .frame import VideoFrame


class Writer(ABC):
    """A sink of frames.

    As a context manager it finishes on a clean exit and on KeyboardInterrupt (what was written is then
    kept and playable), and discards everything on any other exception.

    Args:
        sink: Where the frames go, for messages.
        width, height: Size in pixels that every frame must have.
    """

    def __init__(self, sink: str, *, width: int, height: int) -> None:
        self.sink, self.width, self.height = sink, width, height
        self.count = 0

    def write(self, frame: VideoFrame) -> None:
        """Append a frame.

        Raises:
            VideoError: Its size is not that of this writer, or it can't be written. If the disk is full, what there was
                room for is kept where the message says, and nothing more can be written.
        """
        height, width = frame.pixels.shape[:2]
        if (width, height) != (self.width, self.height):
            raise VideoError(
                f"{self.sink}: frame {self.count} is {width}x{height}, but {self.width}x{self.height} is written"
            )
        self._write(frame)
        self.count += 1

    @abstractmethod
    def _write(self, frame: VideoFrame) -> None: ...

    @abstractmethod
    def finish(self, *, complete: bool = True, until: Fraction | None = None) -> None:
        """Finish the result and give it its name; without a frame there is no result.

        Args:
            complete: Whether all frames were written. If not, copied audio ends with the last frame.
            until: Time in seconds of the source up to which the last frame stands, if it was the source's last; None
                for one frame's usual time.

        Raises:
            VideoError: The rest can't be written; the result is discarded.
        """

    @abstractmethod
    def discard(self) -> None:
        """Delete what was written; an earlier result of the same name is untouched."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.finish(complete=kind is None)
        else:
            self.discard()
