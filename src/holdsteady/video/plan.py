"""What becomes of everything beside the pictures when a source is written into a container."""

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import av
from av.codec.codec import Codec, UnknownCodecError
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from .container import is_cover, is_still, main_video, open_container
from .copies import QUICKTIME, refusal

# How far into a file to look for the first packets of its streams.
_SECONDS, _PACKETS_OF_EACH = 5, 3

_CHAPTERS = (*QUICKTIME, ".mkv", ".webm")
_TIMECODES = (*QUICKTIME, ".mkv")
_TEXT = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}
_TEXT_ENCODERS = {".mp4": "mov_text", ".m4v": "mov_text", ".mov": "mov_text", ".mkv": "srt", ".webm": "webvtt"}
# What sound becomes that the container can't hold, by preference.
_SOUND_ENCODERS = {
    ".mp4": ("aac",),
    ".m4v": ("aac",),
    ".mov": ("aac",),
    ".mkv": ("aac",),
    ".webm": ("libopus", "opus"),
    ".avi": ("libmp3lame", "pcm_s16le"),
}
_LOSSLESS_ENCODERS = {".mkv": ("flac",), ".mov": ("pcm_s24le",), ".avi": ("pcm_s16le",)}
_LOSSLESS = (
    "pcm_s",
    "pcm_u",
    "pcm_f",
    "pcm_dvd",
    "pcm_bluray",
    "flac",
    "alac",
    "truehd",
    "mlp",
    "tta",
    "wavpack",
    "ape",
)


class Fate(Enum):
    """What becomes of a part of a source."""

    COPIED = "copied"
    CONVERTED = "converted"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class StreamPlan:
    """What becomes of one stream.

    Attributes:
        index: Its number in the source; -1 for the chapters.
        kind: `audio`, `subtitle`, `video`, `cover`, `attachment`, `data`, `unknown` or `chapters`.
        codec: FFmpeg's name of its codec; for attachments their file name, for chapters how many there are.
        fate: What becomes of it.
        encoder: FFmpeg's name of the encoder by which it is converted, or None.
        why: Why it can't be copied, in FFmpeg's words; empty for copies.
    """

    index: int
    kind: str
    codec: str
    fate: Fate
    encoder: str | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.kind == "chapters":
            return f"{self.codec} chapters"
        if self.kind == "attachment":
            return f"attachment {self.codec}"
        return f"{self.kind} stream {self.index} ({self.codec or 'of unknown kind'})"


def plan_streams(source: str, suffix: str) -> list[StreamPlan]:
    """What becomes of each stream of a file beside its pictures, found by trying it with their first packets.

    Args:
        source: Path of a video file.
        suffix: Extension of the container's files, such as `.mp4`; another one (of folders, of raw streams) holds
            nothing but pictures.

    Raises:
        VideoError: The source can't be opened.
    """
    with open_container(source) as container:
        pictures = main_video(container)
        others = [stream for stream in container.streams if stream is not pictures]
        packets = _first_packets(container, others) if suffix in _SOUND_ENCODERS else {}
        plans = [_plan(container, stream, suffix, packets.get(stream.index, [])) for stream in others]
        if container.chapters():
            fate = Fate.COPIED if suffix in _CHAPTERS else Fate.LEFT_OUT
            why = "" if suffix in _CHAPTERS else _no_place(suffix, "chapters")
            plans.append(StreamPlan(-1, "chapters", str(len(container.chapters())), fate, why=why))
        return plans


def converted(plan: StreamPlan, suffix: str, why: str) -> StreamPlan:
    """The next best after `plan` did not work: a conversion of a copied stream if there is one, else nothing of it."""
    encoder = _encoder(plan.kind, plan.codec, suffix) if plan.fate is Fate.COPIED else None
    fate = Fate.LEFT_OUT if encoder is None else Fate.CONVERTED
    return StreamPlan(plan.index, plan.kind, plan.codec, fate, encoder, why)


def warn_about(sink: str, plans: Iterable[StreamPlan], others: Iterable[str] = ()) -> None:
    """Say in a line each what of a source is converted and what is left out.

    Args:
        sink: Name of the result.
        plans: What becomes of the source's streams.
        others: What else is left out, in words.
    """
    plans = list(plans)
    into = [f"{plan} to {plan.encoder}" for plan in plans if plan.fate is Fate.CONVERTED]
    out = [f"{plan}: {plan.why}" for plan in plans if plan.fate is Fate.LEFT_OUT] + list(others)
    for what, names in (("converted", into), ("left out", out)):
        if names:
            warnings.warn(f"{sink}: {what}: {'; '.join(names)}", stacklevel=2)


def _plan(container: InputContainer, stream: Stream, suffix: str, packets: list["av.Packet[Stream]"]) -> StreamPlan:
    kind = "cover" if stream.type == "video" and is_cover(stream) else stream.type
    codec = getattr(stream, "name", None) or ("" if stream.codec_context is None else stream.codec_context.name)
    copied = StreamPlan(stream.index, kind, codec, Fate.COPIED)
    if suffix not in _SOUND_ENCODERS:
        return converted(copied, suffix, _no_place(suffix, ""))
    if kind in ("attachment", "cover") and suffix == ".mkv":
        return copied
    if kind == "attachment":
        return converted(copied, suffix, _no_place(suffix, "attachments"))
    if kind == "data" and is_written_anew(container, stream):
        what, holders = ("timecodes", _TIMECODES) if "timecode" in stream.metadata else ("chapters", _CHAPTERS)
        return copied if suffix in holders else converted(copied, suffix, _no_place(suffix, what))
    why = "it is a single picture" if is_still(stream) else refusal(suffix, stream, packets)
    return copied if why is None else converted(copied, suffix, why)


def _no_place(suffix: str, what: str) -> str:
    return f"{suffix} files hold no {what}" if suffix in _SOUND_ENCODERS else "it holds pictures only"


def is_written_anew(container: InputContainer, stream: Stream) -> bool:
    """Whether a stream comes about by itself in a copy: from a tag with the timecode, or from the chapters."""
    if stream.type != "data":
        return False
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(container.chapters()))


def _encoder(kind: str, codec: str, suffix: str) -> str | None:
    """The encoder by which a stream can be converted for a container, or None."""
    if kind == "subtitle" and codec in _TEXT:
        return _TEXT_ENCODERS.get(suffix)
    if kind == "audio" and codec:
        lossless = _LOSSLESS_ENCODERS.get(suffix, ()) if codec.startswith(_LOSSLESS) else ()
        return next((name for name in (*lossless, *_SOUND_ENCODERS.get(suffix, ())) if _exists(name)), None)
    return None


def _exists(encoder: str) -> bool:
    try:
        Codec(encoder, "w")
    except UnknownCodecError:
        return False
    return True


def _first_packets(container: InputContainer, streams: Iterable[Stream]) -> dict[int, list["av.Packet[Stream]"]]:
    """The first packets of each stream, from the beginning of a file."""
    found: dict[int, list[av.Packet[Stream]]] = defaultdict(list)
    wanted = {stream.index for stream in streams if stream.type != "attachment"}
    begin: float | None = None
    try:
        for packet in container.demux():
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                seconds = float(time * packet.time_base)
                begin = seconds if begin is None else begin
                if seconds > begin + _SECONDS:
                    break
            if packet.stream_index in wanted and packet.size:
                found[packet.stream_index].append(packet)
                if len(found[packet.stream_index]) == _PACKETS_OF_EACH:
                    wanted.discard(packet.stream_index)
            if not wanted:
                break
    except (FFmpegError, OSError):
        pass  # a damaged file: what was found has to do
    return found
