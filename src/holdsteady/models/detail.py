"""The local Laplacian filter, which enhances details without halos: what the enhancement networks learn to reproduce.

Paris, Hasinoff and Kautz 2011, "Local Laplacian Filters: Edge-aware Image Processing with a Laplacian Pyramid"; the
fast form is of Aubry et al. 2014, "Fast Local Laplacian Filters: Theory and Applications".
"""

from itertools import pairwise
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Plane = npt.NDArray[np.float32]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_SMALLEST = 8  # side of the residual
_NOISE = 0.01  # what is no detail


def enhance_details(frames: Tensor, alpha: float = 0.5, sigma: float = 0.4, samples: int = 12) -> Tensor:
    """Pictures with the details of their luma enhanced, colour differences kept.

    Args:
        frames: (B, 3, H, W) in [0, 1].
        alpha: exponent of details; 1 is the identity, less enhances: 0.5 moderate, 0.25 strong.
        sigma: what is a detail: differences of luma up to this.
        samples: luma values at which the filter is computed, between which it is interpolated.

    Returns:
        (B, 3, H, W), clamped to [0, 1].
    """
    weights = torch.tensor(_LUMA).to(frames).view(1, 3, 1, 1)
    luma = (weights * frames).sum(dim=1)
    filtered = np.stack([local_laplacian(one, alpha, sigma, samples) for one in luma.float().cpu().numpy()])
    change = torch.from_numpy(filtered).to(frames) - luma
    return (frames + change[:, None]).clamp(0, 1)


def local_laplacian(luma: Plane, alpha: float, sigma: float, samples: int) -> Plane:
    """The filter on one channel (H, W) in [0, 1], by Aubry et al.'s algorithm.

    A coefficient of the output's Laplacian pyramid, at a place where the Gaussian pyramid of the input is g, is that of
    the input remapped around g (Paris et al., section 4). It is computed for a few g, and interpolated linearly.
    """
    guides = gaussian_pyramid(luma)
    details = [np.zeros_like(level) for level in guides[:-1]]
    for number in range(samples):
        remapped = laplacian_pyramid(remap(luma, number / (samples - 1), alpha, sigma))
        for detail, guide, level in zip(details, guides, remapped, strict=False):
            detail += np.maximum(1 - np.abs(guide * (samples - 1) - number), 0) * level
    return collapse([*details, guides[-1]])


def remap(luma: Plane, centre: float, alpha: float, sigma: float) -> Plane:
    """Differences to the centre up to σ raised to the power α, larger ones kept (Paris et al., equation 1, β = 1).

    Where details are enhanced (α < 1) differences below 1 % are kept too, and brought in smoothly up to 2 %: they are
    noise and the steps of 8 bits (their section 5.2).
    """
    difference = luma - np.float32(centre)
    size = np.abs(difference)
    raised = sigma * (size / sigma) ** alpha
    if alpha < 1:
        rise = np.clip((size - _NOISE) / _NOISE, 0, 1)
        raised = size + rise**2 * (3 - 2 * rise) * (raised - size)
    return np.where(size < sigma, np.float32(centre) + np.sign(difference) * raised, luma).astype(np.float32)


def gaussian_pyramid(image: Plane) -> list[Plane]:
    """The image (H, W) and its halvings, down to about 8 pixels."""
    levels = [image]
    while min(levels[-1].shape) >= 2 * _SMALLEST:
        levels.append(cast(Plane, cv2.pyrDown(cast(Any, levels[-1]))))
    return levels


def laplacian_pyramid(image: Plane) -> list[Plane]:
    """Differences between levels of the Gaussian pyramid, and its last level."""
    levels = gaussian_pyramid(image)
    fine = [one - _enlarged(two, one) for one, two in pairwise(levels)]
    return [*fine, levels[-1]]


def collapse(levels: list[Plane]) -> Plane:
    """The image of a Laplacian pyramid."""
    image = levels[-1]
    for level in reversed(levels[:-1]):
        image = level + _enlarged(image, level)
    return image


def _enlarged(image: Plane, like: Plane) -> Plane:
    height, width = like.shape
    return cast(Plane, cv2.pyrUp(cast(Any, image), dstsize=(width, height)))
