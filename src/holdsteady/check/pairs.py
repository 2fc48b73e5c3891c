"""What changes from one frame to the next that motion does not explain."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdsteady.check.bands import OCTAVES, Array, Bands, in_cells, moved
from holdsteady.check.motion import Motion

# A cell is known where this share of it can be followed, a pair of frames where this share of the picture can.
_KNOWN = 0.1


@dataclass(frozen=True)
class Change:
    """From a frame to the next, along the motion, over the places that can be followed.

    Attributes:
        light: change of the light of each cell and channel (h, w, 3).
        changing: half the mean squared change of each octave of detail, finest first, and of all detail together:
            its variance, if it is fresh in each frame.
        lasting: mean product of the detail of both frames, likewise: the energy of what stays.
    """

    light: npt.NDArray[np.float64]
    changing: npt.NDArray[np.float64]
    lasting: npt.NDArray[np.float64]


def change(present: Bands, previous: Bands, motion: Motion) -> Change | None:
    """The change between two frames; None if hardly anything can be followed."""
    mask = motion.seen.astype(np.float32)
    if mask.mean() < _KNOWN:
        return None
    before, light = moved(previous.picture, motion.flow), moved(previous.light, motion.flow)
    known = in_cells(mask)
    weight = np.maximum(known, np.float32(1e-6))[..., None]
    difference = in_cells(mask[..., None] * (present.picture - before)) / weight
    certain = known >= _KNOWN
    difference[~certain] = np.median(difference[certain], axis=0) if certain.any() else 0
    # Light that changes takes the contrast of the detail along: a fade is no flicker of the detail.
    gain = np.clip((present.light + 0.01) / (light + 0.01), 0.5, 2)
    details = [(now, moved(then, motion.flow)) for now, then in zip(present.detail, previous.detail, strict=True)]
    details.append((present.picture - present.light, before - light))
    energies = np.array([_energies(now, then, gain, mask) for now, then in details])
    assert len(energies) == OCTAVES + 1
    return Change(difference.astype(np.float64), energies[:, 0], energies[:, 1])


def _energies(now: Array, then: Array, gain: Array, mask: Array) -> tuple[float, float]:
    """Of one octave, what changes and what lasts; with the gain of the light or without, whichever explains more."""
    count = float(mask.sum()) * now.shape[2]
    now = now * mask[..., None]
    choices = []
    for explained in (then, gain * then):
        left = now - explained * mask[..., None]
        choices.append((float(np.vdot(left, left)) / (2 * count), float(np.vdot(now, explained)) / count))
    return min(choices)
