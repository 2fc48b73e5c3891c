"""A number for each frame and figure."""

from collections.abc import Mapping
from math import fsum, nan


class Series:
    """Figures as they come, frame by frame. One that is not measured of a frame is left out there."""

    def __init__(self) -> None:
        # None where a figure was not measured: NaN is a measured value, of a frame with NaN in it.
        self._values: dict[str, list[float | None]] = {}
        self._frames = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """What was measured of the next frame."""
        for name in figures:
            self._values.setdefault(name, [None] * self._frames)
        for name, series in self._values.items():
            series.append(figures.get(name))
        self._frames += 1

    def compute(self) -> dict[str, float]:
        """Mean of each figure over the frames where it was measured; figures never measured are absent."""
        measured = {name: [v for v in series if v is not None] for name, series in self._values.items()}
        return {name: fsum(values) / len(values) for name, values in measured.items()}

    def per_frame(self) -> dict[str, list[float]]:
        """Each figure for every frame so far; NaN where it was not measured."""
        return {name: [nan if v is None else v for v in series] for name, series in self._values.items()}
