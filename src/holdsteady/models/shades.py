"""How values become shades and colours, where it does not matter whose arrays they are. Without PyTorch."""

import numpy as np
import numpy.typing as npt

# Share of the way to a new range covered per frame: about ten frames to a wider one, fifty to a narrower one.
_WIDEN, _NARROW = 0.1, 0.02
#: Shares of the pixels that may be outside the range: a few outliers must not make everything else black.
TAIL = 0.002
#: Values that are looked at to find it.
MOST_SAMPLES = 1 << 16


class Range:
    """The range by which depth is shown, ``ends``: of a shot's first frame, then following slowly, without flicker."""

    def __init__(self) -> None:
        self.ends: tuple[float, float] | None = None

    def reset(self) -> None:
        """A new shot begins: forget the range."""
        self.ends = None

    def follow(self, low: float, high: float) -> tuple[float, float]:
        """The range of the shot with one more map in it, whose own range is given."""
        if self.ends is not None:
            # Narrows slowly: what was seen a moment ago tends to come back.
            low = self.ends[0] + (_WIDEN if low < self.ends[0] else _NARROW) * (low - self.ends[0])
            high = self.ends[1] + (_WIDEN if high > self.ends[1] else _NARROW) * (high - self.ends[1])
        self.ends = low, high
        return self.ends


def colours_of_classes(classes: int) -> npt.NDArray[np.float32]:
    """Colours (classes, 3) in [0, 1] that tell neighbouring classes apart; the first, the background, is black."""
    number = np.arange(classes, dtype=np.float32)[:, None]
    # Steps by the golden ratio never come near an old hue soon.
    hue = (number * np.float32(0.618034) + np.asarray([0.0, 1 / 3, 2 / 3], np.float32)) % 1
    colours = 0.5 + 0.5 * np.cos(2 * np.pi * hue)
    colours[0] = 0
    return colours.astype(np.float32)
