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
