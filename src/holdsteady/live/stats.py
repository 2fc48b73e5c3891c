"""What a live run measures."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

_RECENT = 120  # frames that the status line is about


@dataclass
class Stats:
    """Times of frames, in seconds.

    Attributes:
        frames: shown.
        dropped: replaced by newer ones before the model was free.
        seconds: since the first frame came.
        last_latency, last_work: of the last frame: from its coming to its being shown, and of that what the model took.
    """

    frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    last_latency: float = 0.0
    last_work: float = 0.0
    _latency: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _work: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def add(self, latency: float, work: float) -> None:
        """One more frame: from its coming to its being shown, and of that what the model took."""
        self.frames += 1
        self.last_latency, self.last_work = latency, work
        self._latency.append(latency)
        self._work.append(work)

    def latency(self, share: float) -> float:
        """What so large a share of the recent frames stayed under; 0 before there is one."""
        return float(np.quantile(self._latency, share)) if self._latency else 0.0

    @property
    def work(self) -> float:
        """What the model took for a frame, the median of the recent ones; 0 before there is one."""
        return float(np.median(self._work)) if self._work else 0.0

    @property
    def rate(self) -> float:
        """Frames shown per second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0
