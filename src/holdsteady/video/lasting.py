"""MP4 and MOV of pictures that stand for different times."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from .container import TAG_ERRORS


def lasting(
    packets: Iterator["av.Packet[VideoStream]"], pictures: Path, length: Fraction
) -> Iterator["av.Packet[VideoStream]"]:
    """Packets of pictures that stand for different times, for MP4 and MOV: each is decoded as late as it can be.

    The headers tell the sum of the steps between decoding times. Encoders that reorder pictures let those lag behind by
    some pictures, seconds of slides, and the file would seem to end before its last ones.
    """
    with av.open(str(pictures), metadata_errors=TAG_ERRORS) as film:
        shown = [packet.pts for packet in film.demux(video=0) if packet.pts is not None]
    due = list(shown)
    for number in range(len(due) - 2, -1, -1):
        due[number] = min(due[number], due[number + 1] - 1)
    for packet, time in zip(packets, due, strict=True):
        end = min(shown) + round(length / packet.time_base)
        if packet.pts == max(shown) or time == due[-1]:
            packet.duration = max(1, end - (packet.pts or 0))
        packet.dts = time
        yield packet
