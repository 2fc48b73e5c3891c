"""Train the network of docs/design.md that gives no pictures, but depth and classes, of made scenes.

    python recipes/get_footage.py
    python recipes/scene_networks.py --out scenes.safetensors

A small U-Net with two outputs, trained on single frames of scenes that are made from all stills; adapters are trained
and measured on scenes of other draws. Take one output of it with ``--model recipes/scene_networks.py:depth`` or
``…:classes`` and ``--weights scenes.safetensors``.
"""

import argparse
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from holdsteady.data import CLASSES, Mixture, make_source

FARTHEST = 20.0  # of the scenes, in their unit


class Block(nn.Sequential):
    """Two 3×3 layers."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        super().__init__(first, nn.BatchNorm2d(outputs), nn.ReLU(), second, nn.BatchNorm2d(outputs), nn.ReLU())


class SceneNetwork(nn.Module):
    """Frames (B, 3, H, W) in [0, 1], sides divisible by 16 → depth (B, 1, H, W) in the scenes' unit, and logits.

    Args:
        output: ``depth`` or ``classes`` to give that alone; else both.
    """

    def __init__(self, output: str = "both", widths: tuple[int, ...] = (16, 32, 48, 64, 96)) -> None:
        super().__init__()
        self.output = output
        self.down = nn.ModuleList(Block(a, b, 2) for a, b in zip((3, *widths), widths[:-1], strict=False))
        self.middle = Block(widths[-2], widths[-1], 1)
        self.up = nn.ModuleList(Block(a + b, b, 1) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.depth = nn.Conv2d(widths[0], 1, 3, padding=1)
        self.classes = nn.Conv2d(widths[0], len(CLASSES), 3, padding=1)

    def forward(self, frame: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        value, skips = 2 * frame - 1, []
        for block in self.down:
            value = block(value)
            skips.append(value)
        value = self.middle(value)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            grown = F.interpolate(value, size=skip.shape[-2:], mode="bilinear")
            value = block(torch.cat((grown, skip), dim=1))
        if self.output == "classes":
            return _to(self.classes(value), frame)
        depth = FARTHEST * _to(torch.sigmoid(self.depth(value)), frame)
        return depth if self.output == "depth" else (depth, _to(self.classes(value), frame))


def _to(value: Tensor, frame: Tensor) -> Tensor:
    return F.interpolate(value, size=frame.shape[-2:], mode="bilinear")


def depth() -> nn.Module:
    """The network as one of depth, without its weights."""
    return SceneNetwork("depth")


def classes() -> nn.Module:
    """The network as one of segmentation, without its weights; for the six classes see ``holdsteady.data.CLASSES``."""
    return SceneNetwork("classes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stills", type=Path, default=Path("footage/stills"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8, help="scenes a step, of two frames each")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    source = make_source("scenes", [args.stills], length=2, crop=args.crop, stride=(8,))
    scenes = Mixture([source], seed=args.seed, size=args.steps * args.batch)
    network = SceneNetwork().to(args.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps)
    started = time.time()
    for step, sample in enumerate(DataLoader(scenes, args.batch), start=1):
        frames = sample["frames"].flatten(0, 1).to(args.device)
        distance = sample["depth"].flatten(0, 1).to(args.device)
        wanted = sample["classes"].flatten(0, 1).to(args.device)
        given, logits = network(frames)
        depth_loss = (given.clamp_min(1e-2).log() - distance.log()).abs().nanmean()
        class_loss = F.cross_entropy(logits, wanted, ignore_index=255)
        optimizer.zero_grad()
        (depth_loss + class_loss).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            shown = f"depth {depth_loss.item():.3f}  classes {class_loss.item():.3f}"
            print(f"step {step}  {shown}  {(time.time() - started) / step:.3f} s/step", flush=True)
    save_file(network.to("cpu", memory_format=torch.contiguous_format).state_dict(), args.out)


if __name__ == "__main__":
    main()
