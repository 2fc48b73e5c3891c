"""SCI, a network for low light by other authors (Ma et al. 2022), for ``holdsteady --model benchmarks/sci.py:build``.

Its weights are a file that the environment names: SCI_WEIGHTS=sci-medium.pt.
"""

import os

import torch
from torch import Tensor, nn


class SCI(nn.Module):
    """A picture divided by its illumination, which three small layers tell: (B, 3, H, W) in [0, 1] to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.out_conv = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, frame: Tensor) -> Tensor:
        features = self.in_conv(frame)
        features = features + self.conv(features)
        illumination = (frame + self.out_conv(features)).clamp(1e-4, 1)
        return (frame / illumination).clamp(0, 1)


def build() -> nn.Module:
    """The network with its weights, in eval mode."""
    saved = torch.load(os.environ["SCI_WEIGHTS"], map_location="cpu", weights_only=True)
    network = SCI()
    # The file also holds what its training used, and the shared layer twice.
    own = {name.removeprefix("enhance."): value for name, value in saved.items()}
    network.load_state_dict({name: own[name] for name in network.state_dict()})
    return network.eval()
