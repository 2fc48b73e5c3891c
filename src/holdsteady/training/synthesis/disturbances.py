"""What disturbs a video frame by frame: at the sensor or in the file, and in what a model makes of it.

Each maker takes a generator and gives a disturbance, a function of a clip (T, C, H, W) that draws from that
generator afresh for each frame.
"""

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions import corrupt_clip, make_corruption
from holdsteady.training.synthesis.draws import choose, choose_maker, log_uniform, uniform, wander
from holdsteady.training.synthesis.operators import blur, random_network

Disturbance = Callable[[Tensor], Tensor]


def no_disturbance(_random: torch.Generator) -> Disturbance:
    """Nothing at all."""
    return lambda clip: clip


# --- Of the input, in [0, 1] ---


def white_noise(random: torch.Generator) -> Disturbance:
    """Gaussian noise of one strength."""
    sigma = log_uniform(random, 0.005, 0.2)
    return lambda clip: (clip + sigma * _normal(clip, random)).clamp(0, 1)


def sensor_noise(random: torch.Generator) -> Disturbance:
    """Noise whose variance is affine in the brightness, as photons and read-out give it (Foi et al. 2008)."""
    gain, read = log_uniform(random, 1e-4, 2e-2), log_uniform(random, 1e-3, 3e-2)
    return lambda clip: (clip + (gain * clip + read**2).sqrt() * _normal(clip, random)).clamp(0, 1)


def correlated_noise(random: torch.Generator) -> Disturbance:
    """Grain: noise with a size, as cameras leave after demosaicing and smoothing."""
    sigma, size, grey = log_uniform(random, 0.005, 0.12), uniform(random, 0.5, 2.0), uniform(random, 0, 1)

    def disturb(clip: Tensor) -> Tensor:
        noise = _normal(clip, random)
        noise = blur(grey * noise[:, :1] + (1 - grey) * noise, size)
        return (clip + sigma * noise / noise.std()).clamp(0, 1)

    return disturb


def half_colour_noise(random: torch.Generator) -> Disturbance:
    """White noise as a 4:2:0 file has it: what is colour lies at half the resolution."""
    sigma = log_uniform(random, 0.01, 0.15)

    def disturb(clip: Tensor) -> Tensor:
        noisy = clip + sigma * _normal(clip, random)
        grey = noisy.mean(dim=1, keepdim=True)
        colour = F.avg_pool2d(noisy - grey, 2, ceil_mode=True, count_include_pad=False)
        return (grey + F.interpolate(colour, size=clip.shape[-2:], mode="bilinear")).clamp(0, 1)

    return disturb


def jpeg(random: torch.Generator) -> Disturbance:
    """JPEG of each frame, after a little noise."""
    sigma, corruption = (
        log_uniform(random, 0.002, 0.05),
        make_corruption(f"jpeg:quality={round(uniform(random, 15, 85))}"),
    )
    return lambda clip: corrupt_clip(corruption, (clip + sigma * _normal(clip, random)).clamp(0, 1), random)


#: Makers of disturbances of the input.
OF_INPUT = (white_noise, sensor_noise, correlated_noise, half_colour_noise, jpeg)


def input_disturbance(random: torch.Generator, left_out: Collection[str] = ()) -> Disturbance:
    """One of ``OF_INPUT``, of which some may be left out, by name."""
    return choose_maker(random, OF_INPUT, left_out, (3.0, 2.0, 2.0, 1.0, 1.5))(random)


# --- Of the output, of any range ---


def exposure(random: torch.Generator) -> Disturbance:
    """All of a frame brighter or darker."""
    sigma = log_uniform(random, 0.02, 0.15)
    return lambda clip: clip * torch.exp(sigma * wander(random, len(clip), 1, 1, 1))


def white_balance(random: torch.Generator) -> Disturbance:
    """Each channel by itself brighter or darker."""
    sigma = log_uniform(random, 0.015, 0.1)
    return lambda clip: clip * torch.exp(sigma * wander(random, len(clip), clip.shape[1], 1, 1))


def tone(random: torch.Generator) -> Disturbance:
    """A power of the values, which are in [0, 1]."""
    sigma = log_uniform(random, 0.03, 0.2)
    return lambda clip: clip.clamp(1e-4, 1) ** torch.exp(sigma * wander(random, len(clip), 1, 1, 1))


def soft_field(random: torch.Generator) -> Disturbance:
    """Soft spots of light and shade."""
    sigma, knots = log_uniform(random, 0.03, 0.15), choose(random, (2, 3, 4, 6))

    def disturb(clip: Tensor) -> Tensor:
        field = wander(random, len(clip), 1, knots, knots)
        return clip * torch.exp(sigma * F.interpolate(field, size=clip.shape[-2:], mode="bicubic"))

    return disturb


def texture(random: torch.Generator) -> Disturbance:
    """Noise of a random spectrum, from white to cloudy, of the strength of a share of the clip's own contrast."""
    share, slope, grey = log_uniform(random, 0.03, 0.5), uniform(random, 0.0, 2.0), uniform(random, 0, 1)

    def disturb(clip: Tensor) -> Tensor:
        noise = _normal(clip, random)
        noise = grey * noise[:, :1] + (1 - grey) * noise
        height, width = clip.shape[-2:]
        frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
        spectrum = torch.fft.rfft2(noise) * frequency.clamp_min(1 / max(height, width)) ** -slope
        noise = torch.fft.irfft2(spectrum, s=(height, width))
        return clip + share * clip.std() * noise / noise.std().clamp_min(1e-12)

    return disturb


def change_of_parameters(random: torch.Generator) -> Disturbance:
    """As if the model's own weights shook: more or less of a second, random network in each frame."""
    share, network = log_uniform(random, 0.02, 0.15), random_network(random)

    def disturb(clip: Tensor) -> Tensor:
        if clip.shape[1] != 3:
            return clip
        return clip + share * wander(random, len(clip), 1, 1, 1) * (network(clip) - 0.5)

    return disturb


def scale_and_shift(random: torch.Generator) -> Disturbance:
    """The drift of relative depth: another scale and shift in each frame."""
    sigma, shift = log_uniform(random, 0.02, 0.15), log_uniform(random, 0.01, 0.1)

    def disturb(clip: Tensor) -> Tensor:
        scale = torch.exp(sigma * wander(random, len(clip), 1, 1, 1))
        return scale * clip + shift * clip.std() * math.sqrt(12) * wander(random, len(clip), 1, 1, 1)

    return disturb


def wide_flicker(random: torch.Generator) -> Disturbance:
    """One of those that change all of a frame or wide parts of it."""
    return choose(random, (exposure, white_balance, tone, soft_field, change_of_parameters))(random)


def _normal(clip: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(clip.shape, generator=random)
