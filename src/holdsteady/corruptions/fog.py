"""Fog: a soft field that drifts before the image."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.field import drifting_field
from holdsteady.corruptions.particles import uniform
from holdsteady.corruptions.weather import Scene, Weather, toward


class Fog(Weather):
    """Fog: the airlight replaces 1 − exp(−τ) of the image (Koschmieder), τ a soft field that drifts.

    Thicker toward the top of the image, which is mostly farther away.
    """

    name: ClassVar[str] = "fog"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"density": (0.3, 0.55, 0.9, 1.4, 2.2)}

    density: float = Field(0.9, ge=0, le=20, description="mean optical depth τ")
    speed: float = Field(0.006, ge=0, le=1, description="of the drift, in frame heights per frame")

    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        field = drifting_field(height, width, self.speed, generator)
        airlight = 0.72 + 0.16 * float(uniform((), generator))
        distance = torch.linspace(1.35, 0.65, height)[:, None]

        def change(image: Tensor) -> Tensor:
            depth = self.density * distance * (0.2 + 1.6 * next(field))
            return toward(image, airlight, (1 - torch.exp(-depth)).to(image.device))

        return change
