"""What is carried beside the pictures, stream by stream: copied or converted, with its times moved."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from .copies import add_copy
from .plan import Fate, StreamPlan
from .sound import Sound
from .span import Span

_MILLISECOND = Fraction(1, 1000)


class Track(Protocol):
    """One stream on its way."""

    plan: StreamPlan

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        """Packets for the result from the next one of the source, or the last ones at its end (None)."""


def open_track(plan: StreamPlan, source: Stream, output: OutputContainer, span: Span, suffix: str) -> Track:
    """Add the stream of a plan to a container.

    Raises:
        FFmpegError, ValueError: The container can't hold it.
    """
    if plan.fate is Fate.COPIED:
        return _Copy(plan, source, add_copy(output, source, suffix), span)
    assert plan.encoder is not None
    if plan.kind == "audio":
        return Sound(plan, cast(AudioStream, source), output, span)
    return _Text(plan, cast(SubtitleStream, source), output, span)


class _Copy:
    def __init__(self, plan: StreamPlan, template: Stream, target: Stream, span: Span) -> None:
        self.plan, self._target, self._span = plan, target, span
        self._last: int | None = None
        self._begun = template.type != "video"  # pictures can't be shown before their first keyframe

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        if packet is None:
            return
        dts = packet.dts if packet.dts is not None else packet.pts
        pts = packet.pts if packet.pts is not None else dts
        if dts is None or pts is None or not self._span.holds(pts * packet.time_base):
            return
        self._begun = self._begun or packet.is_keyframe
        if not self._begun:
            return
        shift = round(self._span.shift / packet.time_base)
        dts, pts = dts - shift, pts - shift
        if self._last is not None and dts <= self._last:  # muxers refuse times that don't grow
            dts = self._last + 1
        self._last = dts
        packet.dts, packet.pts, packet.stream = dts, max(pts, dts), self._target
        yield packet


class _Text:
    """Subtitles of text, written in another way."""

    def __init__(self, plan: StreamPlan, source: SubtitleStream, output: OutputContainer, span: Span) -> None:
        self.plan, self._span = plan, span
        self._decoder = source.codec_context
        self._decoder.open(strict=False)
        self._target = cast(SubtitleStream, output.add_stream(plan.encoder or ""))
        self._encoder = self._target.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._encoder.time_base = self._target.time_base = _MILLISECOND
        self._target.metadata.update(source.metadata)
        self._target.disposition = source.disposition

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        if packet is None or packet.pts is None or not self._span.holds(packet.pts * packet.time_base):
            return
        text = self._decoder.decode2(packet)
        begin = round((packet.pts * packet.time_base - self._span.shift) / _MILLISECOND)
        length = round((packet.duration or 0) * packet.time_base / _MILLISECOND)
        for line in text or ():
            if isinstance(line, AssSubtitle):
                encoded = self._encoder.encode_subtitle(SubtitleSet.create(line.ass, 0, length, pts=begin))
                encoded.stream, encoded.time_base = self._target, _MILLISECOND
                encoded.pts = encoded.dts = begin
                encoded.duration = length
                yield encoded
