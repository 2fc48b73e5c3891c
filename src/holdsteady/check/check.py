"""A video looked through, frame by frame, in memory that does not depend on its length."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from holdsteady.check.bands import Bands, in_cells, split
from holdsteady.check.figures import Figures, Tally, figures, mean
from holdsteady.check.light import LightSeries, wide_square
from holdsteady.check.motion import Motion, find_motion
from holdsteady.check.pairs import Change, change
from holdsteady.errors import VideoError
from holdsteady.video import Pixels


@dataclass(frozen=True)
class Frame:
    """A frame to look at.

    Attributes:
        pixels: upright RGB (H, W, 3), 8 or 16 bits.
        time: seconds since the first frame.
        new_shot: whether a shot begins with it.
        original: the same before it was processed, in any size.
    """

    pixels: Pixels
    time: Fraction
    new_shot: bool = False
    original: Pixels | None = None


@dataclass(frozen=True)
class Stretch:
    """A second or a shot.

    Attributes:
        start, end: seconds since the first frame; the end is the time of its last frame.
        frames: how many there are.
        figures: what was found in it.
    """

    start: float
    end: float
    frames: int
    figures: Figures


@dataclass(frozen=True)
class Check:
    """What was found in a video.

    Attributes:
        whole: its figures: root mean squares over its seconds.
        seconds, shots: its parts in order.
        frames: how many there are.
    """

    whole: Figures
    seconds: list[Stretch]
    shots: list[Stretch]
    frames: int

    def worst(self, count: int = 10) -> list[Stretch]:
        """The seconds of the highest scores, the worst first; none that are steady."""
        return sorted((one for one in self.seconds if one.figures.score > 0), key=_score, reverse=True)[:count]


def _score(stretch: Stretch) -> float:
    return stretch.figures.score


def check(frames: Iterable[Frame], rate: Fraction, *, progress: Callable[[int], None] | None = None) -> Check:
    """How unsteady a video is, along its own motion in places that can be followed.

    What goes back and forth within half a second in the light of cells is wide flicker; what changes in the detail,
    although motion does not explain it, is detail flicker. Both are shares: of the light and of the picture's own
    detail. Fades, switches of the light and new shots are no flicker.

    Args:
        frames: in order. All have an original, whose motion is then followed and whose flicker is subtracted, or none.
        rate: frames per second.
        progress: called with the number of frames done.

    Raises:
        VideoError: there are fewer than two frames.
    """
    seconds: list[Stretch] = []
    shots: list[Stretch] = []
    second, shot = _Part(0), _Part(0)
    looker = _Looker(rate)
    count = 0
    for known in looker.all(_counted(frames, progress)):
        count += 1
        if known.number != second.number:
            seconds += second.closed()
            second = _Part(known.number)
        if known.new_shot:
            shots += shot.closed()
            shot = _Part(0)
        second.add(known)
        shot.add(known)
    seconds += second.closed()
    shots += shot.closed()
    if count < 2:
        raise VideoError(f"there {'is 1 frame' if count else 'are 0 frames'} to look at; flicker takes two at least")
    return Check(mean([(one.figures, one.frames) for one in seconds]), seconds, shots, count)


def _counted(frames: Iterable[Frame], progress: Callable[[int], None] | None) -> Iterator[Frame]:
    for number, frame in enumerate(frames, 1):
        yield frame
        if progress is not None:
            progress(number)


@dataclass
class _Side:
    """One frame of one video: what is known of it as soon as its light is."""

    level: float
    spread: float
    pair: tuple[Change | None, float] | None = None
    flicker: float = 0.0


@dataclass
class _Known:
    """A frame of which all is known."""

    time: float
    number: int  # of the second
    new_shot: bool
    sides: list[_Side]
    alike: float


class _Looker:
    """Frames in, what is known of each out, half a second later."""

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._last: list[Bands] = []
        self._series: list[LightSeries] = []
        self._open: deque[_Known] = deque()
        self._flickers: list[deque[float]] = []

    def all(self, frames: Iterable[Frame]) -> Iterator[_Known]:
        for frame in frames:
            if frame.new_shot or not self._last:
                yield from self._end_shot()
            self._look(frame)
            yield from self._ready()
        yield from self._end_shot()

    def _look(self, frame: Frame) -> None:
        first = not self._last
        videos = [frame.pixels] if frame.original is None else [frame.pixels, frame.original]
        size = self._last[0].size if self._last else None
        now: list[Bands] = []
        for pixels in videos:
            now.append(split(pixels, size or (now[0].size if now else None)))
        if first:
            self._series = [LightSeries(self._rate) for _ in now]
            self._flickers = [deque() for _ in now]
        motion = None if first else find_motion(now[-1], self._last[-1])
        sides = [self._side(number, bands, motion) for number, bands in enumerate(now)]
        alike = _correlation(in_cells(now[0].light), in_cells(now[-1].light))
        time = float(frame.time)
        self._open.append(_Known(time, int(time + 1e-6), frame.new_shot, sides, alike))
        self._last = now

    def _side(self, number: int, bands: Bands, motion: Motion | None) -> _Side:
        cells = in_cells(bands.light).astype(np.float64)
        side = _Side(float(wide_square(cells)), float(cells.var(axis=(0, 1)).mean()))
        step = None
        if motion is not None:
            found = change(bands, self._last[number], motion)
            side.pair = found, float(motion.seen.mean())
            step = np.zeros_like(cells) if found is None else found.light
        self._flickers[number] += self._series[number].add(step)
        return side

    def _ready(self) -> Iterator[_Known]:
        while self._open and all(self._flickers):
            known = self._open.popleft()
            for side, flickers in zip(known.sides, self._flickers, strict=True):
                side.flicker = flickers.popleft()
            yield known

    def _end_shot(self) -> Iterator[_Known]:
        for flickers, series in zip(self._flickers, self._series, strict=True):
            flickers += series.end()
        yield from self._ready()
        self._last = []


@dataclass
class _Part:
    """A stretch that is still being summed."""

    number: int
    times: list[float] = field(default_factory=list)
    frames: int = 0
    alike: float = 0.0
    tallies: list[Tally] = field(default_factory=list)

    def add(self, known: _Known) -> None:
        self.times = [*self.times[:1], known.time]
        self.frames += 1
        self.alike += known.alike
        if not self.tallies:
            self.tallies = [Tally() for _ in known.sides]
        for tally, side in zip(self.tallies, known.sides, strict=True):
            tally.add_light(side.flicker, side.level, side.spread)
            if side.pair is not None:
                tally.add_change(*side.pair)

    def closed(self) -> list[Stretch]:
        """The stretch, if it has any frame."""
        if not self.frames:
            return []
        original = self.tallies[1] if len(self.tallies) > 1 else None
        found = figures(self.tallies[0], original, self.alike / self.frames)
        return [Stretch(self.times[0], self.times[-1], self.frames, found)]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of the grey light of two videos, over the cells."""
    a, b = (light.mean(axis=2).ravel().astype(np.float64) for light in (one, other))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-9 else 1.0
