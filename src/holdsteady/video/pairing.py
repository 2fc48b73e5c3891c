"""Pictures of one source at the times of another, such as a video before and after it was processed."""

from fractions import Fraction

from .frame import VideoFrame, VideoInfo
from .reader import Reader

# How much of a second's frames rates may differ by and be one: 30000/1001 and 29.97 are.
_SAME_RATE = Fraction(1, 1000)


class Pairing:
    """The frames of a source by time, each time not before the last.

    Args:
        reader: The source. It is read as far as it is asked for, and two frames of it are kept.
    """

    def __init__(self, reader: Reader) -> None:
        self._info = reader.info
        self._frames = iter(reader)
        self._count = 0
        self._current = self._read()
        self._next = self._read()

    def at(self, time: Fraction) -> VideoFrame | None:
        """The frame nearest in time, the earlier of two equally near; None if the source has ended before.

        Args:
            time: Seconds since the first frame of the source, whether or not reading began there: see `since_first`.
        """
        while self._next is not None and self._next[0] - time < time - self._current_time():
            self._current, self._next = self._next, self._read()
        if self._current is None or (self._next is None and time - self._current[0] > 2 / self._info.rate):
            return None
        return self._current[1]

    def _current_time(self) -> Fraction:
        return Fraction(0) if self._current is None else self._current[0]

    def _read(self) -> tuple[Fraction, VideoFrame] | None:
        frame = next(self._frames, None)
        if frame is None:
            return None
        number, self._count = self._count, self._count + 1
        return since_first(frame, self._info, number), frame


def since_first(frame: VideoFrame, info: VideoInfo, number: int) -> Fraction:
    """Seconds from the first frame of a source to this one, which was read as the `number`-th, from 0."""
    return number / info.rate if frame.time is None else frame.time - info.origin


def mismatch(one: VideoInfo, other: VideoInfo) -> str | None:
    """In words, how two sources differ in rate or length; None if they don't, as far as is known."""
    said = []
    if abs(one.rate - other.rate) > _SAME_RATE * one.rate:
        said.append(f"{one.name} has {_short(one.rate)} frames per second, {other.name} {_short(other.rate)}")
    if one.frames is not None and other.frames is not None:
        lengths = one.frames / one.rate, other.frames / other.rate
        if abs(lengths[0] - lengths[1]) > 2 / min(one.rate, other.rate):
            said.append(f"{one.name} takes {_short(lengths[0])} s, {other.name} {_short(lengths[1])} s")
    return "; ".join(said) or None


def _short(value: Fraction) -> str:
    return f"{float(value):.5g}"
