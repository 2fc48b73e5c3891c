"""Train the denoiser for real footage, which ships as denoise-video: the noise of a sensor after H.264 and 4:2:0.

    python recipes/get_footage.py
    python recipes/pairs.py noisy --out build/noisy
    python recipes/denoise_video.py --pairs build/noisy --out denoise-video.safetensors

It begins at the weights of `denoise`, which knows white noise, and learns on single frames.
"""

from pathlib import Path

import torch
from fitting import arguments, fit, pairs, psnr_loss

from holdsteady import zoo


def main() -> None:
    parser = arguments(__doc__, steps=1400, batch=10, rate=2e-3)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that pairs.py made")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    fit(zoo.load("denoise"), pairs(args, crop=96), psnr_loss, args)


if __name__ == "__main__":
    main()
