"""The part of a source that is carried into a result."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Span:
    """The part of a source that is carried.

    Attributes:
        shift: Seconds to subtract from the source's times.
        begin: Source time in seconds before which nothing is taken; None for no limit.
        end: Source time in seconds from which on nothing is taken; None for no limit.
    """

    shift: Fraction
    begin: Fraction | None
    end: Fraction | None

    def holds(self, time: Fraction) -> bool:
        """Whether a source time lies in it."""
        return (self.begin is None or time >= self.begin) and (self.end is None or time < self.end)

    def part(self, begin: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """What of a stretch of source time lies in it: its begin and end; None if nothing does."""
        if self.begin is not None and begin < self.begin:
            if end <= self.begin:
                return None
            begin = self.begin
        if self.end is not None:
            if begin >= self.end:
                return None
            end = min(end, self.end)
        return begin, end
