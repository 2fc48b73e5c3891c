"""Train the super-resolver that ships as upscale2, for footage that was shrunk by two and lightly compressed.

python recipes/get_footage.py
python recipes/upscale2.py --out upscale2.safetensors
"""

from pathlib import Path

import torch
from fitting import arguments, fit
from pairs import clean_clip, clean_clips, uniform
from torch import Tensor
from torch.nn import functional as F

from holdsteady.allocator import keep_freed_memory
from holdsteady.corruptions.compression import Jpeg
from holdsteady.data.dataset import item_generator
from holdsteady.models.upscaler import Upscaler

CROP = (96, 96)


def degraded(frame: Tensor, random: torch.Generator) -> Tensor:
    """A frame (1, 3, H, W) at half the size: averaged or bicubic, with faint noise, half of them through JPEG."""
    mode = ("area", "bicubic")[int(torch.randint(2, (), generator=random))]
    small = F.interpolate(frame, scale_factor=0.5, mode=mode, **({"antialias": True} if mode == "bicubic" else {}))
    small = small + uniform(0, 0.01, random) * torch.randn(small.shape, generator=random)
    if uniform(0, 1, random) < 0.5:
        quality = int(torch.randint(60, 96, (), generator=random))
        small = Jpeg(quality=quality).start(random)(small)
    return small.clamp(0, 1)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__, steps=1600, batch=10, rate=2e-3)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    frames = clean_clips(args.footage, args.seed, args.steps * args.batch, length=1, size=CROP)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        numbers = range(step * args.batch, (step + 1) * args.batch)
        large = [clean_clip(frames, number, CROP) for number in numbers]
        small = [degraded(frame, item_generator(args.seed + 1, n)) for n, frame in zip(numbers, large, strict=True)]
        return torch.cat(small), torch.cat(large)

    fit(Upscaler(), draw, F.l1_loss, args)


if __name__ == "__main__":
    main()
