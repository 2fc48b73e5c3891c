"""Pictures of one source at the times of another, such as a video before and after it was processed."""

import warnings
from dataclasses import replace
from fractions import Fraction
from itertools import takewhile
from pathlib import Path

from holdsteady.errors import VideoError

from .decoder import Decoder
from .frame import VideoFrame, VideoInfo
from .orientation import straightened
from .reader import Reader, has_times, open_video

# How much of a second's frames rates may differ by and be one: 30000/1001 and 29.97 are.
_SAME_RATE = Fraction(1, 1000)
# The same for shapes; 1088 lines are padded 1080.
_SAME_SHAPE = Fraction(2, 100)
_EPSILON = 1e-6


def open_original(
    name: str, processed: VideoInfo, *, start: float | None, duration: float | None, deinterlace: bool
) -> Reader:
    """Open what a video was before it was processed, for `Pairing`: the same part of it, or all of it if one of the two
    has no times. See `open_video`."""
    if (start is None and duration is None) or has_times(name) == processed.has_times:
        return open_video(name, start=start, duration=duration, deinterlace=deinterlace)
    reader = open_video(name, deinterlace=deinterlace)
    reader.info = replace(reader.info, frames=None)  # the length of all of it says nothing of a part's
    return reader


class Pairing:
    """The frames of a source by time or number, each not before the last.

    Args:
        reader: The source. It is read as far as it is asked for, and two frames of it are kept.
        other: The source whose times they are. If one of the two has none, frames are paired by their numbers.
    """

    def __init__(self, reader: Reader, other: VideoInfo) -> None:
        self._info, self._other = reader.info, other
        self._by_number = other.has_times != reader.info.has_times
        self._first: int | None = None  # the number, in the whole other source, of the first frame that was read of it
        self._last_stands = Fraction(2) if self._by_number else 2 / reader.info.rate
        self._frames = iter(reader)
        self._count = 0
        self._current = self._read()
        self._next = self._read()

    def at(self, time: Fraction, number: int) -> VideoFrame | None:
        """The frame nearest, the earlier of two equally near; None if the source has ended before.

        Args:
            time: Seconds since the first frame of the other source, whether or not reading began there: see
                `since_first`.
            number: How many frames of the other source were read before this one.
        """
        place = self._own_number(time, number) if self._by_number else time
        while self._next is not None and self._next[0] - place < place - self._current_place():
            self._current, self._next = self._next, self._read()
        if self._current is None or (self._next is None and place - self._current[0] > self._last_stands):
            return None
        return self._current[1]

    def _own_number(self, time: Fraction, number: int) -> Fraction:
        """The number of a frame in the whole other source, of which only a part may be read."""
        if not self._other.has_times:
            return time * self._other.rate
        if self._first is None:
            self._first = _frames_before(self._other, time) - number
        return Fraction(self._first + number)

    def _current_place(self) -> Fraction:
        return Fraction(0) if self._current is None else self._current[0]

    def _read(self) -> tuple[Fraction, VideoFrame] | None:
        frame = next(self._frames, None)
        if frame is None:
            return None
        number, self._count = self._count, self._count + 1
        return Fraction(number) if self._by_number else since_first(frame, self._info, number), frame


def _frames_before(info: VideoInfo, time: Fraction) -> int:
    """How many frames a source has before a time since its first: by its rate where it can't be read again."""
    if time > 0 and info.name != "-" and Path(info.name).is_file():
        end = float(info.origin + time) - _EPSILON
        try:
            decoder = Decoder(info.name)
            try:
                times = (decoder.time(frame.pts, index) for index, frame in enumerate(decoder.frames(None)))
                return sum(1 for _ in takewhile(lambda one: one < end, times))
            finally:
                decoder.close()
        except VideoError:  # an animation that FFmpeg does not read
            pass
    return round(time * info.rate)


def since_first(frame: VideoFrame, info: VideoInfo, number: int) -> Fraction:
    """Seconds from the first frame of a source to this one, which was read as the `number`-th, from 0."""
    return number / info.rate if frame.time is None else frame.time - info.origin


def warn_of_mismatch(processed: VideoInfo, original: VideoInfo) -> None:
    """Say how a video and its original differ in rate, length or shape, if they do."""
    by_number = processed.has_times != original.has_times
    differing = mismatch(processed, original)
    if differing is not None:
        paired = "by their numbers" if by_number else "by their times"
        warnings.warn(f"{differing}: frames are paired {paired}", stacklevel=2)
    if not _of_one_shape(processed, original):
        warnings.warn(
            f"{_size(processed)}, but {_size(original)}, which is stretched to it; crop or pad one of them if they "
            "don't show the same",
            stacklevel=2,
        )


def mismatch(one: VideoInfo, other: VideoInfo) -> str | None:
    """In words, how two sources differ in rate or length; None if they don't, as far as is known."""
    said = []
    have_times = one.has_times == other.has_times
    if have_times and abs(one.rate - other.rate) > _SAME_RATE * one.rate:
        said.append(f"{one.name} has {_short(one.rate)} frames per second, {other.name} {_short(other.rate)}")
    if one.frames is not None and other.frames is not None:
        lengths = one.frames / one.rate, other.frames / other.rate
        if not have_times and abs(one.frames - other.frames) > 2:
            said.append(f"{one.name} has {one.frames} frames, {other.name} {other.frames}")
        elif have_times and abs(lengths[0] - lengths[1]) > 2 / min(one.rate, other.rate):
            said.append(f"{one.name} takes {_short(lengths[0])} s, {other.name} {_short(lengths[1])} s")
    return "; ".join(said) or None


def _of_one_shape(one: VideoInfo, other: VideoInfo) -> bool:
    """Whether pictures have the same shape, either in pixels or as seen: tools lose the shape of pixels."""
    shapes = ((_shape(info, Fraction(1)), _shape(info, straightened(info).pixel_aspect)) for info in (one, other))
    return any(abs(a - b) <= _SAME_SHAPE * a for a, b in zip(*shapes, strict=True))


def _shape(info: VideoInfo, pixel_aspect: Fraction) -> Fraction:
    """Width by height of an upright picture."""
    shape = Fraction(info.width, info.height)
    return (1 / shape if info.rotation in (90, 270) else shape) * pixel_aspect


def _size(info: VideoInfo) -> str:
    width, height = (info.height, info.width) if info.rotation in (90, 270) else (info.width, info.height)
    return f"{info.name} is {width}x{height}"


def _short(value: Fraction) -> str:
    return f"{float(value):.5g}"
