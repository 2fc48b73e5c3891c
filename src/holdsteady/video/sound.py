"""Sound that a container can't hold as it is: decoded, and encoded again."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from .copies import name_layout
from .plan import StreamPlan
from .span import Span

# Bits a second for each channel: hard to tell from the source.
_BIT_RATE = 96_000
# Times in files are rounded; a larger distance from the end of the sound so far is a pause.
_PAUSE = Fraction(1, 10)
_SILENCE = 1024  # samples at a time
# FFmpeg's own encoder of Opus calls itself experimental.
_OPTIONS = {"opus": {"strict": "-2"}}


class Sound:
    """A stream of sound on its way through a decoder and an encoder. Its times are counted in samples."""

    def __init__(self, plan: StreamPlan, source: AudioStream, output: OutputContainer, span: Span) -> None:
        self.plan, self._source, self._span = plan, source, span
        decoder = source.codec_context
        if not decoder.is_open:
            name_layout(decoder)
        encoder = plan.encoder or ""
        self._rate = _rate(encoder, decoder.sample_rate)
        self._target = cast(AudioStream, output.add_stream(encoder, rate=self._rate))
        context = self._target.codec_context
        context.layout = _layout(encoder, self._rate, decoder.layout)
        context.time_base = Fraction(1, self._rate)
        if not encoder.startswith(("pcm", "flac")):
            context.bit_rate = _BIT_RATE * context.layout.nb_channels
        context.options = dict(_OPTIONS.get(encoder, {}))
        self._target.metadata.update(source.metadata)
        self._target.disposition = source.disposition
        self._resampler: av.AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None  # of the sound that the resampler takes
        self._given = self._decoded = 0
        self._now: int | None = None  # where the sound has come to, in samples

    def packets(self, packet: "av.Packet[Stream] | None") -> Iterator["av.Packet[Stream]"]:
        """Encoded packets from the next one of the source, or the last ones at its end (None).

        Raises:
            ValueError: At the end, if nothing could be decoded.
        """
        try:
            frames = self._source.decode(packet)
        except FFmpegError:  # damaged: what is around it may be whole
            frames = []
        self._given += packet is not None
        self._decoded += len(frames)
        for frame in frames:
            if frame.pts is None or frame.time_base is None:
                continue
            time = frame.pts * frame.time_base
            if self._span.holds(time):
                yield from self._encode(frame, time - self._span.shift)
        if packet is None:
            if self._given and not self._decoded:
                raise ValueError("nothing of it can be decoded")
            if self._now is not None:
                yield from self._flush()
                yield from self._target.encode(None)

    def _encode(self, frame: av.AudioFrame, time: Fraction) -> Iterator["av.Packet[Stream]"]:
        place = round(time * self._rate)
        if self._now is None:
            self._now = place
        if place - self._now > _PAUSE * self._rate:
            while self._now < place:
                yield from self._send(self._silence(min(_SILENCE, place - self._now)))
        yield from self._send(frame)

    def _send(self, frame: av.AudioFrame) -> Iterator["av.Packet[Stream]"]:
        frame.pts = None
        shape = frame.format.name, frame.layout.name, frame.sample_rate
        if shape != self._shape:  # damage and joined recordings change it in mid-stream
            yield from self._flush()
            context = self._target.codec_context
            self._resampler, self._shape = av.AudioResampler(context.format, context.layout, self._rate), shape
        assert self._resampler is not None
        yield from self._counted(self._resampler.resample(frame))

    def _flush(self) -> Iterator["av.Packet[Stream]"]:
        if self._resampler is not None:
            yield from self._counted(self._resampler.resample(None))

    def _counted(self, parts: list[av.AudioFrame]) -> Iterator["av.Packet[Stream]"]:
        for part in parts:
            assert self._now is not None
            part.pts, part.time_base = self._now, Fraction(1, self._rate)
            self._now += part.samples
            yield from self._target.encode(part)

    def _silence(self, samples: int) -> av.AudioFrame:
        layout = self._target.codec_context.layout
        quiet = np.zeros((1, samples * layout.nb_channels), np.int16)
        frame = av.AudioFrame.from_ndarray(quiet, format="s16", layout=layout.name)
        frame.sample_rate = self._rate
        return frame


def _rate(encoder: str, rate: int) -> int:
    """The sampling rate that an encoder takes, nearest to the source's."""
    known = Codec(encoder, "w").audio_rates
    return min(known, key=lambda offered: abs(offered - rate)) if known else rate


def _layout(encoder: str, rate: int, layout: av.AudioLayout) -> av.AudioLayout:
    """The arrangement of channels that an encoder takes, nearest to the source's: libopus wants 5.1 for 5.1(side)."""
    count = layout.nb_channels
    wider = ["5.1", "7.1"] if count <= 6 else ["7.1", "5.1"]
    for name in (layout.name, f"{count}c", *wider, "stereo", "mono"):
        try:
            context = cast(AudioCodecContext, AudioCodecContext.create(encoder, "w"))
            context.layout = name
            context.sample_rate, context.time_base = rate, Fraction(1, rate)
            context.format = (Codec(encoder, "w").audio_formats or [context.format])[0]
            context.options = dict(_OPTIONS.get(encoder, {}))
            context.open()
        except (FFmpegError, ValueError):
            continue
        return context.layout
    return layout
