"""Flicker of the light: what goes to and fro in a series, and not what goes one way, as fades and switches do."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

# Seconds of a window: what takes longer to go to and fro is no flicker.
_WINDOW = 0.6
_SMALLEST = 7
# A bend or jump stands where it leaves less than this of what a parabola leaves; fresh noise hardly ever does so.
_BETTER = 0.3


@lru_cache(maxsize=64)
def _trends(count: int) -> tuple[Matrix, ...]:
    """Orthonormal bases (count, p) of what is no flicker: a parabola; two straight lines that meet; two that don't."""
    place = np.linspace(-1, 1, count)
    degree = min(2, max(0, count - 2))
    bases = [np.stack([place**power for power in range(degree + 1)], axis=1)]
    if count >= _SMALLEST:
        for knot in range(1, count - 1):
            line = np.stack([np.ones(count), place], axis=1)
            bend = np.maximum(0, place - place[knot])
            jump = (np.arange(count) >= knot).astype(float)
            bases += [np.column_stack((line, bend)), np.column_stack((line, jump)), np.column_stack((line, bend, jump))]
    return tuple(np.linalg.qr(basis)[0] for basis in bases)


def flicker(window: Matrix) -> Matrix:
    """The mean square of the flicker at each time of a window, (T,), as :func:`wide_square` has it.

    Args:
        window: (T, h, w, C), the light of cells over time.
    """
    trends = _trends(len(window))
    series = window.reshape(len(window), -1)
    total = float((series**2).sum())
    left = [max(0.0, total - float(((basis.T @ series) ** 2).sum())) for basis in trends]
    best = int(np.argmin(left))
    basis = trends[best if left[best] < _BETTER * left[0] else 0]
    residual = series - basis @ (basis.T @ series)
    # What the fit takes: this share of fresh noise, nothing of what alternates; half-way, both are right to 5 %.
    freedom = np.maximum(1 - (basis**2).sum(axis=1), 0.1)
    square: Matrix = wide_square(residual.reshape(window.shape)) / np.sqrt(freedom)
    return square


def wide_square(cells: Matrix) -> Matrix:
    """Mean square of what is wide in cells (..., h, w, C): the mean product of neighbours.

    What goes wrong in a single cell, as an edge that was not followed well, is not alike in its neighbours and adds
    nothing on average; so a result can be below zero.
    """
    products = []
    if cells.shape[-2] > 1:
        products.append((cells[..., 1:, :] * cells[..., :-1, :]).mean(axis=(-3, -2, -1)))
    if cells.shape[-3] > 1:
        products.append((cells[..., 1:, :, :] * cells[..., :-1, :, :]).mean(axis=(-3, -2, -1)))
    mean: Matrix = np.mean(products or [(cells**2).mean(axis=(-3, -2, -1))], axis=0)
    return mean


@dataclass
class LightSeries:
    """The flicker of one shot, frame by frame, half a window late. Holds one window."""

    rate: Fraction
    _window: deque[Matrix] = field(default_factory=deque)
    _begun: bool = False

    @property
    def length(self) -> int:
        """Frames of a window, odd."""
        return max(_SMALLEST, int(_WINDOW * float(self.rate)) // 2 * 2 + 1)

    def add(self, step: Matrix | None) -> Iterator[float]:
        """The next frame.

        Args:
            step: (h, w, C), how the light of each cell changed to it; None for the first frame.

        Returns:
            The mean squares of the flicker that are now known, of earlier frames, in order.
        """
        if step is None:
            self._window.append(np.zeros(0))
        else:
            last = self._window[-1]
            self._window.append(step if last.size == 0 else last + step)
        if len(self._window) > self.length:
            self._window.popleft()
        if len(self._window) == self.length:
            middle = self.length // 2
            squares = self._squares()
            yield from squares[0 if not self._begun else middle : middle + 1]
            self._begun = True

    def end(self) -> Iterator[float]:
        """The flicker of the frames of the shot that are still open."""
        if len(self._window) > 1:
            yield from self._squares()[self.length // 2 + 1 if self._begun else 0 :]
        elif self._window:
            yield 0.0

    def _squares(self) -> list[float]:
        shape = self._window[-1].shape
        window = np.stack([np.zeros(shape) if one.size == 0 else one for one in self._window])
        return [float(value) for value in flicker(window - window.mean(axis=0))]
