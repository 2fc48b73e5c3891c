"""Streams copied from one container to another, repaired where the copy would be refused."""

import io
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from .container import TAG_ERRORS, is_cover, reason

# FFmpeg's names of the containers that we write, by extension.
FORMATS = {
    ".mp4": "mp4",
    ".m4v": "ipod",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
}
QUICKTIME = (".mp4", ".m4v", ".mov")
# Apple's players and televisions take HEVC under this tag only.
HEVC_TAG = "hvc1"
_PIECE = 2_000_000  # microseconds
# Tags that describe the old file rather than its content.
_STALE_TAG = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|rotate"
    r"|(duration|bps|number_of_frames|number_of_bytes|_statistics_\w+)(-\w+)?"  # mkvmerge's statistics
)
# What QuickTime and MP4 keep only when told to: names of the kind com.apple.quicktime.make.
_FOREIGN_TAG = re.compile(r"com\..+")


def add_copy(output: OutputContainer, template: Stream, suffix: str) -> Stream:
    """A stream of `output` for packets of `template`, with its tags.

    Raises:
        FFmpegError, ValueError: The container can't hold it. That can also show later: when its header, a packet or
            its trailer is written; see `refusal`.
    """
    copy = output.add_stream_from_template(template, opaque=True)
    copy.metadata.update(kept_tags(template.metadata))
    copy.disposition = template.disposition
    context = copy.codec_context
    if isinstance(context, AudioCodecContext):
        name_layout(context)
    elif isinstance(context, VideoCodecContext):
        pictures = cast(VideoStream, template)
        context.framerate = pictures.average_rate or Fraction(25)
        if pictures.sample_aspect_ratio is not None:  # a container can know it where its codec does not
            context.sample_aspect_ratio = pictures.sample_aspect_ratio
        if suffix in QUICKTIME and context.codec.canonical_name == "hevc":
            context.codec_tag = HEVC_TAG
    return copy


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those tags of a file or stream that hold for a version of it."""
    return {key: value for key, value in tags.items() if not _STALE_TAG.fullmatch(key.lower())}


def muxer_options(suffix: str, tags: Mapping[str, str], *, in_pieces: bool = False) -> dict[str, str]:
    """Options for the muxer of a file with these tags.

    Args:
        suffix: Extension of the file, such as `.mp4`.
        tags: Its tags.
        in_pieces: Whether the part written so far must be playable, in case writing never ends.
    """
    if suffix == ".avi":  # what is before 0 is left out of it, see `tracks`; else all would be moved by that
        return {"avoid_negative_ts": "disabled"}
    if suffix not in QUICKTIME:
        return {}
    if in_pieces:
        return {"movflags": "delay_moov", "frag_duration": str(_PIECE)}
    if any(_FOREIGN_TAG.fullmatch(key) for key in tags):
        return {"movflags": "use_metadata_tags"}
    return {}


def name_layout(context: AudioCodecContext) -> None:
    """Take the usual layout for a number of channels whose places are not told, which MP4 would refuse."""
    if re.fullmatch(r"\d+ channels", context.layout.name):
        usual = av.AudioLayout(f"{context.layout.nb_channels}c")
        # Of some numbers of channels there is none.
        if usual.name != context.layout.name:
            context.layout = usual


def refusal(suffix: str, template: Stream, packets: Sequence["av.Packet[Stream]"]) -> str | None:
    """Why a container can't hold a stream, or None if it can: it is written and read again, in memory.

    Args:
        suffix: Extension of the container's files, such as `.mp4`.
        template: The stream.
        packets: Its first ones, which are left as they are.
    """
    file = io.BytesIO()
    if getattr(template, "codec_context", None) is None and template.type in ("audio", "video", "subtitle"):
        return "FFmpeg does not know its codec"
    try:
        with av.open(file, "w", format=FORMATS[suffix], metadata_errors=TAG_ERRORS) as output:
            copy = add_copy(output, template, suffix)
            output.start_encoding()
            for packet in packets:
                output.mux(_clone(packet, copy))
        if packets:
            file.seek(0)
            with av.open(file, metadata_errors=TAG_ERRORS) as written:
                if [stream.type for stream in written.streams] != [template.type]:
                    return "it can't be read from there"
                if is_cover(template) and not is_cover(written.streams[0]):
                    return "there it would be a film of one picture"
    except Exception as error:  # whatever PyAV makes of strangers' streams: nothing is lost yet
        return reason(error)
    return None


def _clone(packet: "av.Packet[Stream]", stream: Stream) -> "av.Packet[Stream]":
    clone: av.Packet[Stream] = av.Packet(bytes(packet))
    clone.time_base, clone.pts, clone.dts = packet.time_base, packet.pts, packet.dts
    clone.duration, clone.is_keyframe = packet.duration, packet.is_keyframe
    clone.stream = stream
    return clone
