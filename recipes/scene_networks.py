"""Train the network that ships as depth and as segment, for the depth and the classes of made scenes.

    python recipes/get_footage.py
    python recipes/scene_networks.py --out scenes.safetensors

A small U-Net with two outputs, trained on single frames of scenes that are made from all stills; adapters are trained
and measured on scenes of other draws. What ships was made when this recipe had a loop of its own (commit bc14a1c).
docs/design.md has one of 2000 steps: take an output of it with ``--model recipes/scene_networks.py:depth`` or
``…:classes`` and ``--weights scenes.safetensors``.
"""

from pathlib import Path

import torch
from fitting import arguments, fit
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source
from holdsteady.models.scenes import SceneNetwork


def depth() -> nn.Module:
    """The network as one of depth, without its weights."""
    return SceneNetwork("depth")


def classes() -> nn.Module:
    """The network as one of segmentation, without its weights; for the six classes see ``holdsteady.data.CLASSES``."""
    return SceneNetwork("classes")


def loss(outputs: tuple[Tensor, Tensor], wanted: Tensor) -> Tensor:
    """Of depth (B, 1, H, W) and logits (B, K, H, W), by the logarithm of distances and by classes, (B, 2, H, W)."""
    (given, logits), (distance, classes) = outputs, wanted.split(1, dim=1)
    depth_loss = (given.clamp_min(1e-2).log() - distance.log()).abs().nanmean()
    return depth_loss + F.cross_entropy(logits, classes[:, 0].long(), ignore_index=255)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__, steps=3000, batch=8, rate=4e-3)
    parser.add_argument("--stills", type=Path, default=Path("footage/stills"))
    parser.add_argument("--crop", type=int, default=96)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    source = make_source("scenes", [args.stills], length=2, crop=args.crop, stride=(8,))
    scenes = Mixture([source], seed=args.seed, size=args.steps * args.batch)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        samples = [scenes[number] for number in range(step * args.batch, (step + 1) * args.batch)]
        frames, distance, wanted = (
            torch.cat([one[name] for one in samples]) for name in ("frames", "depth", "classes")
        )
        return frames, torch.cat((distance, wanted[:, None]), dim=1)

    fit(SceneNetwork(), draw, loss, args)


if __name__ == "__main__":
    main()
