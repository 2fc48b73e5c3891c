"""Rain: slanted streaks at several depths, and a slight veil."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.particles import Layer, Points, drawn, fallen, how_many, scattered, softened, uniform
from holdsteady.corruptions.paths import wander
from holdsteady.corruptions.weather import Scene, Weather, lit, toward


@dataclass(frozen=True)
class _Depth:
    """Rain at one distance. Lengths in frame heights."""

    share: float  # of all drops
    speed: float  # a frame
    thickness: float
    opacity: float
    blur: float


# From far to near. The length of a streak is what a drop falls in half a frame, a shutter of 180°.
_DEPTHS = (
    _Depth(share=0.55, speed=0.06, thickness=0.0016, opacity=0.30, blur=0.0),
    _Depth(share=0.28, speed=0.11, thickness=0.0026, opacity=0.42, blur=0.0008),
    _Depth(share=0.14, speed=0.20, thickness=0.0040, opacity=0.45, blur=0.0015),
    _Depth(share=0.03, speed=0.36, thickness=0.0090, opacity=0.30, blur=0.0050),
)
_SHUTTER = 0.5


class Rain(Weather):
    """Rain: slanted streaks at several depths, driven by a wind that changes slowly, and a slight veil."""

    name: ClassVar[str] = "rain"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "streaks": (120, 250, 450, 800, 1400),
        "veil": (0.04, 0.08, 0.12, 0.18, 0.25),
    }

    streaks: float = Field(450.0, ge=0, le=20000, description="streaks in a square of the frame's height")
    veil: float = Field(0.12, ge=0, le=1, description="share of the image that far rain covers evenly")
    slant: float = Field(12.0, ge=0, le=60, description="mean angle off the vertical, in degrees, to either side")

    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        aspect = width / height
        positions = [scattered(how_many(self.streaks * d.share, aspect), aspect, generator) for d in _DEPTHS]
        # Drops of one distance are not quite of one speed.
        speeds = [
            d.speed * (0.8 + 0.4 * uniform((len(p), 1), generator)) for d, p in zip(_DEPTHS, positions, strict=True)
        ]
        side = math.copysign(1.0, uniform((), generator) - 0.5)
        gusts = wander((), 40, generator)

        def change(image: Tensor) -> Tensor:
            slant = math.radians(side * self.slant + 2.5 * float(next(gusts)))
            down = np.array([math.sin(slant), math.cos(slant)])
            clear = np.ones((height, width), np.float32)
            for index, depth in enumerate(_DEPTHS):
                velocity = speeds[index] * down
                clear *= 1 - _streaks(positions[index], velocity, depth, height, width)
                positions[index] = fallen(positions[index], velocity, aspect, generator)
            light = lit(image, 0.45, 1.0)
            hazy = toward(image, light, self.veil)
            return toward(hazy, light, torch.from_numpy(1 - clear).to(image.device))

        return change


def _streaks(heads: Points, velocity: Points, depth: _Depth, height: int, width: int) -> Layer:
    """Coverage (H, W) by the streaks of one depth, fainter toward their ends."""
    tails = heads - _SHUTTER * velocity
    thickness = depth.thickness * height
    whole = drawn(heads, tails, height, width, thickness)
    core = drawn(0.8 * heads + 0.2 * tails, 0.25 * heads + 0.75 * tails, height, width, thickness)
    return depth.opacity * softened(0.45 * whole + 0.55 * core, depth.blur * height)
