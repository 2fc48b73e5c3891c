"""Copying the audio and subtitle packets of the source beside the encoded frames."""

import warnings
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Stream

from .container import open_container, reason

# Seconds by which the packets of one stream can lie behind those of another in a file.
_INTERLEAVING = 5


class Passthrough:
    """Audio and subtitles on their way from a file to a container that is being written.

    Streams that the container can't hold are left out with a warning. Create it before the container's
    header is written.

    Args:
        output: The container to copy to.
        source: Path of the file to copy from.
        sink: Name of the result, for messages.
    """

    def __init__(self, output: OutputContainer, source: str, sink: str) -> None:
        self._output, self._name = output, source
        self._input = open_container(source)
        self._copies: dict[int, Stream] = {}
        for stream in self._input.streams:
            if stream.type in ("audio", "subtitle"):
                self._add(stream, sink)
            if stream.index not in self._copies:
                stream.discard = Discard.all
        self._packets = self._read()
        self._next = next(self._packets, None)

    def _add(self, stream: Stream, sink: str) -> None:
        try:
            copy = self._output.add_stream_from_template(stream)
        except (ValueError, FFmpegError) as error:
            warnings.warn(
                f"{sink}: {stream.type} stream {stream.index} of {self._name} is left out: {error}", stacklevel=2
            )
            return
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        self._copies[stream.index] = copy

    def _read(self) -> Iterator["av.Packet[Stream]"]:
        if not self._copies:
            return
        wanted = [self._input.streams[index] for index in self._copies]
        try:
            for packet in self._input.demux(*wanted):
                if packet.dts is not None or packet.pts is not None:
                    yield packet
        except (FFmpegError, OSError) as error:
            warnings.warn(f"{self._name}: copying of audio and subtitles ended early: {reason(error)}", stacklevel=2)

    def copy_until(self, end: Fraction | None, shift: Fraction, begin: Fraction | None, *, last: bool = False) -> None:
        """Mux the packets that come before a time.

        Args:
            end: Source time in seconds at which to stop for now; None for all that is left.
            shift: Seconds to subtract from every time.
            begin: Source time in seconds before which packets are dropped, or None.
            last: Whether this is the last call, so that what is late in the file is looked for.
        """
        while self._next is not None:
            packet = self._next
            base = packet.time_base
            time = (packet.pts if packet.pts is not None else packet.dts or 0) * base
            late = end is not None and time >= end
            if late and (not last or (end is not None and time >= end + _INTERLEAVING)):
                return
            self._next = next(self._packets, None)
            if late or (begin is not None and time < begin):
                continue
            offset = round(shift / base)
            packet.pts = None if packet.pts is None else packet.pts - offset
            packet.dts = None if packet.dts is None else packet.dts - offset
            packet.stream = self._copies[packet.stream.index]
            self._output.mux(packet)

    def close(self) -> None:
        """Close the source; nothing more can be copied."""
        self._input.close()
