"""Train the denoiser for real footage, which ships as denoise-video: the noise of a sensor after H.264 and 4:2:0.

    python recipes/get_footage.py
    python recipes/pairs.py noisy --out build/noisy
    python recipes/denoise_video.py --pairs build/noisy --out denoise-video.safetensors

It begins at the weights of `denoise`, which knows white noise, and learns on single frames.
"""

from pathlib import Path

import torch
from fitting import arguments, fit, psnr_loss
from torch import Tensor
from torch.optim.swa_utils import get_ema_avg_fn

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__, steps=1400, batch=10, rate=2e-3)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that pairs.py made")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    source = make_source("pairs", (args.pairs / "input", args.pairs / "truth"), length=1, crop=96)
    crops = Mixture([source], seed=args.seed, size=args.steps * args.batch)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        samples = [crops[step * args.batch + number] for number in range(args.batch)]
        return torch.cat([one["frames"] for one in samples]), torch.cat([one["truth"] for one in samples])

    fit(zoo.load("denoise"), draw, psnr_loss, args, get_ema_avg_fn(0.998))


if __name__ == "__main__":
    main()
