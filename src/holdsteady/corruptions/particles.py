"""Things that fall through the image: where they are, how they move, how they are drawn.

Positions are (N, 2), x to the right and y down, in units of the frame's height.
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch

Points = npt.NDArray[np.float64]
Layer = npt.NDArray[np.float32]

# How far outside the frame things live, so that none appears or vanishes in sight.
_MARGIN = 0.35
# OpenCV draws at sixteenths of a pixel.
_SHIFT = 4


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1)."""
    return torch.rand(shape, generator=generator, dtype=torch.float64).numpy()


def how_many(per_square: float, aspect: float) -> int:
    """How many particles give ``per_square`` of them in a square of the frame's height, margins counted in."""
    return round(per_square * (aspect + 2 * _MARGIN) * (1 + 2 * _MARGIN))


def scattered(count: int, aspect: float, generator: torch.Generator) -> Points:
    """Positions (count, 2), uniform over the frame, ``aspect`` wide and 1 high, and its margins."""
    return uniform((count, 2), generator) * (aspect + 2 * _MARGIN, 1 + 2 * _MARGIN) - _MARGIN


def fallen(positions: Points, velocity: Points, aspect: float, generator: torch.Generator) -> Points:
    """Where particles are a frame later.

    Those that leave at a side come back at the other; those that leave below come back above at a random x.

    Args:
        positions: (N, 2).
        velocity: (N, 2) or (2,), frame heights per frame.
        aspect: Width over height.
        generator: On the CPU.
    """
    width, height = aspect + 2 * _MARGIN, 1 + 2 * _MARGIN
    x, y = (positions + velocity + _MARGIN).T
    anew = uniform((len(positions),), generator) * width
    return np.stack((np.where(y >= height, anew, x % width), y % height), axis=1) - _MARGIN


def drawn(heads: Points, tails: Points, height: int, width: int, thickness: float) -> Layer:
    """Streaks between heads and tails as coverage (H, W) in [0, 1].

    Args:
        heads, tails: (N, 2).
        height, width: Of the frame, in pixels.
        thickness: In pixels. Drawn as whole pixels, at least one, and fainter by the area that this adds.
    """
    canvas = np.zeros((height, width), np.uint8)
    shown = max(1, round(thickness))
    border = (thickness / 2 + 1) / height
    low, high = np.minimum(heads, tails) - border, np.maximum(heads, tails) + border
    seen = (high[:, 0] > 0) & (high[:, 1] > 0) & (low[:, 0] < width / height) & (low[:, 1] < 1)
    ends = np.stack((heads[seen], tails[seen]), axis=1) * height * 2**_SHIFT
    if len(ends):
        lines = list(ends.round().astype(np.int32))
        cv2.polylines(canvas, lines, False, 255, shown, cv2.LINE_AA, _SHIFT)
    length = float(np.hypot(*(heads - tails).T).mean()) * height if len(heads) else 0.0
    fainter = min(1.0, thickness * (length + thickness) / (shown * (length + shown)))
    return canvas.astype(np.float32) * np.float32(fainter / 255)


def softened(layer: Layer, sigma: float) -> Layer:
    """Blurred by a Gaussian of σ pixels; as it is below a third of a pixel."""
    return layer if sigma < 0.3 else np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)
