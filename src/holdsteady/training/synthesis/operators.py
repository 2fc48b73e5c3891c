"""What a frame-wise model does to clean frames: fixed functions, drawn at random.

Each maker takes a generator and gives an operator: frames (T, 3, H, W) in [0, 1] → maps (T, C, H, W), frame by frame
and without randomness, so that what it gives on clean frames is the truth.
"""

import math
from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import extra
from holdsteady.training.synthesis.draws import chance, choose, choose_maker, log_uniform, uniform

Operator = Callable[[Tensor], Tensor]


def identity(_random: torch.Generator) -> Operator:
    """Nothing at all."""
    return lambda frames: frames


def tone_curve(random: torch.Generator) -> Operator:
    """A power of the brightness, and an S-curve or its inverse."""
    power, bend = log_uniform(random, 0.4, 2.0), uniform(random, -0.15, 0.15)
    return lambda frames: _held((v := frames.clamp(0, 1) ** power) - bend * torch.sin(2 * math.pi * v))


def colours(random: torch.Generator) -> Operator:
    """A colour matrix near the identity, and an offset."""
    matrix = torch.eye(3) + 0.15 * torch.randn(3, 3, generator=random)
    offset = 0.04 * torch.randn(3, 1, 1, generator=random)
    return lambda frames: _held(torch.einsum("ij,tjhw->tihw", matrix, frames) + offset)


def sharpen(random: torch.Generator) -> Operator:
    """Unsharp masking."""
    amount, sigma = log_uniform(random, 0.2, 2.0), uniform(random, 0.6, 2.0)
    return lambda frames: _held(frames + amount * (frames - blur(frames, sigma)))


def local_contrast(random: torch.Generator) -> Operator:
    """The wide parts compressed and the details raised, as tone mappers do."""
    power, amount, sigma = uniform(random, 0.4, 1.0), uniform(random, 1.0, 2.5), uniform(random, 3.0, 8.0)

    def operate(frames: Tensor) -> Tensor:
        base = blur(frames, sigma)
        return _held(base.clamp_min(0) ** power + amount * (frames - base))

    return operate


def brighten(random: torch.Generator) -> Operator:
    """Division by a soft map of the illumination, as networks for low light do."""
    power, least, sigma = uniform(random, 0.5, 1.0), log_uniform(random, 0.05, 0.3), uniform(random, 1.0, 8.0)

    def operate(frames: Tensor) -> Tensor:
        light = blur(frames.amax(dim=1, keepdim=True), sigma)
        return _held(0.8 * frames / light.clamp(least, 1) ** power)

    return operate


def dehaze(random: torch.Generator) -> Operator:
    """A stretch of the contrast about a light that is the picture's own, as networks against haze do."""
    amount, veil = uniform(random, 1.2, 2.5), uniform(random, 0.0, 0.4)
    return lambda frames: _held(
        (frames - veil * frames.amin(dim=(1, 2, 3), keepdim=True)) * amount - 0.1 * (amount - 1)
    )


def resample(random: torch.Generator) -> Operator:
    """Made small and enlarged again, sharpened a little."""
    factor, amount = choose(random, (1.5, 2.0, 3.0)), uniform(random, 0.0, 0.8)

    def operate(frames: Tensor) -> Tensor:
        size = [max(1, round(side / factor)) for side in frames.shape[-2:]]
        small = F.interpolate(frames, size=size, mode="bilinear", antialias=True)
        large = F.interpolate(small, size=frames.shape[-2:], mode="bicubic")
        return _held(large + amount * (large - blur(large, 1.0)))

    return operate


def enlarge(random: torch.Generator) -> Operator:
    """Twice the size, edges kept and sharpened: super-resolution of small frames (T, 3, H/2, W/2)."""
    finish = chain([smooth(random), sharpen(random)])
    return lambda frames: finish(F.interpolate(frames, scale_factor=2, mode="bicubic").clamp(0, 1))


def posterize(random: torch.Generator) -> Operator:
    """Few tones with soft steps between them, after a little smoothing: a drawing."""
    tones, steep, sigma = choose(random, (3.0, 4.0, 6.0)), uniform(random, 0.5, 0.95), uniform(random, 0.5, 1.5)

    def operate(frames: Tensor) -> Tensor:
        scaled = tones * blur(frames, sigma)
        return _held((scaled - steep * torch.sin(2 * math.pi * scaled) / (2 * math.pi)) / tones)

    return operate


def smooth(random: torch.Generator) -> Operator:
    """Flat parts smoothed and edges kept, by a guided filter of the picture itself: denoisers and drawings."""
    reach, keep = choose(random, (3, 5, 9)), log_uniform(random, 1e-3, 2e-2)

    def operate(frames: Tensor) -> Tensor:
        mean = box(frames, reach)
        slope = (variance := (box(frames * frames, reach) - mean * mean).clamp_min(0)) / (variance + keep)
        return _held(box(slope, reach) * frames + box(mean - slope * mean, reach))

    return operate


def random_network(random: torch.Generator, channels: int = 3) -> Operator:
    """Two layers of 3×3 with random weights, wide or narrow in its reach: styles, filters, features."""
    width, reach = choose(random, (4, 8)), choose(random, (1, 1, 2))
    first = torch.randn(width, 3, 3, 3, generator=random) / math.sqrt(6)
    second = torch.randn(channels, width, 3, 3, generator=random) / math.sqrt(4.5 * width)
    bias, gain = torch.randn(width, generator=random), log_uniform(random, 0.5, 2.0)

    def operate(frames: Tensor) -> Tensor:
        hidden = torch.tanh(F.conv2d(_padded(frames - 0.5, reach), 2 * first, bias, dilation=reach))
        return 0.5 + 0.5 * torch.tanh(gain * F.conv2d(_padded(hidden, reach), second, dilation=reach))

    return operate


def picture_operator(random: torch.Generator, left_out: Collection[str] = ()) -> Operator:
    """One of ``OF_PICTURES``, or two in a row; of which some may be left out, by name."""
    chosen = [choose_maker(random, OF_PICTURES, left_out) for _ in range(1 + chance(random, 0.4))]
    return chain([maker(random) for maker in chosen])


def mask(random: torch.Generator) -> Operator:
    """A mask (T, 1, H, W) in [0, 1] of what differs from a colour; soft or hard."""
    colour, weights = torch.rand(3, 1, 1, generator=random), torch.rand(3, 1, 1, generator=random)
    steep, sigma, at = log_uniform(random, 8, 200), uniform(random, 1.0, 4.0), uniform(random, 0.35, 0.65)

    def operate(frames: Tensor) -> Tensor:
        signal = blur((weights * (frames - colour)).abs().sum(dim=1, keepdim=True), sigma)
        # The threshold is one for all frames, so that it is the same on noisy and clean ones.
        return torch.sigmoid(steep * (signal - at * weights.sum() * 0.6))

    return operate


def classes(random: torch.Generator, channels: int, logits: bool = False) -> Operator:
    """Probabilities, or logits, (T, C, H, W) of C classes."""
    network, sigma = random_network(random, channels), uniform(random, 0.8, 3.0)
    steep = log_uniform(random, 6, 40)

    def operate(frames: Tensor) -> Tensor:
        scores = steep * (blur(network(frames), sigma) - 0.5)
        return scores if logits else torch.softmax(scores, dim=1)

    return operate


def depth(random: torch.Generator) -> Operator:
    """A smooth map (T, 1, H, W) that hangs on the picture, with a slope over the place."""
    network, sigma, slope = random_network(random, 1), uniform(random, 1.0, 5.0), uniform(random, -1, 1)

    def operate(frames: Tensor) -> Tensor:
        down = torch.linspace(-0.5, 0.5, frames.shape[-2])[:, None]
        return blur(network(frames), sigma) + slope * down

    return operate


def chain(operators: list[Operator]) -> Operator:
    """One after another."""

    def operate(frames: Tensor) -> Tensor:
        for operator in operators:
            frames = operator(frames)
        return frames

    return operate


#: Makers of operators that give pictures.
OF_PICTURES = (
    *(identity, tone_curve, colours, sharpen, local_contrast, brighten, dehaze, resample, posterize, smooth),
    random_network,
)


def blur(value: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of each frame, (T, C, H, W)."""
    with extra("cv", "making examples"):
        import cv2

    frames = value.permute(0, 2, 3, 1).contiguous().numpy()
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma).reshape(frame.shape) for frame in frames])
    return torch.from_numpy(blurred).permute(0, 3, 1, 2).contiguous()


def box(value: Tensor, side: int) -> Tensor:
    """Mean over a square of the places that are inside."""
    return F.avg_pool2d(value, side, stride=1, padding=side // 2, count_include_pad=False)


def _held(frames: Tensor) -> Tensor:
    return frames.clamp(0, 1)


def _padded(value: Tensor, reach: int) -> Tensor:
    return F.pad(value, [reach] * 4, mode="replicate")
