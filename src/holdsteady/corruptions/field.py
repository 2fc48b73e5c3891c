"""Soft clouds that drift: a random field of low frequencies."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

# Knots of an octave before it repeats, and the largest knot distance in frame heights.
_KNOTS = 16
_LARGEST = 0.55
_OCTAVES = 4


def drifting_field(height: int, width: int, speed: float, generator: torch.Generator) -> Iterator[Tensor]:
    """An endless path of soft fields (1, 1, H, W) in (0, 1), of mean and median near one half.

    Octaves of smooth noise that drift in about one direction, each at its own speed, so that the shapes change as
    they go.

    Args:
        height, width: Of a frame, in pixels.
        speed: Of the largest octave, in frame heights per frame.
        generator: On the CPU.
    """
    # Low frequencies need few samples; a step of a 48th of the height is below the finest octave.
    rows = min(height, 48)
    columns = max(1, min(width, round(rows * width / height)))
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns * (width / height)
    angle = 0.6 * (torch.rand((), generator=generator) - 0.5)
    heading = math.copysign(1.0, torch.rand((), generator=generator) - 0.5)
    wind = speed * torch.stack((heading * torch.cos(angle), torch.sin(angle)))
    knots = torch.randn(_OCTAVES, 1, 1, _KNOTS, _KNOTS, generator=generator)
    offsets = _KNOTS * torch.rand(_OCTAVES, 2, generator=generator)
    while True:
        field = torch.zeros(1, 1, rows, columns)
        for octave in range(_OCTAVES):
            distance = _LARGEST / 2**octave
            field += 0.55**octave * _sampled(
                knots[octave], x / distance + offsets[octave, 0], y / distance + offsets[octave, 1]
            )
        yield torch.sigmoid(1.6 * F.interpolate(field, size=(height, width), mode="bilinear"))
        drift = torch.stack([wind * (1 + 0.35 * octave) / (_LARGEST / 2**octave) for octave in range(_OCTAVES)])
        offsets = (offsets - drift) % _KNOTS


def _sampled(knots: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A periodic lattice (1, 1, N, N) at the points of a grid, bicubic, in units of its knots."""
    count = knots.shape[-1]
    padded = F.pad(knots, (2, 3, 2, 3), mode="circular")
    size = count + 5
    grid_x, grid_y = ((2 * (axis % count + 2) + 1) / size - 1 for axis in (x, y))
    grid = torch.stack(torch.broadcast_tensors(grid_x[None, :], grid_y[:, None]), dim=-1)
    return F.grid_sample(padded, grid[None], mode="bicubic", align_corners=False)
