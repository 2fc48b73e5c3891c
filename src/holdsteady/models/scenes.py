"""A small network of depth and classes, for the made scenes of ``holdsteady.data``."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FARTHEST = 20.0  # of the scenes, in their unit
_CLASSES = 6  # holdsteady.data.CLASSES


class Block(nn.Sequential):
    """Two 3×3 layers."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        super().__init__(first, nn.BatchNorm2d(outputs), nn.ReLU(), second, nn.BatchNorm2d(outputs), nn.ReLU())


class SceneNetwork(nn.Module):
    """Frames (B, 3, H, W) in [0, 1], sides divisible by 16 → depth (B, 1, H, W) in the scenes' unit, and logits.

    A U-Net with two outputs.

    Args:
        output: which of them is given alone; else both.
        widths: channels from half the resolution down to a sixteenth, and of the middle.
    """

    def __init__(
        self,
        output: Literal["depth", "classes", "both"] = "both",
        widths: tuple[int, ...] = (16, 32, 48, 64, 96),
    ) -> None:
        super().__init__()
        self.output = output
        self.down = nn.ModuleList(Block(a, b, 2) for a, b in zip((3, *widths), widths[:-1], strict=False))
        self.middle = Block(widths[-2], widths[-1], 1)
        self.up = nn.ModuleList(Block(a + b, b, 1) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.depth = nn.Conv2d(widths[0], 1, 3, padding=1)
        self.classes = nn.Conv2d(widths[0], _CLASSES, 3, padding=1)

    def forward(self, frame: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        value, skips = 2 * frame - 1, []
        for block in self.down:
            value = block(value)
            skips.append(value)
        value = self.middle(value)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            grown = F.interpolate(value, size=skip.shape[-2:], mode="bilinear")
            value = block(torch.cat((grown, skip), dim=1))
        if self.output == "classes":
            return _to(self.classes(value), frame)
        depth = FARTHEST * _to(torch.sigmoid(self.depth(value)), frame)
        return depth if self.output == "depth" else (depth, _to(self.classes(value), frame))


def _to(value: Tensor, frame: Tensor) -> Tensor:
    return F.interpolate(value, size=frame.shape[-2:], mode="bilinear")
