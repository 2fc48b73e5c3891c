"""Timecodes of recordings, as SMPTE ST 12-1 counts them: `01:02:03:04`, or `01:02:03;04` where numbers are dropped."""

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")
_EPSILON = Fraction(1, 10**6)


def later_tags(tags: Mapping[str, str], start: float, rate: Fraction) -> dict[str, str]:
    """Tags of a file, for the part that begins `start` seconds later: the timecode is that of its first frame."""
    frames = ceil(Fraction(start) * rate - _EPSILON)
    return {key: later(value, frames, rate) if key.lower() == "timecode" else value for key, value in tags.items()}


def later(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode some frames later; what is no timecode stays as it is."""
    match = _TIMECODE.fullmatch(timecode)
    if match is None or rate < 1:
        return timecode
    hours, minutes, seconds, number = (int(match[group]) for group in (1, 2, 3, 5))
    fps = round(rate)
    # At 29.97 frames a second two numbers are left out each minute but every tenth.
    drop = fps // 15 if match[4] != ":" else 0
    passed = 60 * hours + minutes
    count = (60 * passed + seconds) * fps + number - drop * (passed - passed // 10) + frames
    tens, rest = divmod(count, 600 * fps - 9 * drop)
    count += 9 * drop * tens + drop * max(0, (rest - drop) // (60 * fps - drop))
    seconds, number = divmod(count, fps)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{match[4]}{number:02}"
