"""Blur of a lens and of a moving camera, whose strength moves continuously from frame to frame."""

from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream
from holdsteady.corruptions.paths import wander

Kernel = npt.NDArray[np.float32]

# How many frames focus and shake remember.
_FOCUS_MEMORY = 12.0
_SHAKE_MEMORY = 6.0


class Defocus(Corruption):
    """A lens out of focus, hunting: blur by a disc of radius · exp(u / 4), u wandering with standard deviation 1."""

    name: ClassVar[str] = "defocus"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"radius": (1, 2, 3, 5, 8)}

    radius: float = Field(3.0, ge=0, le=50, description="median radius of the disc, in pixels")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        focus = wander((shape[0],), _FOCUS_MEMORY, generator)

        def change(frame: Tensor) -> Tensor:
            radii = self.radius * torch.exp(next(focus).clamp(-3, 3) / 4)
            return filtered(frame, [disc(float(radius)) for radius in radii])

        return change


class MotionBlur(Corruption):
    """A shaking camera: blur along a line whose vector wanders, so that length and direction go together."""

    name: ClassVar[str] = "motion-blur"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"length": (3, 6, 9, 14, 20)}

    length: float = Field(9.0, ge=0, le=100, description="length of the line (RMS over time), in pixels")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        shake = wander((shape[0], 2), _SHAKE_MEMORY, generator)

        def change(frame: Tensor) -> Tensor:
            vectors = self.length / 2**0.5 * next(shake).clamp(-3, 3)
            return filtered(frame, [line(float(x), float(y)) for x, y in vectors])

        return change


def disc(radius: float) -> Kernel:
    """A disc's kernel (k, k), k odd, of sum one; its edge is a pixel wide, so that it grows continuously."""
    x, y = _grid(radius + 0.5)
    return _of_sum_one(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def line(x: float, y: float) -> Kernel:
    """The kernel (k, k), k odd, of sum one, of a point that moves from (−x/2, −y/2) to (x/2, y/2)."""
    reach = max(abs(x), abs(y))
    times = (np.arange(count := 4 * int(np.ceil(reach)) + 1) + 0.5) / count - 0.5
    columns, rows = _grid(reach / 2 + 1)
    # A point between pixels is shared by its neighbours, bilinearly.
    across = np.clip(1 - np.abs(columns - x * times[:, None]), 0, 1)
    down = np.clip(1 - np.abs(rows - y * times[None, :]), 0, 1)
    return _of_sum_one(down @ across)


def filtered(frame: Tensor, kernels: list[Kernel]) -> Tensor:
    """Frame (B, C, H, W) with each item correlated with its kernel; borders are continued."""
    # On the CPU for every device: OpenCV turns to Fourier transforms where a kernel is large.
    images = frame.permute(0, 2, 3, 1).cpu().numpy()
    done = [
        cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE).reshape(image.shape)
        for image, kernel in zip(images, kernels, strict=True)
    ]
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).to(frame.device)


def _grid(reach: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    steps = np.arange(-int(np.ceil(reach)), int(np.ceil(reach)) + 1, dtype=np.float64)
    return steps[None, :], steps[:, None]


def _of_sum_one(kernel: npt.NDArray[np.float64]) -> Kernel:
    return (kernel / kernel.sum()).astype(np.float32)
