"""Train the enhancement networks that ship, HDRNet for a local Laplacian filter of details: enhance and enhance-strong.

    python recipes/get_footage.py
    python recipes/pairs.py detail --out build/detail --clips 320 --length 8
    python recipes/enhance.py --pairs build/detail --out enhance.safetensors
    python recipes/pairs.py strong-detail --out build/strong-detail --clips 320 --length 8
    python recipes/enhance.py --pairs build/strong-detail --out enhance-strong.safetensors

It learns on single frames, whole, for the filter sees the whole frame too.
"""

from pathlib import Path

import torch
from fitting import arguments, fit, pairs, psnr_loss

from holdsteady.models.hdrnet import HDRNet


def main() -> None:
    parser = arguments(__doc__, steps=1200, batch=6, rate=2e-3)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that pairs.py made")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    fit(HDRNet(), pairs(args, crop=None), psnr_loss, args)


if __name__ == "__main__":
    main()
