"""Noise of sensors and of transmission, fresh for each frame.

Not torchvision's ``GaussianNoise``: it draws from the global generator of the frame's device, so that a stream of its
own seed could not be replayed; the other kinds of noise it does not have.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

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


class Grain(Corruption):
    """Noise as footage has it: of variance σ² + gain · x, with a size, and one of its own where it is colour.

    Cameras and codecs smooth the noise of the sensor, colour more than brightness. At the defaults of ``size``,
    ``colour`` and ``colour_size`` it is white, and independent in the three channels.
    """

    name: ClassVar[str] = "grain"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "sigma": (0.005, 0.01, 0.02, 0.03, 0.05),
        "gain": (0.0005, 0.001, 0.002, 0.004, 0.008),
    }

    sigma: float = Field(0.02, ge=0, le=1, description="standard deviation at black; frames are in [0, 1]")
    gain: float = Field(0.002, ge=0, le=1, description="how much the variance grows from black to white")
    size: float = Field(0.0, ge=0, le=5, description="standard deviation of a Gaussian over the grey part, in pixels")
    colour: float = Field(2 / 3, ge=0, le=1, description="share of the variance that is colour, not grey")
    colour_size: float = Field(0.0, ge=0, le=5, description="as size, over the colour part")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        def change(frame: Tensor) -> Tensor:
            batch, channels, *size = frame.shape
            colour = self.colour if channels > 1 else 0.0
            noise = math.sqrt(1 - colour) * soft_noise((batch, 1, *size), self.size, generator)
            if colour:
                own = soft_noise((batch, channels, *size), self.colour_size, generator)
                own = own - own.mean(dim=1, keepdim=True)
                noise = noise + math.sqrt(colour * channels / (channels - 1)) * own
            return frame + (self.sigma**2 + self.gain * frame).sqrt() * noise.to(frame.device)

        return change


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


def soft_noise(shape: tuple[int, ...], size: float, generator: torch.Generator) -> Tensor:
    """Normal noise (B, C, H, W) of variance one after a Gaussian of a standard deviation in pixels."""
    weights = soft_weights(size)
    reach = len(weights) // 2
    batch, channels, height, width = shape
    noise = torch.randn(batch * channels, 1, height + 2 * reach, width + 2 * reach, generator=generator)
    if reach:
        noise = F.conv2d(F.conv2d(noise, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return noise.view(shape)


def soft_weights(size: float) -> Tensor:
    """A Gaussian over places one pixel apart, (2·R + 1,), whose squares sum to one."""
    reach = math.ceil(3 * size)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(size, 1e-3)) ** 2)
    return weights / weights.square().sum().sqrt()


def _photons(frame: Tensor, peak: float, generator: torch.Generator) -> Tensor:
    # Counted on the CPU, where the generator is.
    counts = torch.poisson(frame.cpu().clamp_min(0) * peak, generator=generator)
    return counts.to(frame.device) / peak
