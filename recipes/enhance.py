"""Train the enhancement network that ships, HDRNet for a local Laplacian filter of details: enhance.

    python recipes/get_footage.py
    python recipes/enhance.py --out enhance.safetensors
    python recipes/enhance.py --alpha 0.25 --out enhance-strong.safetensors

It learns on single frames, whole, in random colours, a third of them shrunk in front of a plain wall, which the clips
lack. The filter is a local one and the clips are few, so the network's global branch is kept silent.
"""

from pathlib import Path

import torch
from fitting import arguments, fit, psnr_loss
from pairs import clean_clip, clean_clips, uniform
from torch import Tensor
from torch.nn import functional as F

from holdsteady.allocator import keep_freed_memory
from holdsteady.data.dataset import item_generator
from holdsteady.models.detail import enhance_details
from holdsteady.models.hdrnet import HDRNet


def recoloured(frame: Tensor, random: torch.Generator) -> Tensor:
    """A frame (1, 3, H, W) with channels in another order, each with a gain, and a gamma for all."""
    gain = 0.5 + 0.8 * torch.rand(1, 3, 1, 1, generator=random)
    order = torch.randperm(3, generator=random)
    return (gain * frame[:, order]).clamp(0, 1) ** uniform(0.6, 1.6, random)


def before_a_wall(frame: Tensor, random: torch.Generator) -> Tensor:
    """A frame (1, 3, H, W) at half the size somewhere on a smooth gradient of about one colour."""
    _, _, height, width = frame.shape
    corners = torch.rand(1, 3, 1, 1, generator=random) + 0.15 * torch.randn(1, 3, 2, 2, generator=random)
    wall = F.interpolate(corners, size=(height, width), mode="bilinear").clamp(0, 1)
    top, left = (int(torch.randint(side // 2 + 1, (), generator=random)) for side in (height, width))
    wall[..., top : top + height // 2, left : left + width // 2] = F.avg_pool2d(frame, 2)
    return (wall + 0.5 / 255 * torch.randn(wall.shape, generator=random)).clamp(0, 1)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__, steps=700, batch=5, rate=2e-3)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    parser.add_argument("--alpha", type=float, default=0.5, help="exponent of details; less is stronger")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    clips = clean_clips(args.footage, args.seed, args.steps * args.batch, length=1)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        numbers = range(step * args.batch, (step + 1) * args.batch)
        frames = []
        for number in numbers:
            random = item_generator(args.seed + 1, number)
            frame = recoloured(clean_clip(clips, number), random)
            frames.append(before_a_wall(frame, random) if uniform(0, 1, random) < 1 / 3 else frame)
        given = torch.cat(frames)
        return given, enhance_details(given, alpha=args.alpha)

    network = HDRNet()
    for part in (network.shrink, network.whole):
        part.requires_grad_(False)
    for parameter in network.whole[-1].parameters():
        torch.nn.init.zeros_(parameter)
    fit(network, draw, psnr_loss, args)


if __name__ == "__main__":
    main()
