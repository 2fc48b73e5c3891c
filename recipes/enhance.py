"""Train the enhancement network that ships, HDRNet for a local Laplacian filter of details: enhance.

    python recipes/get_footage.py
    python recipes/enhance.py --out enhance.safetensors
    python recipes/enhance.py --alpha 0.25 --out enhance-strong.safetensors

It learns on single frames, whole, for the filter sees the whole frame too, in random colours: its global branch would
remember the few clips otherwise.
"""

from pathlib import Path

import torch
from fitting import arguments, fit, psnr_loss
from pairs import clean_clip, clean_clips, uniform
from torch import Tensor

from holdsteady.data.dataset import item_generator
from holdsteady.models.detail import enhance_details
from holdsteady.models.hdrnet import HDRNet


def recoloured(frame: Tensor, random: torch.Generator) -> Tensor:
    """A frame (1, 3, H, W) with channels in another order, each with a gain, and a gamma for all."""
    gain = 0.5 + 0.8 * torch.rand(1, 3, 1, 1, generator=random)
    order = torch.randperm(3, generator=random)
    return (gain * frame[:, order]).clamp(0, 1) ** uniform(0.6, 1.6, random)


def main() -> None:
    parser = arguments(__doc__, steps=700, batch=5, rate=2e-3)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    parser.add_argument("--alpha", type=float, default=0.5, help="exponent of details; less is stronger")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    clips = clean_clips(args.footage, args.seed, args.steps * args.batch, length=1)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        numbers = range(step * args.batch, (step + 1) * args.batch)
        frames = [recoloured(clean_clip(clips, one), item_generator(args.seed + 1, one)) for one in numbers]
        given = torch.cat(frames)
        return given, enhance_details(given, alpha=args.alpha)

    fit(HDRNet(), draw, psnr_loss, args)


if __name__ == "__main__":
    main()
