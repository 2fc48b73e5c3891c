"""When frames are shown, where a container or codec knows a constant rate only: each is put into the nearest slot."""

from fractions import Fraction

from .frame import VideoInfo

# These know frames at a constant rate only; a finer time base would be refused or padded with empty frames.
_CONSTANT_RATE = {"mpeg1video", "mpeg2video", "wrapped_avframe", ".avi"}
# MPEG-4 has 16 bits for the denominator.
_MOST = 65535
# In finer units, as NUT and Matroska may have them, pictures that stand for long have no place in MP4.
_FINEST = Fraction(1, 10**6)
# Seconds by which a time may be off; Matroska rounds to a millisecond.
_UNEVEN = Fraction(1, 400)


class Slots:
    """Gives frames their times, in order, in units of `base`.

    Args:
        codec: FFmpeg's name of the encoder.
        suffix: Extension of the file, such as `.mp4`; empty for y4m.
        info: The source.
    """

    def __init__(self, codec: str, suffix: str, info: VideoInfo) -> None:
        holder = next((name for name in (suffix, codec) if name in _CONSTANT_RATE), None)
        self._in_a_row = codec == "wrapped_avframe"  # y4m has no times, and thus no gaps either
        self._holder = "y4m" if self._in_a_row else holder
        self.rate = info.rate if holder is None or self._in_a_row else info.fine_rate or info.rate
        self.base = max(info.time_base, _FINEST) if holder is None else 1 / self.rate
        if holder is not None or codec == "mpeg4":
            self.base = max(self.base, Fraction(1, _MOST)).limit_denominator(_MOST)
        self._last: int | None = None
        self._moved = Fraction(0)
        self._steps: list[int] = []  # the shortest and the longest

    def place(self, time: Fraction) -> int:
        """The time of the next frame, from seconds since the beginning of the result."""
        place = round(time / self.base)
        if self._last is not None:  # two frames of one time would be refused
            place = self._last + 1 if self._in_a_row else max(place, self._last + 1)
            steps = [*self._steps, place - self._last]
            self._steps = [min(steps), max(steps)]
        self._last = place
        self._moved = max(self._moved, abs(place * self.base - time))
        return place

    def lost(self, last: Fraction) -> list[str]:
        """What was lost of the times of all frames so far, in words.

        Args:
            last: Seconds for which the last of them should stand.
        """
        if self._holder is None:
            return []
        lost = []
        if self._moved > _UNEVEN:
            lost.append(f"the times of its frames, moved by up to {float(self._moved):.2g} s: {self._only}")
        if last - self.base > max(_UNEVEN, self.base / 2) and self._in_a_row:
            lost.append(f"that its last frame stands for {float(last):.3g} s: {self._only}")
        return lost

    def uneven(self, last: Fraction) -> bool:
        """Whether the frames stand for different times, the last of them for `last` seconds."""
        steps = [*(step * self.base for step in self._steps), last]
        return max(steps) - min(steps) > _UNEVEN

    @property
    def _only(self) -> str:
        return f"{self._holder} has a constant rate, here {float(self.rate):.6g} frames per second"


def lost_times(times: list[Fraction], codec: str, suffix: str, info: VideoInfo, *, whole: bool) -> list[str]:
    """What a result would lose of times, in words.

    Args:
        times: Seconds at which frames are shown, in order.
        codec, suffix, info: See `Slots`.
        whole: Whether they are all that there are.
    """
    slots = Slots(codec, suffix, info)
    for time in times:
        slots.place(time - times[0])
    return slots.lost(info.end - times[-1] if whole and times and info.end is not None else slots.base)
