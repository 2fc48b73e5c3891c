"""Frost: ice crystals that grow from the borders of the image."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions.field import drifting_field
from holdsteady.corruptions.particles import Layer, Points, drawn, softened, uniform
from holdsteady.corruptions.paths import wander
from holdsteady.corruptions.weather import Scene, Weather, lit, toward

# Frames in which the last quarter of the frost grows, more or less, and the angle between branches of ice.
_GROWTH = 150
_BRANCH = np.pi / 3


class Frost(Weather):
    """Frost on a window: needles of ice that branch, thick at the borders, standing still and slowly growing inward."""

    name: ClassVar[str] = "frost"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "reach": (0.2, 0.35, 0.5, 0.65, 0.85),
        "opacity": (0.55, 0.65, 0.75, 0.85, 0.95),
    }

    reach: float = Field(0.5, ge=0, le=1.5, description="how far it grows from the borders; 1 is to the middle")
    opacity: float = Field(0.75, ge=0, le=1, description="of the thickest ice")

    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        ice = torch.from_numpy(crystals(height, width, generator))
        # When a place freezes, as the reach that gets there; uneven, or the frost would have a straight edge.
        uneven = next(drifting_field(height, width, 0.0, generator))[0, 0]
        turn = inward(height, width) + 0.45 * (uneven - 0.5)
        breath = wander((), 60, generator)
        age = 0

        def change(image: Tensor) -> Tensor:
            nonlocal age
            front = self.reach * (1 - 0.25 * np.exp(-age / _GROWTH)) * (1 + 0.02 * float(next(breath)))
            age += 1
            frozen = ((front - turn) / 0.35).clamp(0, 1)
            alpha = (self.opacity * frozen * ice * min(1.0, 10 * self.reach)).to(image.device)
            # Ice scatters what is behind it, and is as bright as the light that falls on it.
            small = F.interpolate(image, scale_factor=0.25, mode="area") if min(height, width) >= 8 else image
            behind = F.interpolate(small, size=(height, width), mode="bilinear")
            scattered = toward(image, behind, (2 * alpha).clamp(0, 1))
            return toward(scattered, lit(image, 0.55, 1.0), alpha)

        return change


def inward(height: int, width: int) -> Tensor:
    """Distance (H, W) to the nearest border over half the shorter side: 0 at the border, 1 in the middle."""
    y = torch.arange(height) + 0.5
    x = torch.arange(width) + 0.5
    rows, columns = torch.minimum(y, height - y), torch.minimum(x, width - x)
    return torch.minimum(rows[:, None], columns[None, :]) / (min(height, width) / 2)


def crystals(height: int, width: int, generator: torch.Generator) -> Layer:
    """How much ice is where when all is frozen, (H, W) in [0, 1]: needles on a thin grainy film."""
    aspect = width / height
    stems, directions, lengths = _stems(aspect, generator)
    ice = np.zeros((height, width), np.float32)
    for thickness, strength, branches in ((0.0040, 1.0, 12), (0.0022, 0.8, 5), (0.0014, 0.6, 0)):
        heads = stems + lengths[:, None] * np.stack((np.cos(directions), np.sin(directions)), axis=1)
        ice = np.maximum(ice, strength * drawn(heads, stems, height, width, thickness * height))
        if branches:
            stems, directions, lengths = _branched(stems, directions, lengths, branches, generator)
    grain = softened(uniform((height, width), generator).astype(np.float32), 0.0025 * height)
    grain = np.clip(0.5 + 0.5 * (grain - grain.mean()) / max(float(grain.std()), 1e-6), 0, 1)
    glow = softened(ice, 0.006 * height)
    wide = softened(ice, 0.02 * height)
    film = 0.30 + 0.22 * grain
    return np.clip(film + 0.55 * ice + 0.5 * glow + 0.4 * wide, 0, 1).astype(np.float32)


def _stems(aspect: float, generator: torch.Generator) -> tuple[Points, Points, Points]:
    """Starts (N, 2), directions (N,) and lengths (N,) of the first needles: at the borders, and some anywhere."""
    count = round(60 * (1 + aspect))
    along = uniform((count,), generator) * 2 * (1 + aspect)
    edges = np.array([0, aspect, aspect + 1, 2 * aspect + 1])
    side = np.searchsorted(edges, along, side="right") - 1
    rest = along - edges[side]
    x = np.select([side == 0, side == 1, side == 2], [rest, np.full(count, aspect), rest], 0.0)
    y = np.select([side == 0, side == 1, side == 2], [np.zeros(count), rest, np.ones(count)], rest)
    depth = 0.45 * uniform((count,), generator) ** 2
    inward = np.arctan2(0.5 - y, aspect / 2 - x)
    starts = np.stack((x + depth * np.cos(inward), y + depth * np.sin(inward)), axis=1)
    directions = inward + 1.8 * (uniform((count,), generator) - 0.5)
    lengths = 0.12 + 0.30 * uniform((count,), generator)
    return starts, directions, lengths


def _branched(
    starts: Points, directions: Points, lengths: Points, count: int, generator: torch.Generator
) -> tuple[Points, Points, Points]:
    """Needles on both sides of needles, shorter toward the tip: starts (2 N count, 2), directions and lengths."""
    total = len(starts)
    place = (np.arange(count) + uniform((total, count), generator)) / count
    unit = np.stack((np.cos(directions), np.sin(directions)), axis=1)
    points = starts[:, None] + (place * lengths[:, None])[..., None] * unit[:, None]
    size = 0.4 * lengths[:, None] * (1 - 0.85 * place)
    branches = []
    for turn in (-_BRANCH, _BRANCH):
        wobble = 0.12 * (uniform((total, count), generator) - 0.5)
        long = size * (0.4 + 0.6 * uniform((total, count), generator))
        branches.append((points.reshape(-1, 2), (directions[:, None] + turn + wobble).ravel(), long.ravel()))
    first, second, third = zip(*branches, strict=True)
    return np.concatenate(first), np.concatenate(second), np.concatenate(third)
