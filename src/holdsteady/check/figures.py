"""From sums over frames to figures that can be compared between videos."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from holdsteady.check.bands import OCTAVES
from holdsteady.check.pairs import Change

#: What is just noticeable: flicker of the light as a share of it (de Lange 1958: about 0.5 % at 10 Hz), and a change
#: of detail as a share of its contrast, which hides what is far below it (Legge and Foley 1980: a tenth to a fifth).
SEEN_LIGHT, SEEN_DETAIL = 0.005, 0.10
# In the dark the eye sees no share of the light: this, a mean of squares, is added to it.
_DARK = 0.03**2
# Energies of the octaves that rounding to 8 bits alone makes; with four times that there is detail.
_ROUNDING = np.array([0.073 / 4**octave for octave in range(OCTAVES)]) / (12 * 255**2)
_DETAIL = 4 * _ROUNDING
# Detail far below the contrast of the picture, in amplitude, is not seen at all: gradients and blank walls are steady.
_FAINT = 0.02
# Amplitude of the finest octave beside the coarsest in usual pictures. Blur takes more from noise, which is fine, than
# from the picture. The power by which that is counted back makes noisy clips (carphone, box, cup, tree, ferris, bunny,
# nasa, noise of 8/255) gain nothing, on average, from a blur of 2 pixels.
_SHARPNESS, _POWER, _MOST = 0.6, 0.8, 3.0
# Videos whose light is less alike than this don't show the same picture, as depth and the photograph don't.
_ALIKE = 0.5


@dataclass
class Tally:
    """Sums over the frames of a stretch of video.

    Attributes:
        frames, light, level, spread: frames whose light is known; sums of the mean squares of its flicker and of the
            light itself, and of its variance over the picture.
        pairs, seen: pairs of frames that could be compared, and the share of the picture in which.
        missed: pairs in which hardly anything could be followed.
        changing, lasting: sums of the energies of :class:`Change`.
    """

    frames: int = 0
    light: float = 0.0
    level: float = 0.0
    spread: float = 0.0
    pairs: int = 0
    missed: int = 0
    seen: float = 0.0
    changing: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(OCTAVES + 1))
    lasting: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(OCTAVES + 1))

    def add_light(self, flicker: float, level: float, spread: float) -> None:
        """One frame."""
        self.frames += 1
        self.light += flicker
        self.level += level
        self.spread += spread

    def add_change(self, found: Change | None, seen: float) -> None:
        """One pair of frames, and the share of the picture that can be followed."""
        if found is None:
            self.missed += 1
            return
        self.pairs += 1
        self.seen += seen
        self.changing += found.changing
        self.lasting += found.lasting

    @property
    def wide(self) -> float:
        """RMS flicker of the light as a share of it."""
        return math.sqrt(max(0.0, self.light) / max(self.level + _DARK * self.frames, 1e-12))

    @property
    def detail(self) -> float:
        """Share of the detail that changes: √(1 − ρ), ρ its correlation from frame to frame along the motion.

        All octaves count alike; one that is empty counts as the worst of the others, and softness is counted back, so
        that a video gains nothing by blur.
        """
        lasting = np.maximum(self.lasting[:OCTAVES], 0)
        changing = np.maximum(self.changing[:OCTAVES] - _ROUNDING * self.pairs, 0)
        total = lasting + changing
        alive = total > _DETAIL * max(self.pairs, 1)
        if not alive.any():
            return 0.0
        faint = _FAINT**2 * self.spread * self.pairs / max(self.frames, 1)
        shares = changing[alive] / (total[alive] + faint)
        mean = math.sqrt((shares.sum() + (~alive).sum() * shares.max()) / OCTAVES)
        return min(1.0, mean * self._softness)

    @property
    def _softness(self) -> float:
        """What the detail is to be multiplied by because the picture is softer, or sharper, than pictures are."""
        fine, coarse = (math.sqrt(max(self.lasting[octave], 0.0)) for octave in (0, OCTAVES - 1))
        return min(_MOST, (_SHARPNESS * coarse / max(fine, 1e-9)) ** _POWER) if coarse else 1.0

    @property
    def levels(self) -> float:
        """What is fresh in the detail of each frame, its standard deviation in 255ths of white."""
        return 255 * math.sqrt(self.changing[OCTAVES] / max(self.pairs, 1))


@dataclass(frozen=True)
class Figures:
    """How unsteady a stretch of video is.

    Attributes:
        score: in units of what is just noticeable: below 1 the eye finds nothing, 3 is obvious. With an original, lost
            detail counts too.
        wide: flicker of the light, as a share of it. With an original: what was added to its own.
        detail: share of the detail that changes from frame to frame. With an original: likewise.
        levels: fresh detail of each frame as a standard deviation in 255ths of white; the noise, if it is noise.
        lost: share of the original's lasting detail that is gone, in amplitude; None where there is no original, or
            the videos don't show the same picture.
        followed: share of the picture whose motion could be followed.
        missed: share of the frames that could not be compared with the one before at all.
        source_wide, source_detail: of the original.
    """

    score: float
    wide: float
    detail: float
    levels: float
    lost: float | None
    followed: float
    missed: float
    source_wide: float | None = None
    source_detail: float | None = None


def figures(video: Tally, original: Tally | None = None, alike: float = 0.0) -> Figures:
    """The figures of a stretch.

    Args:
        video: its sums.
        original: those of the same stretch before it was processed, along the same motion.
        alike: correlation of the light of both.
    """
    wide, detail, lost = video.wide, video.detail, None
    if original is not None:
        wide = math.sqrt(max(0.0, wide**2 - original.wide**2))
        detail = math.sqrt(max(0.0, detail**2 - original.detail**2))
        lost = _lost(video, original) if alike >= _ALIKE else None
    compared = max(video.pairs + video.missed, 1)
    return Figures(
        score=math.hypot(wide / SEEN_LIGHT, detail / SEEN_DETAIL, (lost or 0.0) / SEEN_DETAIL),
        wide=wide,
        detail=detail,
        levels=video.levels,
        lost=lost,
        followed=video.seen / max(video.pairs, 1),
        missed=video.missed / compared,
        source_wide=None if original is None else original.wide,
        source_detail=None if original is None else original.detail,
    )


def _lost(video: Tally, original: Tally) -> float | None:
    """How much less lasting detail there is beside the contrast of the whole picture, mean over the octaves."""
    before, after = (np.maximum(one.lasting[:OCTAVES], 0) / max(one.spread, 1e-12) for one in (original, video))
    alive = original.lasting[:OCTAVES] > _DETAIL * max(original.pairs, 1)
    if not alive.any():
        return None
    return float(np.maximum(0, 1 - np.sqrt(after[alive] / before[alive])).mean())


def mean(parts: list[tuple[Figures, int]]) -> Figures:
    """The figures of a whole video from those of its seconds: root mean squares, each second by its frames.

    Args:
        parts: figures, and the frames they stand for.
    """

    def rms(name: str) -> float:
        known = [(getattr(part, name), count) for part, count in parts if getattr(part, name) is not None]
        return math.sqrt(sum(value**2 * count for value, count in known) / max(sum(count for _, count in known), 1))

    def rms_if_known(name: str) -> float | None:
        return rms(name) if any(getattr(part, name) is not None for part, _ in parts) else None

    return Figures(
        **{name: rms(name) for name in ("score", "wide", "detail", "levels", "followed", "missed")},
        **{name: rms_if_known(name) for name in ("lost", "source_wide", "source_detail")},  # type: ignore[arg-type]
    )
