"""Spatter: drops of water on the lens, which stay, and now and then run down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions.elastic import moved
from holdsteady.corruptions.particles import Points, uniform
from holdsteady.corruptions.weather import Scene, Weather

Values = npt.NDArray[np.float64]
Maps = npt.NDArray[np.float32]

# Drops, lengths in frame heights: median radius, spread of its logarithm, largest.
_RADIUS, _SPREAD, _LARGEST = 0.016, 0.55, 0.06
# A drop shows the scene upside down and this much smaller.
_SHRINK = 4.0


@dataclass
class Drops:
    """Drops on the lens, arrays (N, …), lengths in frame heights."""

    centres: Points
    radii: Values
    shapes: Values  # (N, 4): strengths and phases of two waves around the edge
    grown: Values  # from 0, just landed, to 1
    speeds: Values  # downward, a frame
    running: npt.NDArray[np.bool_]

    def changing(self) -> npt.NDArray[np.bool_]:
        """Which look otherwise in the next frame."""
        return (self.speeds > 0) | (self.grown < 1)


@dataclass(frozen=True)
class _Patch:
    """What a drop does to the pixels of its window, (5, h, w).

    Where the image inside comes from, as a displacement to the right and down in pixels; the factor and the
    addition of its shading; and its opacity.
    """

    window: tuple[slice, slice]
    maps: Maps


class Spatter(Weather):
    """Drops of water on the lens: each shows the scene upside down, stays, and sometimes runs down and is replaced."""

    name: ClassVar[str] = "spatter"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"coverage": (0.03, 0.07, 0.13, 0.22, 0.35)}

    coverage: float = Field(0.13, ge=0, le=1, description="area of all drops over that of the frame")

    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        aspect = width / height
        drops = landed(round(self.coverage * aspect / _mean_area()), aspect, generator)
        patches = [_patch(drops, index, height, width) for index in range(len(drops.radii))]

        def change(image: Tensor) -> Tensor:
            maps = torch.from_numpy(_together(patches, height, width)).to(image.device)
            run(drops, aspect, generator)
            for index in np.flatnonzero(drops.changing()):
                patches[index] = _patch(drops, int(index), height, width)
            # A drop shows a large part of the scene small: average first, or it would sparkle.
            small = F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
            inside = moved(small, maps[None, :2]) * maps[2] + maps[3]
            return image + maps[4] * (inside - image)

        return change


def _mean_area() -> float:
    """Of a drop, in squares of the frame's height; the largest are so rare that the limit does not matter."""
    return float(np.pi * _RADIUS**2 * np.exp(2 * _SPREAD**2))


def landed(count: int, aspect: float, generator: torch.Generator) -> Drops:
    """New drops anywhere in a frame ``aspect`` wide and 1 high, at rest."""
    sizes = torch.randn(count, generator=generator, dtype=torch.float64).numpy()
    return Drops(
        centres=uniform((count, 2), generator) * (aspect, 1.0),
        radii=np.minimum(_RADIUS * np.exp(_SPREAD * sizes), _LARGEST),
        shapes=uniform((count, 4), generator) * (0.16, 0.10, 2 * np.pi, 2 * np.pi),
        grown=np.ones(count),
        speeds=np.zeros(count),
        running=np.zeros(count, np.bool_),
    )


def run(drops: Drops, aspect: float, generator: torch.Generator) -> None:
    """Move the drops by a frame: the larger a drop, the sooner it runs; it stops again, or leaves and is replaced."""
    count = len(drops.radii)
    weight = drops.radii / _LARGEST
    chance = uniform((count,), generator)
    drops.running = np.where(drops.running, chance > 0.02, chance < 0.02 * weight**2)
    drops.speeds += 0.15 * (np.where(drops.running, 0.016 * weight, 0.0) - drops.speeds)
    drops.speeds[drops.speeds < 1e-5] = 0.0
    sway = 0.5 * (uniform((count,), generator) - 0.5) * drops.speeds
    drops.centres = drops.centres + np.stack((sway, drops.speeds), axis=1)
    drops.grown += 0.2 * (1 - drops.grown)
    drops.grown[drops.grown > 0.999] = 1.0
    gone = drops.centres[:, 1] > 1 + 2 * drops.radii
    if gone.any():
        fresh = landed(int(gone.sum()), aspect, generator)
        drops.centres[gone], drops.radii[gone], drops.shapes[gone] = fresh.centres, fresh.radii, fresh.shapes
        drops.grown[gone], drops.speeds[gone], drops.running[gone] = 0.0, 0.0, False


def _together(patches: list[_Patch], height: int, width: int) -> Maps:
    """All patches on one frame, (5, H, W); where drops overlap, the more opaque one is seen."""
    maps = np.zeros((5, height, width), np.float32)
    for patch in patches:
        there = maps[(slice(None), *patch.window)]
        np.copyto(there, patch.maps, where=patch.maps[4] > there[4])
    return maps


def _patch(drops: Drops, index: int, height: int, width: int) -> _Patch:
    """One drop in a frame of this size."""
    radius = np.float32(max(1e-3, drops.radii[index] * drops.grown[index] * height))
    x, y = (drops.centres[index] * height).astype(np.float32)
    # A drop that runs is drawn out, and looks as wide as before.
    stretch = np.float32(1 + 25 * drops.speeds[index])
    reach = float(1.3 * radius * stretch + 2)
    left, right = np.clip((int(x - reach), int(x + reach) + 1), 0, width)
    top, bottom = np.clip((int(y - reach), int(y + reach) + 1), 0, height)
    dx = (np.arange(left, right, dtype=np.float32) + np.float32(0.5) - x)[None, :]
    dy = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5) - y)[:, None]
    wave2, wave3, phase2, phase3 = drops.shapes[index].astype(np.float32)
    angle = np.arctan2(dy, dx)
    edge = 1 + wave2 * np.cos(2 * angle + phase2) + wave3 * np.cos(3 * angle + phase3)
    across = np.minimum(np.hypot(dx, dy / stretch) / (radius * edge), 2)
    # Edges are some pixels wide, for drops on a lens are not in focus.
    opacity = 0.95 * np.clip((1 - across) * radius / max(np.float32(1.0), 0.16 * radius), 0, 1)
    source = -1 - np.float32(_SHRINK) * (1 - 0.3 * across**2)
    glint = np.hypot(dx + 0.35 * radius, dy + 0.4 * radius) / (0.18 * radius + 0.5)
    dark, bright = 1 - 0.45 * np.minimum(across, 1) ** 4, 0.35 * np.exp(-(glint**2))
    return _Patch((slice(top, bottom), slice(left, right)), np.stack((source * dx, source * dy, dark, bright, opacity)))
