"""Continuous times from those of a file, whose clock may start again, wrap, or jump far ahead."""

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from .container import has_flag

# As in ffmpeg: how far, in seconds, a clock that may start again can go back or ahead and still be believed.
_BACK, _AHEAD = 0.1, 10.0
# The same for containers with one clock, such as MP4 and Matroska: here slides may stand for minutes.
_BACK_ONE_CLOCK, _AHEAD_ONE_CLOCK = 0.5, 30 * 3600.0


class Timeline:
    """Closes the gaps where a clock jumps, for all streams of a file alike.

    A jump is a packet that lies before its stream's last one, or far after the end of *every* stream; it is moved to
    where its stream left off, and so is all that follows, of the other streams too. Real pauses (a slide, a silence)
    stay. The thresholds are those of ffmpeg's `-dts_delta_threshold` and `-dts_error_threshold`.

    Whoever reads the file demuxes `timed_streams(container)` (and what else is wanted) from its beginning and hands
    *every* packet to `close_up` in the order of the file, also those not wanted. Then all readers of a file agree:
    a frame decoded from such packets and a packet of sound copied beside it have times of the same clock.

    Args:
        restarts: Whether the container's format has clocks that may start again (MPEG-TS, VOB, Ogg).
    """

    def __init__(self, restarts: bool) -> None:
        self._back, self._ahead = (_BACK, _AHEAD) if restarts else (_BACK_ONE_CLOCK, _AHEAD_ONE_CLOCK)
        self._newest = 0.0  # seconds to add, since the last jump
        self._shifts: dict[int, float] = {}  # of each stream: the newest, or older where it has not come to the jump
        self._last: dict[int, float] = {}  # continuous time of each stream's last packet
        self._ends: dict[int, float] = {}  # and where that ends
        self._facts: dict[int, tuple[bool, float, float]] = {}

    @classmethod
    def of(cls, container: InputContainer) -> "Timeline":
        """The timeline for a container that has just been opened."""
        return cls(has_flag(container, Flags.ts_discont))

    @property
    def moved(self) -> bool:
        """Whether any gap was closed so far."""
        return bool(self._newest or any(self._shifts.values()))

    def shift(self, stream: int, time: float, length: float) -> float:
        """Seconds to add to the times of a packet of sound or pictures.

        Args:
            stream: Which stream it is of.
            time: Its decoding time in seconds, as in the file.
            length: How many seconds it lasts; 0 if unknown.
        """
        shift = self._shifts.get(stream, self._newest)
        expected = self._ends.get(stream)
        if expected is not None:
            if abs(time + self._newest - expected) < abs(time + shift - expected):
                shift = self._newest  # this stream has come to a jump that another one made before
            moved = time + shift
            if moved < self._last[stream] - self._back or moved > max(self._ends.values()) + self._ahead:
                shift = self._newest = expected - time
        self._shifts[stream] = shift
        self._last[stream] = time + shift
        self._ends[stream] = time + shift + length
        return shift

    def close_up(self, packet: "av.Packet[Stream]") -> None:
        """Move the times of a packet, in place, onto the continuous clock."""
        index = packet.stream_index
        if index not in self._facts:
            self._facts[index] = _facts(packet.stream)
        is_timed, base, usual = self._facts[index]
        shift = self._newest
        if is_timed:
            shift = self._shifts.get(index, shift)
            # FFmpeg gives the first packets of a Matroska with reordered pictures no decoding times. Display times lie
            # ahead by as many pictures as are reordered, which is seconds where each stands long: they tell no jump.
            if packet.dts is not None:
                shift = self.shift(index, packet.dts * base, (packet.duration or 0) * base or usual)
        if shift:
            ticks = round(shift / base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks


def timed_streams(container: InputContainer) -> list[Stream]:
    """The streams whose packets tell a jump of the clock: sound and moving pictures."""
    streams: list[Stream] = [*container.streams.video, *container.streams.audio]
    return [stream for stream in streams if _facts(stream)[0]]


def _facts(stream: Stream) -> tuple[bool, float, float]:
    """Whether a stream's packets tell a jump, seconds per unit of their times, and how long a picture stands."""
    is_timed = stream.type in ("audio", "video") and not stream.disposition & Disposition.attached_pic
    rate = stream.average_rate if isinstance(stream, VideoStream) else None
    return is_timed, float(stream.time_base or 1), float(1 / rate) if rate else 0.0


class FrameClock:
    """Chooses among a frame's two times. Some files have display times that go back and forth while the
    pictures don't; then decoding times are better. The one that went backwards less often is used."""

    def __init__(self) -> None:
        self._last_pts = self._last_dts = float("-inf")
        self._bad_pts = self._bad_dts = 0

    def time(self, frame: av.VideoFrame) -> int | None:
        """Time of the next frame, or None if it has none."""
        pts, dts = frame.pts, frame.dts
        if pts is not None:
            self._bad_pts += pts <= self._last_pts
            self._last_pts = pts
        if dts is not None:
            self._bad_dts += dts <= self._last_dts
            self._last_dts = dts
        return pts if dts is None or (pts is not None and self._bad_pts <= self._bad_dts) else dts
