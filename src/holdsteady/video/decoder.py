"""Decoding one video stream: from a given time, past what is damaged, with times of a continuous clock."""

import contextlib
import warnings
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.codec.context import Flags as CodecFlags
from av.error import FFmpegError
from av.format import Flags as FormatFlags
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from holdsteady.errors import VideoError

from .clock import FrameClock, Timeline, timed_streams
from .container import ends_early, exists, has_flag, main_video, open_container, reason

# Decoders may need pictures from before a keyframe (open GOPs), so land a little earlier than asked.
_SEEK_MARGIN = 1.0
# Where a clock may restart, a seek by time can land anywhere: packets are passed over instead, up to this long before.
_SKIP_MARGIN = 10.0
# Packets in a row without a picture that end the run: a file whose first keyframe is lost has up to 250 (x264).
PATIENCE = 300
# So many damaged packets are told one by one; the closing line has their number.
_TOLD = 3

# Decoders that pass over a picture they can't decode without an error.
_SILENT = {"hevc"}

_Packets = Iterator["av.Packet[VideoStream] | None"]


class _DamageError(Exception):
    """Something could not be decoded while several threads have frames in hand that can't be had any more."""


class Decoder:
    """The pictures of a source, see `main_video`.

    Everything that ffmpeg decodes is decoded: a damaged packet is skipped with a warning, and pictures with missing
    references are shown as the decoder concealed them.

    Attributes:
        container, stream: What is being read; both change when a file is opened again.
        skipped: Packets that could not be decoded so far.

    Raises:
        VideoError: The source can't be opened, or has no video stream.
    """

    def __init__(self, source: str) -> None:
        self.skipped = 0
        self._source = source
        self._is_file = exists(Path(source)) and Path(source).is_file()
        self._open(careful=not self._is_file)

    def _open(self, *, careful: bool) -> None:
        """Open the source, or open it again.

        Args:
            careful: Whether decoding goes on after damage. In a file it is then done without threads for frames, from
                which PyAV can't get what they had in hand.
        """
        self._careful = careful
        self.container = open_container(self._source)
        try:
            self.stream = self._choose()
        except BaseException:
            self.container.close()
            raise
        self._base = float(self.stream.time_base or 1)
        self._context = _decoder_of(self.stream)
        self._context.thread_type = "SLICE" if careful and self._is_file else "AUTO"
        self._context.flags |= CodecFlags.output_corrupt.value
        self._timeline = Timeline.of(self.container)
        # Without display times in the file FFmpeg guesses, and is late by as many frames as the decoder holds back.
        self._is_raw = has_flag(self.container, FormatFlags.no_timestamps)
        self._counts = self._is_raw or self.container.format.name == "avi"

    def _choose(self) -> VideoStream:
        stream = main_video(self.container)
        if stream is None:
            raise VideoError(f"{self._source}: has no video stream")
        if stream.codec_context is None:
            raise VideoError(f"{self._source}: its pictures are of a codec that FFmpeg does not know here; convert it")
        return stream

    @property
    def jumped(self) -> bool:
        """Whether the file's clock jumped so far."""
        return self._timeline.moved

    def close(self) -> None:
        """Close the source."""
        self.container.close()

    def time(self, pts: int | None, index: int) -> float:
        """Seconds of a frame; one without a time is placed by its number."""
        if pts is None:
            return index / float(self.stream.guessed_rate or 25)
        return pts * self._base

    def frames(self, begin: float | None) -> Iterator[av.VideoFrame]:
        """Frames in the order of display, from some time before `begin` seconds; None for the first.

        Raises:
            VideoError: After the last good frame: the file is truncated, can't be read any further, or `PATIENCE`
                packets in a row are damaged.
        """
        count, last = 0, float("-inf")
        try:
            for frame in self._from(begin):
                yield frame
                count += 1
                last = self.time(frame.pts, count)
            return
        except _DamageError:
            self._reopen(careful=True)
        for frame in self._from(last if count else None):
            count += 1
            if self.time(frame.pts, count) > last:
                yield frame

    def _from(self, begin: float | None) -> Iterator[av.VideoFrame]:
        """Decoded frames from some time before `begin`: by a seek if the file allows, else all."""
        if begin is None or self._is_raw or (self._counts and self._context.has_b_frames):
            yield from self._decode(self._packets())
            return
        skipped = self.skipped
        first = None
        if self._is_file and has_flag(self.container, FormatFlags.ts_discont):
            frames = self._decode(self._packets(begin - _SKIP_MARGIN))
            first = next(frames, None)
        else:
            with contextlib.suppress(FFmpegError):
                target = int((begin - _SEEK_MARGIN) / self._base)
                self.container.seek(target, stream=self.stream)
                frames = self._decode(self._packets())
                first = next(frames, None)
        # A poor index can land too late, and without times nothing tells where it landed.
        if (
            first is None
            or first.pts is None
            or first.is_corrupt
            or self.time(first.pts, 0) > begin
            or self.skipped > skipped
        ):
            self.skipped = skipped
            self._reopen(careful=self._careful)
            yield from self._decode(self._packets())
        else:
            yield first
            yield from frames

    def _reopen(self, *, careful: bool) -> None:
        self.container.close()
        self._open(careful=careful)

    def _decode(self, packets: _Packets) -> Iterator[av.VideoFrame]:
        clock = FrameClock()
        waiting: deque[int] = deque()  # times of packets whose frames are not out yet, where frames are counted
        due = _Due() if self._context.name in _SILENT else None
        sent = received = in_a_row = 0
        try:
            for packet in packets:
                if packet is not None:
                    sent += 1
                    if self._counts:
                        waiting.append(self._counted(packet, sent - 1))
                try:
                    frames = self._context.decode(packet)
                except FFmpegError as error:
                    if not self._careful:
                        raise _DamageError from error
                    if packet is not None:
                        in_a_row += 1
                        time = packet.pts if packet.pts is not None else packet.dts
                        self._skip(time, reason(error), in_a_row)
                        if waiting:
                            waiting.pop()
                    continue
                if due is not None:
                    for time in due.passed_over(packet, frames):
                        if not self._careful:
                            raise _DamageError
                        self._skip(time, "it refers to others that are missing")
                received += len(frames)
                in_a_row = 0 if frames else in_a_row
                for frame in frames:
                    frame.pts = waiting.popleft() if waiting else clock.time(frame)
                    yield frame
                if packet is None and received < sent and not self._careful:
                    raise _DamageError
        except (FFmpegError, OSError) as error:
            if isinstance(error, VideoError):
                raise
            raise VideoError(f"{self._source}: decoding failed: {reason(error)}") from error

    def _counted(self, packet: "av.Packet[VideoStream]", number: int) -> int:
        """The time of the frame that is shown as the `number`-th, in a file without display times."""
        if packet.dts is not None:
            return packet.dts
        base = self.stream.time_base or Fraction(1, 25)
        return number * (packet.duration or round(1 / (self.stream.guessed_rate or 25) / base))

    def _skip(self, pts: int | None, why: str, in_a_row: int = 1) -> None:
        self.skipped += 1
        where = "a time that is not known" if pts is None else f"{self.time(pts, 0):.2f} s"
        if in_a_row >= PATIENCE:
            raise VideoError(
                f"{self._source}: {PATIENCE} packets in a row can't be decoded, the last at {where}: {why}"
            )
        if self.skipped <= _TOLD:
            more = "; further ones are only counted" if self.skipped == _TOLD else ""
            warnings.warn(f"{self._source}: a damaged packet at {where} is skipped: {why}{more}", stacklevel=2)

    def _packets(self, begin: float | None = None) -> _Packets:
        """Packets of the stream, and None to make the decoder hand out what it still holds.

        Args:
            begin: Pass over all before the first keyframe from this time on; None for none.

        Raises:
            OSError: After that, if the file is truncated or can't be read any further.
        """
        last = end = 0
        partial = None
        streams = timed_streams(self.container) if self._is_file else [self.stream]
        try:
            for item in self.container.demux(*streams):
                if item.size == 0 and item.dts is None:
                    if item.stream_index == self.stream.index:
                        break
                    continue
                written = max(item.dts or 0, item.pts or 0)
                self._timeline.close_up(item)
                if item.stream_index != self.stream.index:
                    continue
                packet = cast("av.Packet[VideoStream]", item)
                if partial is not None:  # damaged, but not the end: let the decoder conceal it
                    yield partial
                last = max(last, written)
                end = max(end, written + (packet.duration or 0))
                partial = None
                if begin is not None:
                    time = packet.dts if packet.dts is not None else packet.pts
                    if not packet.is_keyframe or (time is not None and self.time(time, 0) < begin):
                        continue
                    begin = None
                if packet.is_corrupt:
                    partial = packet
                else:
                    yield packet
        except (FFmpegError, OSError):
            yield None
            raise
        yield None
        if partial is not None or ends_early(self.container, self.stream, last, end):
            raise OSError(0, "the file is truncated")


class _Due:
    """Times of packets whose pictures have not come out of the decoder."""

    def __init__(self) -> None:
        self._times: dict[int, bool] = {}  # whether it is that of a keyframe
        # Pictures before the first one can belong to what lies before a seek; keyframes belong to none.
        self._first: int | None = None

    def passed_over(self, packet: "av.Packet[VideoStream] | None", frames: list[av.VideoFrame]) -> list[int]:
        """Take a packet and what the decoder gave for it; the times of pictures that now can't come any more."""
        if packet is not None and packet.pts is not None and not packet.is_discard:
            self._times[packet.pts] = packet.is_keyframe
        shown = [frame.pts for frame in frames if frame.pts is not None]
        for time in shown:
            self._times.pop(time, None)
        if self._first is None and shown:
            self._first = shown[0]
        end = max(shown, default=None)
        if packet is None:
            gone = sorted(self._times)
        else:
            gone = [] if end is None else sorted(time for time in self._times if time < end)
        is_key = {time: self._times.pop(time) for time in gone}
        return [time for time in gone if self._first is not None and (time > self._first or is_key[time])]


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The decoder for a stream. FFmpeg's own of VP8 and VP9 pass over transparency."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get("alpha_mode") != "1" or name not in av.codecs_available:
        return stream.codec_context
    context = cast(VideoCodecContext, VideoCodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    return context
