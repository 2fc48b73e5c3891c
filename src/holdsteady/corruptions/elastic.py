"""Elastic distortion.

Not torchvision's ``ElasticTransform``: it draws from the global generator, moves all items of a batch alike and by half
as many pixels for the same α, and fills what comes from outside the frame with one colour.
"""

from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions.base import Corruption, Stream


class Elastic(Corruption):
    """Every pixel comes from elsewhere: α times uniform noise in [−1, 1] that a Gaussian of σ has smoothed.

    After Simard et al. 2003, fresh for each frame. α = 50 and σ = 5 move a pixel by 1.6 pixels (RMS along each
    axis), α / (σ √(12π)) in general.
    """

    name: ClassVar[str] = "elastic"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (15, 30, 50, 80, 120)}

    alpha: float = Field(50.0, ge=0, description="strength of the displacement, in pixels")
    sigma: float = Field(5.0, gt=0, le=100, description="smoothness: standard deviation of the Gaussian, in pixels")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        batch, _, height, width = shape

        def change(frame: Tensor) -> Tensor:
            noise = 2 * torch.rand(batch, 2, height, width, generator=generator) - 1
            return moved(frame, self.alpha * smoothed(noise, self.sigma).to(frame.device))

        return change


def smoothed(noise: Tensor, sigma: float) -> Tensor:
    """Maps (B, C, H, W) on the CPU, smoothed by a Gaussian of σ pixels that is cut off at 4 σ; borders reflect."""
    # OpenCV: in a window of 8 σ torchvision's gaussian_blur takes over twenty times as long on a CPU.
    side = 2 * int(np.ceil(4 * sigma)) + 1
    maps = noise.flatten(0, 1).numpy()
    blurred = [cv2.GaussianBlur(one, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101) for one in maps]
    return torch.from_numpy(np.stack(blurred)).reshape(noise.shape)


def moved(frame: Tensor, displacement: Tensor) -> Tensor:
    """Frame (B, C, H, W) sampled at p + displacement(p), bilinear; outside the frame is its border.

    Args:
        frame: float32.
        displacement: (B, 2, H, W) in pixels, channel 0 to the right and channel 1 down.
    """
    height, width = frame.shape[-2:]
    x = torch.arange(width, device=frame.device) + displacement[:, 0]
    y = torch.arange(height, device=frame.device)[:, None] + displacement[:, 1]
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    return F.grid_sample(frame, grid, mode="bilinear", padding_mode="border", align_corners=False)
