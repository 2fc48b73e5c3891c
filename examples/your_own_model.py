"""Hold a model of your own steady, and measure what that does to its flicker.

The network here is a stand-in: it restores each frame by itself, so its output flickers as the noise changes.

python examples/your_own_model.py
"""

import argparse
from itertools import islice

import torch
from torch import nn

import holdsteady as hs
from holdsteady import zoo
from holdsteady.video import open_video, upright_tensors

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--frames", type=int, default=60)
args = parser.parse_args()


class Restorer(nn.Module):
    """Any network from frames (B, 3, H, W) in [0, 1] to images will do."""

    def __init__(self) -> None:
        super().__init__()
        self.smooth = nn.Sequential(nn.ReflectionPad2d(2), nn.AvgPool2d(5, stride=1))

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        return self.smooth(frame)


def rms(change: torch.Tensor) -> float:
    """Root mean square."""
    return change.square().mean().sqrt().item()


model = Restorer().eval()
steady = hs.stabilize(model)  # no training: motion fixed

generator = torch.Generator().manual_seed(0)
before, change, steady_change = None, 0.0, 0.0
with open_video(str(zoo.DEMO_CLIP)) as video:
    for clean in islice(upright_tensors(video), args.frames):
        frame = (clean + 0.2 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
        now = model(frame), steady(frame)
        if before is not None:
            change += rms(now[0] - before[0])
            steady_change += rms(now[1] - before[1])
        before = now

print(
    f"mean change per frame: {change / (args.frames - 1):.4f} frame by frame, "
    f"{steady_change / (args.frames - 1):.4f} with holdsteady"
)
