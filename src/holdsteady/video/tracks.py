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
_FIELDS = 8  # before the text of a line of ASS, as FFmpeg hands it over


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
        return _Copy(plan, source, add_copy(output, source, suffix), span, from_zero=suffix == ".avi")
    assert plan.encoder is not None
    if plan.kind == "audio":
        return Sound(plan, cast(AudioStream, source), output, span)
    return _Text(plan, cast(SubtitleStream, source), output, span)


class _Copy:
    """A stream that is copied; `from_zero` where the container has no place for what is before 0, as of AAC that begins
    with what its encoder needed to get going: packets in which nothing is to be heard."""

    def __init__(self, plan: StreamPlan, template: Stream, target: Stream, span: Span, *, from_zero: bool) -> None:
        self.plan, self._target, self._span, self._from_zero = plan, target, span, from_zero
        self._last: int | None = None
        self._lasts = template.type == "subtitle"  # each stands for a while, which can begin before the part
        self._begun = template.type != "video"  # pictures can't be shown before their first keyframe
        self._held: list[av.Packet[Stream]] = []

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        # FFmpeg gives the first packets of a Matroska with reordered pictures no decoding times: they have to come
        # before the first one that has, and their display times lie after it.
        if not self._begun and packet is not None and packet.dts is None:
            self._held.append(packet)
            return
        held, self._held = self._held, []
        for place, one in enumerate(held):
            if packet is not None and packet.dts is not None:
                one.dts = packet.dts - (len(held) - place) * (packet.duration or 1)
            yield from self._copied(one)
        if packet is not None:
            yield from self._copied(packet)

    def _copied(self, packet: "av.Packet[Stream]") -> Iterator["av.Packet[Stream]"]:
        dts = packet.dts if packet.dts is not None else packet.pts
        pts = packet.pts if packet.pts is not None else dts
        if dts is None or pts is None:
            return
        if self._lasts and packet.duration:
            begin = pts * packet.time_base
            part = self._span.part(begin, begin + packet.duration * packet.time_base)
            if part is None:
                return
            pts = dts = round(part[0] / packet.time_base)
            packet.duration = round((part[1] - part[0]) / packet.time_base)
        elif not self._span.holds(pts * packet.time_base):
            return
        self._begun = self._begun or packet.is_keyframe
        if not self._begun:
            return
        shift = round(self._span.shift / packet.time_base)
        dts, pts = dts - shift, pts - shift
        if self._from_zero and pts < 0:
            return
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
        self._in_turn = plan.encoder == "mov_text"  # whose lines can't stand at the same time
        self._standing: list[tuple[int, bytes]] = []  # end of each line, and its text
        self._now = 0

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        if packet is None:
            yield from self._until(max((end for end, _ in self._standing), default=0))
            return
        if packet.pts is None:
            return
        time = packet.pts * packet.time_base
        part = self._span.part(time, time + (packet.duration or 0) * packet.time_base)
        if part is None:
            return
        text = self._decoder.decode2(packet)
        begin = round((part[0] - self._span.shift) / _MILLISECOND)
        length = round((part[1] - part[0]) / _MILLISECOND)
        for line in text or ():
            if not isinstance(line, AssSubtitle):
                continue
            if self._in_turn:
                yield from self._until(begin)
                self._standing.append((begin + max(1, length), line.ass))
            else:
                yield self._encode(line.ass, begin, length)

    def _until(self, time: int) -> Iterator["av.Packet[Stream]"]:
        """What stands before a time, in stretches with all lines of each."""
        while self._standing and self._now < time:
            end = min(time, *(end for end, _ in self._standing))
            if end > self._now:
                yield self._encode(_together([line for _, line in self._standing]), self._now, end - self._now)
            self._now = end
            self._standing = [(end, line) for end, line in self._standing if end > self._now]
        self._now = max(self._now, time)

    def _encode(self, line: bytes, begin: int, length: int) -> "av.Packet[Stream]":
        encoded = self._encoder.encode_subtitle(SubtitleSet.create(line, 0, length, pts=begin))
        encoded.stream, encoded.time_base = self._target, _MILLISECOND
        encoded.pts = encoded.dts = begin
        encoded.duration = length
        return encoded


def _together(lines: list[bytes]) -> bytes:
    """One line of ASS that shows several, each in its own style."""
    texts = [line.split(b",", _FIELDS)[-1] for line in lines]
    return lines[0].removesuffix(texts[0]) + rb"\N{\r}".join(texts)
