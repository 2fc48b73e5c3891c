"""Putting the finished pictures and what is carried beside them into one file.

The pictures lie in a file of their own by then, whole and playable, so that nothing that is carried can cost them:
what the container refuses, in its header, in mid-file or in its trailer, is converted or left out, and the file is
written again. What is carried costs no time to speak of, for nothing but sound is decoded.
"""

import errno
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from .clock import Timeline, timed_streams
from .container import TAG_ERRORS, is_full, open_container, reason
from .copies import FORMATS, QUICKTIME, add_copy
from .lasting import lasting
from .plan import Fate, StreamPlan, converted, is_written_anew
from .span import Span
from .tracks import Track, open_track

# Seconds by which the packets of one stream can lag behind those of another in a file.
_INTERLEAVING = 5


@dataclass(frozen=True)
class Cargo:
    """What is to be carried beside the pictures.

    Attributes:
        source: Path of the file that it comes from, or None if nothing is carried.
        suffix: Extension of the result, such as `.mp4`.
        frames: How many pictures there are.
        rate: Frames per second of the pictures.
        length: Seconds from the begin of the first picture to the end of the last; None if they stand equally long.
        metadata: Tags of the container.
        options: Options of its muxer.
    """

    source: str | None
    suffix: str
    frames: int
    rate: Fraction
    length: Fraction | None
    metadata: Mapping[str, str]
    options: Mapping[str, str]


class LostPicturesError(Exception):
    """Not all pictures are in their file: FFmpeg's muxers don't always tell that a disk was full at the end."""


class _TrackError(Exception):
    """A track can't be carried, for the reason that is the cause."""

    def __init__(self, plan: StreamPlan) -> None:
        super().__init__(str(plan))
        self.plan = plan


def carry(pictures: Path, target: Path, plans: list[StreamPlan], cargo: Cargo, span: Span) -> list[StreamPlan]:
    """Write pictures and what is planned beside them into one file.

    Args:
        pictures: The file with the pictures.
        target: The file to write.
        plans: What is to become of the source's streams.
        cargo: Where they come from, and the facts of the result.
        span: The part of the source that is carried.

    Returns:
        What has become of the streams: where a plan could not be kept, the next best.

    Raises:
        FFmpegError, OSError, ValueError: The file can't be written even without the streams; the pictures are whole.
        LostPicturesError: The pictures are not whole.
    """
    while True:
        try:
            _check(target, _write(pictures, target, plans, cargo, span))
            return plans
        except _TrackError as error:
            refused = {error.plan.index: str(reason(cast(Exception, error.__cause__)))}
        except (FFmpegError, OSError, ValueError) as error:
            going = [plan for plan in plans if plan.fate is not Fate.LEFT_OUT]
            if not going or is_full(error):
                raise
            # Which stream it is does not show, for packets wait in the muxer: each is tried alone.
            guilty = [plan for plan in going if _fails_alone(pictures, plan, cargo, span)]
            refused = {plan.index: reason(error) for plan in guilty or going}
        plans = [
            converted(plan, cargo.suffix, refused[plan.index]) if plan.index in refused else plan for plan in plans
        ]


def _check(target: Path, written: int) -> None:
    """Raise OSError where a file holds fewer pictures than were put into it: the disk was full at the end."""
    there = 0
    with suppress(FFmpegError, OSError), av.open(str(target), metadata_errors=TAG_ERRORS) as container:
        for packet in container.demux(video=0):
            there += packet.size > 0 and not packet.is_corrupt
    if there < written:
        raise OSError(errno.ENOSPC, f"only {there} of {written} frames could be written")


def _fails_alone(pictures: Path, plan: StreamPlan, cargo: Cargo, span: Span) -> bool:
    try:
        _write(pictures, _Nowhere(), [plan], cargo, span)
    except (FFmpegError, OSError, ValueError, _TrackError):
        return True
    return False


class _Nowhere(io.RawIOBase):
    """A file that forgets what is written into it."""

    def __init__(self) -> None:
        self._position = self._end = 0

    def write(self, data: Any) -> int:
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        return self._position


def _write(pictures: Path, target: "Path | _Nowhere", plans: list[StreamPlan], cargo: Cargo, span: Span) -> int:
    """Write a file; returns how many pictures were put into it."""
    with ExitStack() as stack:
        film = stack.enter_context(av.open(str(pictures), metadata_errors=TAG_ERRORS))
        file: Any = str(target) if isinstance(target, Path) else target
        output: OutputContainer = stack.enter_context(
            av.open(
                file,
                "w",
                format=FORMATS[cargo.suffix],
                container_options=dict(cargo.options),
                metadata_errors=TAG_ERRORS,
            )
        )
        output.metadata.update(cargo.metadata)
        stream = film.streams.video[0]
        copy = cast(VideoStream, add_copy(output, stream, cargo.suffix))
        copy.codec_context.framerate = cargo.rate
        going = [plan for plan in plans if plan.fate is not Fate.LEFT_OUT]
        source = stack.enter_context(open_container(cargo.source)) if cargo.source is not None and going else None
        beside = None if source is None else _load(source, going, output, cargo, span)
        written = 0
        packets: Iterator[av.Packet[VideoStream]]
        packets = (packet for packet in film.demux(stream) if packet.size or packet.dts is not None)
        if cargo.length is not None and cargo.suffix in QUICKTIME:
            packets = lasting(packets, pictures, cargo.length)
        for packet in packets:
            written += 1
            if beside is not None:
                time = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base
                beside.write_until(time + span.shift)
            packet.stream = copy
            output.mux(packet)
        if beside is not None:
            beside.write_until(None)
        if written < cargo.frames:
            raise LostPicturesError(f"only {written} of {cargo.frames} frames could be written")
    return written


def _load(
    source: InputContainer, plans: list[StreamPlan], output: OutputContainer, cargo: Cargo, span: Span
) -> "_Beside":
    """Add all that is planned to a container, and write its header."""
    tracks: dict[int, Track] = {}
    covers: list[av.Packet[Stream]] = []
    for plan in plans:
        try:
            if plan.kind == "chapters":
                output.set_chapters(_chapters(source, span))
            elif plan.kind == "cover":
                covers.extend(_cover(source.streams[plan.index], output, cargo))
            elif plan.kind == "attachment":
                _attach(source.streams[plan.index], output)
            elif not is_written_anew(source, source.streams[plan.index]):
                tracks[plan.index] = open_track(plan, source.streams[plan.index], output, span, cargo.suffix)
        except (FFmpegError, ValueError) as error:
            raise _TrackError(plan) from error
    output.start_encoding()
    output.mux(covers)
    return _Beside(source, tracks, output, span)


def _attach(stream: Stream, output: OutputContainer) -> None:
    tags = stream.metadata
    attachment = cast(AttachmentStream, stream)
    output.add_attachment(
        tags.get("filename", "attachment"), tags.get("mimetype", "application/octet-stream"), attachment.data
    )


def _cover(stream: Stream, output: OutputContainer, cargo: Cargo) -> Iterator["av.Packet[Stream]"]:
    """Add a cover picture; gives the packet to write where it is not an attachment."""
    with open_container(cargo.source or "") as container:
        packet = next(container.demux(container.streams[stream.index]))
    if cargo.suffix == ".mkv":
        kind = "jpeg" if stream.codec_context.name == "mjpeg" else stream.codec_context.name
        tags = {"filename": f"cover.{kind}", "mimetype": f"image/{kind}", **stream.metadata}
        output.add_attachment(tags["filename"], tags["mimetype"], bytes(packet))
        return
    packet.pts = packet.dts = 0
    packet.stream = add_copy(output, stream, cargo.suffix)
    yield packet


def _chapters(source: InputContainer, span: Span) -> list[Any]:
    """The chapters of a source, moved and cut to a part of it."""
    found = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, av.time_base)
        begin, end = chapter["start"] * base, chapter["end"] * base
        begin = begin if span.begin is None else max(begin, span.begin)
        end = end if span.end is None else min(end, span.end)
        if begin < end:
            ticks = {"start": round((begin - span.shift) / base), "end": round((end - span.shift) / base)}
            found.append({**chapter, **ticks, "time_base": base})
    return found


class _Beside:
    """The packets of the tracks, in step with the pictures."""

    def __init__(self, source: InputContainer, tracks: dict[int, Track], output: OutputContainer, span: Span) -> None:
        self._tracks, self._output, self._span = tracks, output, span
        self._packets = self._read(source)
        self._next = next(self._packets, None)

    def _read(self, source: InputContainer) -> Iterator["av.Packet[Stream]"]:
        """Packets of the tracks, with times of the clock that the pictures have."""
        if not self._tracks:
            return
        timeline = Timeline.of(source)
        read = {stream.index for stream in timed_streams(source)} | set(self._tracks)
        for stream in source.streams:
            if stream.index not in read and stream.type != "attachment":
                stream.discard = Discard.all
        try:
            for packet in source.demux(*(source.streams[index] for index in sorted(read))):
                if packet.dts is not None or packet.pts is not None:
                    timeline.close_up(packet)
                    if packet.stream_index in self._tracks:
                        yield packet
        except (FFmpegError, OSError):
            pass  # the file is truncated or damaged here, as its reader says

    def write_until(self, end: Fraction | None) -> None:
        """Mux what comes before a source time, or all that is left."""
        while self._next is not None:
            packet = self._next
            time = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base
            if end is not None and time >= end:
                return
            if self._span.end is not None and time >= self._span.end + _INTERLEAVING:
                self._next = None
                break
            self._next = next(self._packets, None)
            self._mux(self._tracks[packet.stream_index], packet)
        if end is None:
            for track in self._tracks.values():
                self._mux(track, None)

    def _mux(self, track: Track, packet: "av.Packet[Stream] | None") -> None:
        try:
            made = list(track.packets(packet))
        except (FFmpegError, ValueError) as error:
            raise _TrackError(track.plan) from error
        self._output.mux(made)
