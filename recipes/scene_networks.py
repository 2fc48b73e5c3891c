"""Train the network that ships as depth and as segment, for the depth and the classes of made scenes.

    python recipes/get_footage.py
    python recipes/scene_networks.py --out scenes.safetensors

A small U-Net with two outputs, trained on single frames of scenes that are made from all stills; adapters are trained
and measured on scenes of other draws. docs/design.md has one of 2000 steps: take an output of it with ``--model
recipes/scene_networks.py:depth`` or ``…:classes`` and ``--weights scenes.safetensors``.
"""

import argparse
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from holdsteady.data import Mixture, make_source
from holdsteady.models.scenes import SceneNetwork


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
    parser.add_argument("--steps", type=int, default=3000)
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
