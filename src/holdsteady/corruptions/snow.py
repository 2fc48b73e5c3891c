"""Snow: flakes of several sizes that fall, drift and sway, and a slight veil."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.particles import drawn, fallen, how_many, scattered, softened, uniform
from holdsteady.corruptions.paths import wander
from holdsteady.corruptions.weather import Scene, Weather, lit, toward


@dataclass(frozen=True)
class _Size:
    """Flakes of one size, which means of one distance. Lengths in frame heights."""

    share: float  # of all flakes
    diameter: float
    speed: float  # a frame
    opacity: float
    blur: float


# From far to near; the nearest are out of focus.
_SIZES = (
    _Size(share=0.46, diameter=0.0030, speed=0.005, opacity=0.70, blur=0.0008),
    _Size(share=0.30, diameter=0.0050, speed=0.008, opacity=0.85, blur=0.0012),
    _Size(share=0.15, diameter=0.0080, speed=0.013, opacity=0.95, blur=0.0018),
    _Size(share=0.065, diameter=0.0130, speed=0.020, opacity=0.95, blur=0.0030),
    _Size(share=0.02, diameter=0.0220, speed=0.033, opacity=0.80, blur=0.0060),
    _Size(share=0.005, diameter=0.0420, speed=0.055, opacity=0.60, blur=0.0130),
)
_SHUTTER = 0.5


class Snow(Weather):
    """Snow: flakes of several sizes that fall, drift with a changing wind and sway, and a slight veil."""

    name: ClassVar[str] = "snow"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "flakes": (250, 500, 900, 1500, 2400),
        "veil": (0.04, 0.08, 0.13, 0.2, 0.28),
    }

    flakes: float = Field(900.0, ge=0, le=20000, description="flakes in a square of the frame's height")
    veil: float = Field(0.13, ge=0, le=1, description="share of the image that far snow covers evenly")
    wind: float = Field(0.5, ge=0, le=5, description="mean drift sideways over the fall, to either side")

    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        aspect = width / height
        positions = [scattered(how_many(self.flakes * s.share, aspect), aspect, generator) for s in _SIZES]
        falls = [s.speed * (0.7 + 0.6 * uniform((len(p),), generator)) for s, p in zip(_SIZES, positions, strict=True)]
        phases = [2 * np.pi * uniform((len(p),), generator) for p in positions]
        paces = [0.06 + 0.12 * uniform((len(p),), generator) for p in positions]
        side = np.copysign(1.0, uniform((), generator) - 0.5)
        gusts = wander((), 30, generator)

        def change(image: Tensor) -> Tensor:
            drift = side * self.wind + 0.25 * float(next(gusts))
            clear = np.ones((height, width), np.float32)
            for index, size in enumerate(_SIZES):
                phases[index] = phases[index] + paces[index]
                sideways = drift + 0.6 * np.sin(phases[index])
                velocity = falls[index][:, None] * np.stack((sideways, np.ones_like(sideways)), axis=1)
                tails = positions[index] - _SHUTTER * velocity
                layer = drawn(positions[index], tails, height, width, size.diameter * height)
                clear *= 1 - size.opacity * softened(layer, size.blur * height)
                positions[index] = fallen(positions[index], velocity, aspect, generator)
            white = lit(image, 0.7, 1.0)
            hazy = toward(image, 0.9 * white, self.veil)
            return toward(hazy, white, torch.from_numpy(1 - clear).to(image.device))

        return change
