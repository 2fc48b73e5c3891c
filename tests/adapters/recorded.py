"""Recorded outputs under *motion fixed*, and what is measured of them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs


def scene(frames: int, height: int = 64, width: int = 80, seed: int = 0) -> Tensor:
    """A slow pan over an image with detail, (T, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4 + 4, width // 4 + 4 + frames // 4, generator=generator)
    big = F.interpolate(coarse, scale_factor=4, mode="bicubic")[0].clamp(0, 1)
    return torch.stack([big[:, :height, t : t + width] for t in range(frames)])


def held(outputs: Tensor, inputs: Tensor | None = None, **settings_: object) -> Tensor:
    """Recorded outputs (T, C, H, W) under *motion fixed*; the model is handed the inputs, or the outputs themselves."""
    recorded = iter(outputs)
    steady, state, shown = hs.stabilize(lambda _: next(recorded)[None], "motion-fixed", **settings_), None, []
    for frame in outputs if inputs is None else inputs:
        output, state = steady.step(frame[None], state)
        shown.append(output[0])
    return torch.stack(shown)


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * math.log10(max(float((one - other).square().mean()), 1e-12))


def flicker(outputs: Tensor, truth: Tensor) -> float:
    change = outputs.diff(dim=0) - truth.diff(dim=0)
    return float(change.square().mean(dim=(1, 2, 3)).sqrt().mean())
