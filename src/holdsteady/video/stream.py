"""Decoding the frames of a video stream, exactly from start to start + duration."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Self

import av
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from holdsteady.errors import VideoError

from .clock import FrameClock
from .color import to_rgb
from .container import open_container, reason
from .describe import describe
from .frame import VideoFrame

# Decoders may need pictures from before a keyframe (open GOPs), so land a little earlier than asked.
_SEEK_MARGIN = 1.0
_EPSILON = 1e-6


class StreamReader:
    """Frames of the first video stream of a container, see `open_video`."""

    def __init__(self, source: str, start: float | None, duration: float | None) -> None:
        self._source, self._start, self._duration = source, start, duration
        self._selected_count = 0
        self._container = open_container(source)
        try:
            self._stream = self._choose()
            # Some facts (rotation, colour range) are only certain once a frame is decoded.
            self._frames = self._selected()
            self._next = next(self._frames, None)
            if self._next is None:
                after = f" after {start:g} s; it is shorter than that" if start else ""
                raise VideoError(f"{source}: has no frame that can be decoded{after}")
            self.info = describe(source, self._container, self._stream, self._next, start, duration)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        info = self.info
        frame, self._next = self._next, None
        number = 0
        while frame is not None:
            if (frame.width, frame.height) != (info.width, info.height):
                raise VideoError(
                    f"{info.name}: the size changes from {info.width}x{info.height} to "
                    f"{frame.width}x{frame.height} after {number} frames; split the file there"
                )
            yield VideoFrame(to_rgb(frame, info.colorspace, info.color_range), frame.pts, info.time_base)
            number += 1
            frame = next(self._frames, None)

    def _selected(self) -> Iterator[av.VideoFrame]:
        """Decoded frames within start and duration."""
        origin = self._time(self._stream.start_time, 0)
        begin = origin + (self._start or 0.0) - _EPSILON
        for index, frame in enumerate(self._from(begin)):
            time = self._time(frame.pts, index)
            if self._duration is not None and time >= begin + self._duration:
                return
            if time >= begin:
                self._selected_count += 1
                yield frame

    def _from(self, begin: float) -> Iterator[av.VideoFrame]:
        """Decoded frames from some time before `begin`: by a seek if the file allows, else all."""
        if not self._start:
            yield from self._decode()
            return
        try:
            target = int((begin - _SEEK_MARGIN) / float(self._stream.time_base or 1))
            self._container.seek(target, stream=self._stream)
        except FFmpegError:
            yield from self._decode()
            return
        frames = self._decode()
        first = next(frames, None)
        # A poor index can land too late, and without times nothing tells where it landed.
        if first is None or first.pts is None or self._time(first.pts, 0) > begin:
            self._reopen()
            frames = self._decode()
        else:
            yield first
        yield from frames

    def _reopen(self) -> None:
        self._container.close()
        self._container = open_container(self._source)
        self._stream = self._choose()

    def _choose(self) -> VideoStream:
        """The first video stream that is no cover picture."""
        for stream in self._container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                stream.thread_type = "AUTO"
                return stream
        raise VideoError(f"{self._source}: has no video stream")

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Decoded frames; a VideoError follows the last good one if the file is damaged."""
        clock = FrameClock()
        try:
            for packet in self._packets():
                for frame in self._stream.decode(packet):
                    frame.pts = clock.time(frame)
                    yield frame
        except (FFmpegError, OSError) as error:
            raise VideoError(
                f"{self._source}: decoding failed after {self._selected_count} frames: {reason(error)}"
            ) from error

    def _packets(self) -> Iterator["av.Packet[VideoStream] | None"]:
        """Packets of the stream, and None to make the decoder hand out what it still holds.

        Raises:
            OSError: After that, if the file is truncated or can't be read any further.
        """
        last = 0
        partial = None
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0 and packet.dts is None:
                    break
                if partial is not None:  # damaged, but not the end: the decoder shall conceal it
                    yield partial
                last = max(last, packet.dts or 0, packet.pts or 0)
                partial = packet if packet.is_corrupt else None
                if partial is None:
                    yield packet
        except (FFmpegError, OSError):
            yield None
            raise
        yield None
        if partial is not None or self._ends_early(last):
            raise OSError(0, "the file is truncated")

    def _ends_early(self, last: int) -> bool:
        """Whether the header promises pictures after the packet at time `last`."""
        formats = self._container.format.name
        if "mp4" in formats:
            index = self._stream.index_entries
            return len(index) > 0 and index[-1].timestamp > last
        if "matroska" in formats:
            text = self._stream.metadata.get("DURATION")
            return text is not None and _seconds(text) > self._time(last, 0) + 0.5
        return False

    def _time(self, pts: int | None, index: int) -> float:
        """Seconds of a frame; one without a time is placed by its number."""
        if pts is None:
            return index / float(self._stream.guessed_rate or 25)
        return float(pts * (self._stream.time_base or Fraction(1)))


def _seconds(text: str) -> float:
    """Seconds of a Matroska duration such as `00:01:02.5`."""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
