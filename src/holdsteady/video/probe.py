"""What a source is, and what becomes of it in a sink: the facts and decisions that reader and writer work by."""

import itertools
import struct
import warnings
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.video.reformatter import ColorPrimaries, ColorTrc

from holdsteady.errors import VideoError

from .animation import AnimationReader
from .codecs import choose_encoding
from .color import MATRICES, UNSPECIFIED
from .container import open_container
from .decoder import Decoder
from .frame import VideoInfo
from .hdr import LIGHT, MASTERING, mastering
from .image_writer import images_lose
from .orientation import straightened
from .plan import StreamPlan, plan_streams, warn_about
from .reader import open_video
from .sink import CONTAINERS, SinkKind, keeps_rotation, sink_kind
from .slots import lost_times
from .stream import StreamReader, interlaced_warning
from .video_writer import left_out

# How much of a source is looked at to tell whether its rate varies, and whether it is interlaced.
_PACKETS, _FRAMES = 300, 30
# Matroska rounds times to a millisecond, so that steps differ by one.
_UNEVEN = 0.0025
_RANGES = {1: "limited", 2: "full"}


@dataclass(frozen=True)
class Pictures:
    """The facts of the pictures of a source.

    Attributes:
        codec, profile: FFmpeg's names; empty for image files.
        width, height: As stored, in pixels.
        shown_width, shown_height: As seen: upright, with square pixels.
        rotation, mirrored: See `VideoInfo`.
        pixel_aspect: Width of a pixel by its height.
        rate: Frames per second on average.
        variable_rate: Whether the first frames stand for different times; None if there are no times.
        frames: Their number, as far as known or estimated.
        pixel_format, bits: FFmpeg's name, and bits per component.
        alpha, interlaced: Whether there is transparency, and whether frames hold two fields.
        range, matrix, primaries, transfer, chroma_location: Colour tags by FFmpeg's names; None if not tagged.
        mastering_display, light_levels: HDR10's facts, or None.
    """

    codec: str
    profile: str
    width: int
    height: int
    shown_width: int
    shown_height: int
    rotation: int
    mirrored: bool
    pixel_aspect: Fraction
    rate: Fraction
    variable_rate: bool | None
    frames: int | None
    pixel_format: str
    bits: int
    alpha: bool
    interlaced: bool
    range: str | None
    matrix: str | None
    primaries: str | None
    transfer: str | None
    chroma_location: str | None
    mastering_display: dict[str, Any] | None
    light_levels: dict[str, int] | None


@dataclass(frozen=True)
class Stream:
    """A stream beside the pictures: what it is, and what becomes of it. See `StreamPlan` for what is not told here.

    Attributes:
        language, title: Its tags, or empty.
    """

    index: int
    kind: str
    codec: str
    language: str
    title: str
    fate: str
    encoder: str | None
    why: str


@dataclass(frozen=True)
class Probe:
    """What a source is, and what becomes of it in a sink.

    Attributes:
        source: Its name as given.
        container: FFmpeg's name of its format, or `images`.
        duration: Seconds, or None if unknown.
        pictures: The facts of the pictures.
        streams: What there is beside them; chapters count as one, with their number as codec.
        sink: The name of the sink that is asked about.
        encoder, encoded_as: How the pictures are encoded there: FFmpeg's names of the encoder and the pixel format.
        tags: Those of the container.
        warnings: What `run` warns of.
    """

    source: str
    container: str
    duration: float | None
    pictures: Pictures
    streams: list[Stream]
    sink: str
    encoder: str
    encoded_as: str
    tags: dict[str, str]
    warnings: list[str]


def probe(source: str, sink: str | None = None) -> Probe:
    """Look at a source without running anything.

    Args:
        source: See `open_video`.
        sink: See `open_writer`; None for a file like the source, a folder for images, or .mkv for all that can't be
            written.

    Raises:
        ConfigError: The type of the sink is unknown.
        VideoError: The source can't be opened or has no picture.
    """
    if source == "-":
        raise VideoError("-: a stream can't be looked at and read again; give a file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_video(source) as reader:
            info = reader.info
            is_stream = isinstance(reader, StreamReader)
            times = reader.times if isinstance(reader, AnimationReader) else []
        sink = sink or _default_sink(source, is_stream)
        kind = sink_kind(sink)
        stored = info if keeps_rotation(sink) else straightened(info)
        plans, facts = [], _Facts()
        if is_stream:
            facts = _look(source)
            times = facts.times
            if Path(source).is_file():
                plans = plan_streams(source, Path(sink).suffix.lower() if kind is SinkKind.FILE else "")
        encoder, encoded_as, lost = _encoding(sink, kind, info, stored)
        if kind is not SinkKind.FOLDER:
            lost += lost_times(times, encoder, Path(sink).suffix.lower(), info, whole=len(times) < _PACKETS)
        if info.interlaced or facts.interlaced:
            warnings.warn(interlaced_warning(source), stacklevel=2)
        warn_about(sink, plans, lost)
    return Probe(
        source=source,
        container=facts.container,
        duration=facts.duration if facts.duration or info.frames is None else float(info.frames / info.rate),
        pictures=_pictures(info, facts),
        streams=_streams(source, plans),
        sink=sink,
        encoder=encoder,
        encoded_as=encoded_as,
        tags=dict(info.metadata),
        warnings=list(dict.fromkeys(str(warning.message) for warning in caught)),
    )


@dataclass(frozen=True)
class _Facts:
    """What only the container and the first frames can tell."""

    container: str = "images"
    codec: str = ""
    profile: str = ""
    duration: float | None = None
    times: list[Fraction] = field(default_factory=list)  # of the first packets, in the order of display
    interlaced: bool = False

    @property
    def variable_rate(self) -> bool | None:
        steps = [after - before for before, after in itertools.pairwise(self.times)][:-8]  # the last may lack some
        return max(steps) - min(steps) > _UNEVEN if steps else None


def _look(source: str) -> _Facts:
    with closing(Decoder(source)) as decoder:
        container, stream = decoder.container, decoder.stream
        name, codec = container.format.name, stream.codec_context.name
        duration = container.duration / 1_000_000 if container.duration else None
        profile, index = stream.profile or "", stream.index  # of damaged files there will be another
        interlaced = any(frame.interlaced_frame for frame in itertools.islice(decoder.frames(None), _FRAMES))
    with open_container(source) as container:
        return _Facts(name, codec, profile, duration, _times(container, index), interlaced)


def _times(container: InputContainer, index: int) -> list[Fraction]:
    packets = itertools.islice(container.demux(container.streams[index]), _PACKETS)
    return sorted(packet.pts * packet.time_base for packet in packets if packet.pts is not None and packet.size)


def _default_sink(source: str, is_stream: bool) -> str:
    if not is_stream:
        return "out/"
    suffix = Path(source).suffix.lower()
    return f"out{suffix if suffix in CONTAINERS else '.mkv'}"


def _encoding(sink: str, kind: SinkKind, info: VideoInfo, stored: VideoInfo) -> tuple[str, str, list[str]]:
    """Encoder and pixel format of the pictures, and what they lose."""
    if kind is SinkKind.FOLDER:
        deep = "48be" if info.bits > 8 else "24"
        pix_fmt = ("rgba64be" if info.bits > 8 else "rgba") if info.has_alpha else f"rgb{deep}"
        return "png", pix_fmt, images_lose(stored)
    lies = stored is not info and info.rotation in (90, 270)
    width, height = (info.height, info.width) if lies else (info.width, info.height)
    codec = "wrapped_avframe" if kind is SinkKind.STDOUT else None
    encoding = choose_encoding(Path(sink).suffix.lower(), stored, width=width, height=height, codec=codec, crf=None)
    return encoding.codec, encoding.pix_fmt, left_out(info, encoding, Path(sink).suffix.lower())


def _pictures(info: VideoInfo, facts: _Facts) -> Pictures:
    upright = straightened(info)
    lies = info.rotation in (90, 270)
    width, height = (info.height, info.width) if lies else (info.width, info.height)
    display = mastering(info.side_data[MASTERING]) if MASTERING in info.side_data else None
    light = struct.unpack_from("=2I", info.side_data[LIGHT]) if LIGHT in info.side_data else None
    return Pictures(
        codec=facts.codec,
        profile=facts.profile,
        width=info.width,
        height=info.height,
        shown_width=round(width * upright.pixel_aspect),
        shown_height=height,
        rotation=info.rotation,
        mirrored=info.mirrored,
        pixel_aspect=info.pixel_aspect,
        rate=info.rate,
        variable_rate=facts.variable_rate,
        frames=info.frames,
        pixel_format=info.pix_fmt,
        bits=info.bits,
        alpha=info.has_alpha,
        interlaced=info.interlaced or facts.interlaced,
        range=_RANGES.get(info.color_range),
        matrix=None if info.colorspace == UNSPECIFIED else MATRICES.get(info.colorspace, str(info.colorspace)),
        primaries=_name(ColorPrimaries, info.color_primaries),
        transfer=_name(ColorTrc, info.color_trc),
        chroma_location=info.chroma_location,
        mastering_display=None if display is None else vars(display),
        light_levels=None if light is None else {"brightest": light[0], "average": light[1]},
    )


def _name(kind: Any, number: int) -> str | None:
    """FFmpeg's name of a colour tag; None for one that is not set."""
    try:
        name: str = kind(number).name.lower()
    except ValueError:
        return str(number)
    return None if name == "unspecified" else name


def _streams(source: str, plans: Iterable[StreamPlan]) -> list[Stream]:
    plans = list(plans)
    if not plans:
        return []
    with open_container(source) as container:
        tags = {stream.index: stream.metadata for stream in container.streams}
    return [
        Stream(
            plan.index,
            plan.kind,
            plan.codec,
            tags.get(plan.index, {}).get("language", ""),
            tags.get(plan.index, {}).get("title", ""),
            plan.fate.value,
            plan.encoder,
            plan.why,
        )
        for plan in plans
    ]
