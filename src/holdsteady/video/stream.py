"""The frames of a video stream as RGB pictures, exactly from start to start + duration."""

import warnings
from collections.abc import Iterator
from typing import Self

import av
from av.error import FFmpegError

from holdsteady.errors import VideoError

from .chroma import chroma_location
from .color import MATRICES, is_clear, is_known, matrix, to_alpha, to_rgb
from .container import reason
from .decoder import Decoder
from .deinterlace import deinterlaced
from .describe import describe
from .frame import VideoFrame, VideoInfo

_EPSILON = 1e-6


class StreamReader:
    """Frames of the first video stream of a container, see `open_video`."""

    def __init__(self, source: str, start: float | None, duration: float | None, *, deinterlace: bool = False) -> None:
        self._start, self._duration = start, duration
        self._decoder = Decoder(source)
        self.concealed = 0
        try:
            frames = self._selected()
            self._frames = deinterlaced(frames, source) if deinterlace else frames
            # Told by FFmpeg's log, which has to be silent otherwise: decoders say in it what is damaged.
            chroma = chroma_location(self._decoder.container, self._decoder.stream)
            # Some facts (rotation, colour range, alpha) are only certain once a frame is decoded.
            self._next = next(self._frames, None)
            if self._next is None:
                why = "it is shorter than that" if duration is None else f"or none begins within {duration:g} s"
                after = f" after {start:g} s; {why}" if start else ""
                raise VideoError(f"{source}: has no frame that can be decoded{after}")
            stream, container = self._decoder.stream, self._decoder.container
            self.info = describe(source, container, stream, self._next, start, duration, chroma)
            _warn_of_matrix(self.info)
        except BaseException:
            self._decoder.close()
            raise

    @property
    def skipped(self) -> int:
        """Damaged packets that were passed over so far."""
        return self._decoder.skipped

    @property
    def jumped(self) -> bool:
        """Whether the file's clock jumped so far, and times were moved."""
        return self._decoder.jumped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._decoder.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        info = self.info
        frame, self._next = self._next, None
        number = 0
        warned = cleared = False
        while frame is not None:
            if (frame.width, frame.height) != (info.width, info.height):
                raise VideoError(
                    f"{info.name}: the size changes from {info.width}x{info.height} to "
                    f"{frame.width}x{frame.height} after {number} frames; split the file there"
                )
            if frame.interlaced_frame and not warned:
                warned = True
                warnings.warn(interlaced_warning(info.name), stacklevel=2)
            try:
                pixels = to_rgb(frame, info.colorspace, info.color_range)
                alpha = to_alpha(frame) if info.has_alpha else None
                if not info.has_alpha and not cleared and is_clear(frame):
                    cleared = True
                    warnings.warn(
                        f"{info.name}: its transparency from frame {number} on is left out, for the first has none",
                        stacklevel=2,
                    )
            except FFmpegError as error:
                raise VideoError(
                    f"{info.name}: pictures of {frame.format.name} can't be converted to RGB: {reason(error)}"
                ) from error
            yield VideoFrame(pixels, frame.pts, info.time_base, alpha)
            number += 1
            frame = next(self._frames, None)

    def _selected(self) -> Iterator[av.VideoFrame]:
        """Decoded frames within start and duration."""
        decoder = self._decoder
        begin = decoder.time(decoder.stream.start_time, 0) + (self._start or 0.0) - _EPSILON
        for index, frame in enumerate(decoder.frames(begin if self._start else None)):
            time = decoder.time(frame.pts, index)
            if self._duration is not None and time >= begin + self._duration:
                return
            if time >= begin:
                self.concealed += frame.is_corrupt
                yield frame


def _warn_of_matrix(info: VideoInfo) -> None:
    if not is_known(info.colorspace, info.pix_fmt):
        name = MATRICES.get(info.colorspace, f"number {info.colorspace}")
        warnings.warn(
            f"{info.name}: its colours are stored by the matrix {name}, which can't be converted; they are taken for "
            f"{MATRICES[matrix(info.colorspace, info.height)]}, and look wrong",
            stacklevel=2,
        )


def interlaced_warning(name: str) -> str:
    """What to tell of a source that is interlaced."""
    return f"{name}: is interlaced: each frame holds two moments, which a model takes for one; give --deinterlace"
