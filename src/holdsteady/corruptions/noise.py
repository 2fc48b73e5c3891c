"""Noise of sensors and of transmission, fresh for each frame.

Not torchvision's ``GaussianNoise``: it draws from the global generator of the frame's device, so that a stream of its
own seed could not be replayed; the other kinds of noise it does not have.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream


class Gaussian(Corruption):
    """Gaussian noise, x + σ n; 0.1 is the moderate noise of arXiv 2512.03014, 0.2 the strong."""

    name: ClassVar[str] = "gaussian"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"sigma": (0.05, 0.1, 0.15, 0.2, 0.3)}

    sigma: float = Field(0.1, ge=0, description="standard deviation; frames are in [0, 1]")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        return lambda frame: _with_normal(frame, self.sigma, generator)


class Poisson(Corruption):
    """Shot noise of few photons: Poisson(peak · x) / peak, of variance x / peak."""

    name: ClassVar[str] = "poisson"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"peak": (200, 100, 50, 25, 10)}

    peak: float = Field(50.0, gt=0, le=1e6, description="photons that make white")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        return lambda frame: _photons(frame, self.peak, generator)


class PoissonGaussian(Corruption):
    """Noise of a camera's sensor: shot noise and Gaussian noise of reading it out, of variance x / peak + σ²."""

    name: ClassVar[str] = "poisson-gaussian"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "peak": (200, 100, 50, 25, 10),
        "sigma": (0.02, 0.04, 0.06, 0.08, 0.1),
    }

    peak: float = Field(50.0, gt=0, le=1e6, description="photons that make white")
    sigma: float = Field(0.06, ge=0, description="standard deviation of the readout; frames are in [0, 1]")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        return lambda frame: _with_normal(_photons(frame, self.peak, generator), self.sigma, generator)


class Impulse(Corruption):
    """Salt and pepper: pixels, all channels together, that become white or black."""

    name: ClassVar[str] = "impulse"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "salt": (0.01, 0.025, 0.05, 0.1, 0.2),
        "pepper": (0.01, 0.025, 0.05, 0.1, 0.2),
    }

    salt: float = Field(0.05, ge=0, le=0.5, description="share of the pixels that become white")
    pepper: float = Field(0.05, ge=0, le=0.5, description="share of the pixels that become black")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        def change(frame: Tensor) -> Tensor:
            chance = torch.rand(frame.shape[0], 1, *frame.shape[2:], generator=generator).to(frame.device)
            salted = torch.where(chance < self.salt, 1.0, frame)
            return torch.where(chance >= 1 - self.pepper, 0.0, salted)

        return change


def _with_normal(frame: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return frame + sigma * torch.randn(frame.shape, generator=generator).to(frame.device)


def _photons(frame: Tensor, peak: float, generator: torch.Generator) -> Tensor:
    # Counted on the CPU, where the generator is.
    counts = torch.poisson(frame.cpu().clamp_min(0) * peak, generator=generator)
    return counts.to(frame.device) / peak
