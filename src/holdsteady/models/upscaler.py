"""A small super-resolver: residual blocks without norms, pixel shuffle (EDSR, Lim et al. 2017, arXiv 1707.02921)."""

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3×3 layers beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Upscaler(nn.Module):
    """Frames (B, 3, H, W) in [0, 1] → frames (B, 3, scale·H, scale·W): bicubic interpolation plus what it lacks.

    Args:
        scale: how much larger the result is.
        width: channels.
        blocks: residual blocks.
    """

    def __init__(self, scale: int = 2, width: int = 48, blocks: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.ending = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        nn.init.zeros_(self.ending.weight)

    def forward(self, frame: Tensor) -> Tensor:
        features = self.intro(frame)
        details: Tensor = self.shuffle(self.ending(features + self.blocks(features)))
        return details + F.interpolate(frame, scale_factor=self.scale, mode="bicubic")
