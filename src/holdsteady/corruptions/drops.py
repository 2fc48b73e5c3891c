"""Parts of frames and whole frames that are lost, fresh for each frame."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream


class PatchDrop(Corruption):
    """Square patches of a grid become black, each with probability p (arXiv 2512.03014: 8×8, p = 0.1)."""

    name: ClassVar[str] = "patch-drop"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"p": (0.02, 0.05, 0.1, 0.2, 0.4)}

    p: float = Field(0.1, ge=0, le=1, description="probability of each patch")
    size: int = Field(8, ge=1, description="side of a patch, in pixels")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        batch, _, height, width = shape
        rows, columns = -(-height // self.size), -(-width // self.size)

        def change(frame: Tensor) -> Tensor:
            lost = torch.rand(batch, 1, rows, columns, generator=generator) < self.p
            lost = lost.repeat_interleave(self.size, dim=2).repeat_interleave(self.size, dim=3)
            return frame.masked_fill(lost[..., :height, :width].to(frame.device), 0.0)

        return change


class FrameDrop(Corruption):
    """A frame becomes black with probability p."""

    name: ClassVar[str] = "frame-drop"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"p": (0.02, 0.05, 0.1, 0.2, 0.4)}

    p: float = Field(0.1, ge=0, le=1, description="probability of each frame")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        def change(frame: Tensor) -> Tensor:
            lost = torch.rand(shape[0], 1, 1, 1, generator=generator) < self.p
            return frame.masked_fill(lost.to(frame.device), 0.0)

        return change
