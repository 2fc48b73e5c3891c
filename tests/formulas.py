"""The formulas of the method as slow loops over single values, to compare the package with."""

import math

import torch
from torch import Tensor


def ema(present: Tensor, memory: Tensor, beta: Tensor | float) -> Tensor:
    """β z_t + (1−β) z̃_{t−1}."""
    return beta * present + (1 - beta) * memory


def spatial(present: Tensor, memory: Tensor, logits: Tensor, kernel: int) -> Tensor:
    """η_0[p] z_t[p] + Σ_o η_o[p] z̃_{t−1}[p+o], η = softmax(0, logits), zero outside the image."""
    channels, height, width = present.shape[1:]
    offsets = [(o // kernel - kernel // 2, o % kernel - kernel // 2) for o in range(kernel**2)]
    groups = logits.shape[1] // len(offsets)
    fused = torch.zeros_like(present)
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(n) for n in present.shape)).tolist():
        group = c * groups // channels
        eta = torch.softmax(torch.cat((torch.zeros(1), logits[b, group::groups, y, x])), dim=0)
        value = eta[0] * present[b, c, y, x]
        for o, (down, right) in enumerate(offsets):
            row, column = y + down, x + right
            if 0 <= row < height and 0 <= column < width:
                value = value + eta[1 + o] * memory[b, c, row, column]
        fused[b, c, y, x] = value
    return fused


def gaussian(seen: list[Tensor], sigma: float) -> Tensor:
    """Mean of the last values (newest last) with weights exp(−age²/2σ²), as far back as 3σ."""
    ages = range(min(len(seen), math.ceil(3 * sigma) + 1))
    weights = [math.exp(-(age**2) / (2 * sigma**2)) for age in ages]
    return sum((w * seen[-1 - age] for age, w in zip(ages, weights, strict=True)), torch.zeros(())) / sum(weights)


def _cubic(distance: float) -> float:
    """The cubic convolution kernel with a = −3/4."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def warp(memory: Tensor, flow: Tensor) -> Tensor:
    """w[p] = z̃[p + F(p)], bicubic, the border repeated, held within each channel's range."""
    batch, channels, height, width = memory.shape
    moved = torch.zeros_like(memory)
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in (batch, height, width))).tolist():
        at_x, at_y = x + flow[b, 0, y, x].item(), y + flow[b, 1, y, x].item()
        for row in range(math.floor(at_y) - 1, math.floor(at_y) + 3):
            for column in range(math.floor(at_x) - 1, math.floor(at_x) + 3):
                source = memory[b, :, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
                moved[b, :, y, x] += _cubic(at_y - row) * _cubic(at_x - column) * source
    for b in range(batch):
        for c in range(channels):
            moved[b, c] = moved[b, c].clamp(memory[b, c].min(), memory[b, c].max())
    return moved


def box_mean(values: Tensor) -> Tensor:
    """Mean of the 5×5 neighbours that are in the picture."""
    mean = torch.zeros_like(values)
    for y in range(values.shape[-2]):
        for x in range(values.shape[-1]):
            window = values[..., max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            mean[..., y, x] = window.mean(dim=(-2, -1))
    return mean


def motion_fixed_weight(present: Tensor, warped: Tensor, a: float, c: float) -> Tensor:
    """a·exp(−(d/s)²/2), d = 5×5 mean of |z − w| averaged over channels, s = c·median(d) over what differs."""
    d = box_mean((present - warped).abs().mean(dim=1, keepdim=True))
    weights = []
    for one in d:
        ordered = sorted(value for value in one.flatten().tolist() if value > 1e-4 * one.max().item())
        s = c * ordered[(len(ordered) - 1) // 2]
        weights.append(a * torch.exp(-((one / s) ** 2) / 2))
    return torch.stack(weights)
