"""The facts of a video stream, read from its container and its first decoded frame."""

import struct
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from .color import depth, has_alpha, is_clear
from .container import open_container, stated_end
from .frame import VideoInfo
from .orientation import orientation
from .side_data import side_data

_KEPT = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
# What PyAV can't hand on to an encoder or a container.
_UNKEPT = {
    "A53_CC": "closed captions",
    "DYNAMIC_HDR_PLUS": "HDR10+'s dynamic metadata",
    "DOVI_METADATA": "Dolby Vision's metadata",
    "SPHERICAL": "that it is spherical (360°)",
    "STEREO3D": "that it is stereoscopic (3D)",
}
# Formats whose every picture is decoded with alpha, seen or not.
_MAYBE_ALPHA = {"gif", "apng"}
_ABSURD = 100
# More slots a second than this are no rate of pictures; and some state twice theirs, that of fields, or a round one.
MOST_SLOTS, _UNSURE, _ROUND = 240, 0.05, 1.002
# Entries of an index that are looked at one by one.
_LONG = 500_000


def describe(
    source: str,
    container: InputContainer,
    stream: VideoStream,
    frame: av.VideoFrame,
    start: float | None,
    duration: float | None,
    chroma: str | None,
) -> VideoInfo:
    rate = frame_rate(stream)
    beside = side_data(frame)
    matrix = struct.unpack("=9i", beside["DISPLAYMATRIX"]) if "DISPLAYMATRIX" in beside else None
    rotation, mirrored = orientation(matrix)
    return VideoInfo(
        name=source,
        width=frame.width,
        height=frame.height,
        rate=rate,
        time_base=stream.time_base or 1 / rate,
        pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
        display_matrix=matrix,
        rotation=rotation,
        mirrored=mirrored,
        colorspace=int(frame.colorspace),
        color_range=int(frame.color_range),
        color_primaries=int(frame.color_primaries),
        color_trc=int(frame.color_trc),
        pix_fmt=frame.format.name,
        bits=depth(frame.format.name),
        start_time=Fraction(container.start_time or 0, av.time_base),
        frames=_count(container, stream, rate, start, duration),
        metadata=dict(container.metadata),
        stream_metadata=dict(stream.metadata),
        origin=_origin(stream, frame, start),
        has_alpha=_has_alpha(container, frame),
        interlaced=frame.interlaced_frame,
        side_data={name: beside[name] for name in _KEPT if name in beside},
        chroma_location=chroma if "420" in frame.format.name else None,
        fine_rate=_fine_rate(stream, rate, interlaced=frame.interlaced_frame),
        end=_end(source, container, stream),
        unkept=tuple(words for name, words in _UNKEPT.items() if name in beside),
    )


def frame_rate(stream: VideoStream) -> Fraction:
    """Frames per second on average; of a stream that states its time base as its rate, as DV does, by its guess."""
    average, guess = stream.average_rate, stream.guessed_rate
    if average and guess and average > _ABSURD * guess:
        return guess
    return average or guess or Fraction(25)


def _fine_rate(stream: VideoStream, rate: Fraction, *, interlaced: bool) -> Fraction | None:
    """The rate by which FFmpeg could tell all times, if that is one of pictures and not of fields."""
    fine = stream.base_rate
    if fine is None or interlaced or not rate * _ROUND < fine <= MOST_SLOTS or abs(fine / rate - 2) < _UNSURE:
        return None
    return fine


def _end(source: str, container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds at which the last picture ends, in formats that say for how long it stands."""
    name, base = container.format.name, stream.time_base or Fraction(1)
    if "matroska" in name:
        end = stated_end(stream)
        return None if end is None else Fraction(end).limit_denominator(10**6)
    if ("mp4" in name or name == "gif") and stream.duration:
        return ((stream.start_time or 0) + stream.duration) * base
    if name == "apng":  # tells it with each picture only
        try:
            with open_container(source) as again:
                packets = again.demux(video=0)
                return max((packet.pts + (packet.duration or 0)) * base for packet in packets if packet.pts is not None)
        except (FFmpegError, OSError, ValueError):  # a damaged one: what can be decoded is read all the same
            return None
    return None


def _origin(stream: VideoStream, first: av.VideoFrame, start: float | None) -> Fraction:
    """Seconds at which the stream begins."""
    pts = stream.start_time if start else first.pts
    return Fraction(0) if pts is None or stream.time_base is None else pts * stream.time_base


def _has_alpha(container: InputContainer, frame: av.VideoFrame) -> bool:
    """Whether frames are transparent. Where all are decoded so, as of GIF, the first tells."""
    if not has_alpha(frame.format.name):
        return False
    if container.format.name not in _MAYBE_ALPHA and frame.format.name != "pal8":
        return True
    return is_clear(frame)


def _count(
    container: InputContainer,
    stream: VideoStream,
    rate: Fraction,
    start: float | None,
    duration: float | None,
) -> int | None:
    """Estimated number of frames between start and start + duration."""
    total: float | None = stream.frames or None
    if container.format.name == "avi" and 0 < len(stream.index_entries) <= _LONG:  # empty ones repeat a frame
        total = sum(entry.size > 0 for entry in stream.index_entries)
    if total is None and stream.duration and stream.time_base:
        total = float(stream.duration * stream.time_base * rate)
    end = stated_end(stream) if total is None else None
    if end is not None:  # other streams can be longer, as subtitles without an end are
        total = (end - (stream.start_time or 0) * float(stream.time_base or 0)) * float(rate)
    if total is None and container.duration:
        total = container.duration / av.time_base * float(rate)
    if total is not None:
        total = max(1.0, total - (start or 0) * rate)
    if duration is not None:
        total = min(total or float("inf"), duration * float(rate))
    return None if total is None else round(total)
