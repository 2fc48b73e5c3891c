"""Detail lost by compression and by coarse pixels."""

from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions.base import Corruption, Stream


class Jpeg(Corruption):
    """JPEG compression of each frame by itself, in 8 bits."""

    name: ClassVar[str] = "jpeg"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"quality": (40, 25, 15, 10, 5)}

    quality: int = Field(10, ge=1, le=100, description="quality of JPEG, 1 to 100")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        def change(frame: Tensor) -> Tensor:
            pixels = (frame.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            done = torch.from_numpy(np.stack([_encoded(image, self.quality) for image in pixels]))
            return done.permute(0, 3, 1, 2).to(frame.device).float() / 255

        return change


class Pixelate(Corruption):
    """Coarse pixels: every square becomes its mean; at the right and the bottom, what is left of a square."""

    name: ClassVar[str] = "pixelate"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"size": (2, 3, 4, 6, 10)}

    size: int = Field(4, ge=1, description="side of a square, in pixels")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        height, width = shape[2:]
        beyond = (0, -width % self.size, 0, -height % self.size)
        inside = F.avg_pool2d(F.pad(torch.ones(1, 1, height, width), beyond), self.size)

        def change(frame: Tensor) -> Tensor:
            mean = F.avg_pool2d(F.pad(frame, beyond), self.size) / inside.to(frame.device)
            coarse = mean.repeat_interleave(self.size, dim=2).repeat_interleave(self.size, dim=3)
            return coarse[..., :height, :width]

        return change


def _encoded(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """RGB or grey (H, W, C) through JPEG and back."""
    # Not torchvision's JPEG, which gives the same bytes: it is deprecated from 0.29 on. OpenCV wants blue first.
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8).reshape(image.shape)[..., ::-1]
