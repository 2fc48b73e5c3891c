"""NAFNet, the plain image-restoration network of Chen et al. 2022 (arXiv 2204.04676).

Written from the paper: every block is LayerNorm, convolutions, a product of two halves (SimpleGate)
in place of an activation, and a channel attention without any non-linearity.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a map (B, C, H, W), with a scale and a shift per channel."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # One fused kernel in channels-last memory; written out in sums and products it took as long as all
        # the convolutions together.
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


def simple_gate(x: Tensor) -> Tensor:
    """The product of the two halves of the channels (B, 2C, H, W) → (B, C, H, W)."""
    first, second = x.chunk(2, dim=1)
    return first * second


class NAFBlock(nn.Module):
    """One block of NAFNet (paper, figure 3c): spatial mixing, then a gated 1×1 feed-forward."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.norm2 = ChannelNorm(channels)
        self.feed_in = nn.Conv2d(channels, 2 * channels, 1)
        self.feed_out = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = simple_gate(self.depthwise(self.expand(self.norm1(x))))
        y = y * self.attention(y.mean(dim=(2, 3), keepdim=True))
        x = x + self.project(y) * self.beta
        y = self.feed_out(simple_gate(self.feed_in(self.norm2(x))))
        return x + y * self.gamma


class NAFNet(nn.Module):
    """U-shaped NAFNet: frames (B, 3, H, W) in [0, 1] → restored frames of the same shape.

    Sizes that the number of scales does not divide are padded by reflection and cropped back.

    Args:
        width: channels at full resolution; they double at each scale.
        encoder: blocks at each scale on the way down.
        middle: blocks at the coarsest scale.
        decoder: blocks at each scale on the way up.
    """

    def __init__(
        self,
        width: int = 16,
        encoder: Sequence[int] = (1, 1, 2),
        middle: int = 2,
        decoder: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        if len(encoder) != len(decoder):
            raise ValueError(f"encoder has {len(encoder)} scales and decoder {len(decoder)}")
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList()
        self.downs = nn.ModuleList()
        for count in encoder:
            self.encoders.append(nn.Sequential(*(NAFBlock(width) for _ in range(count))))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle = nn.Sequential(*(NAFBlock(width) for _ in range(middle)))
        self.ups = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for count in decoder:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(nn.Sequential(*(NAFBlock(width) for _ in range(count))))
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.stride = 2 ** len(encoder)

    def forward(self, frame: Tensor) -> Tensor:
        height, width = frame.shape[-2:]
        right, bottom = -width % self.stride, -height % self.stride
        padded = frame
        if right or bottom:
            mode = "reflect" if right < width and bottom < height else "replicate"
            padded = F.pad(frame, (0, right, 0, bottom), mode=mode)
        x = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip)
        return (padded + self.ending(x))[..., :height, :width]
