"""Train the demo's image denoiser: NAFNet of width 16 for Gaussian noise up to σ = 50/255.

    python recipes/get_footage.py
    python recipes/denoise.py --out denoise.safetensors

Data: frames of the training clips (bikes, bigbuckbunny, box, tree, vtest) and the stills. The clips kept
for choosing settings and for reporting (cup, carphone_pristine) are never read. Single frames only; noise is
clipped to [0, 1] as in a video file. Every network saved by this recipe is an average of its weights over steps.
"""

import argparse
import copy
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from holdsteady.models.nafnet import NAFNet

TRAINING_CLIPS = ("bikes.mp4", "bigbuckbunny.mp4", "box.mp4", "tree.avi", "vtest.avi")
FRAMES_PER_CLIP = 40
MAX_SIGMA = 50 / 255


def shrink(image: np.ndarray, factor: float) -> np.ndarray:
    """An image (H, W, 3) made smaller by averaging, which also averages its compression away."""
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def read_clip(path: Path) -> list[np.ndarray]:
    """Frames spread evenly over a clip, RGB (H, W, 3) uint8."""
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return frames[:: max(1, len(frames) // FRAMES_PER_CLIP)]


def load_groups(clips: Path, stills: Path, crop: int) -> list[list[np.ndarray]]:
    """One group of images for each clip and each scale of the stills; groups are drawn evenly."""
    photos = [cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in sorted(stills.iterdir())]
    groups = [photos, [shrink(p, 0.7) for p in photos], [shrink(p, 0.5) for p in photos]]
    for name in TRAINING_CLIPS:
        frames = read_clip(clips / name)
        groups.append([shrink(f, 0.5) if i % 2 or name == "tree.avi" else f for i, f in enumerate(frames)])
    return [[image for image in group if min(image.shape[:2]) >= crop] for group in groups]


def draw_batch(groups: list[list[np.ndarray]], size: int, crop: int, random: np.random.Generator) -> Tensor:
    """Random crops (B, 3, crop, crop) in [0, 1], turned and mirrored."""
    batch = []
    for _ in range(size):
        group = groups[random.integers(len(groups))]
        image = group[random.integers(len(group))]
        top, left = (random.integers(side - crop + 1) for side in image.shape[:2])
        patch = np.rot90(image[top : top + crop, left : left + crop], random.integers(4))
        batch.append(patch[:, ::-1] if random.integers(2) else patch)
    return torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float() / 255


def corrupt(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise, σ per crop in (0, 50/255] with more weight on the strong end, clipped."""
    sigma = MAX_SIGMA * torch.rand(len(clean), 1, 1, 1, generator=generator).sqrt()
    return (clean + sigma * torch.randn(clean.shape, generator=generator)).clamp(0, 1)


def psnr_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Minus the PSNR up to a constant, the loss of the NAFNet paper: natural log of each crop's MSE."""
    return (restored - clean).square().mean(dim=(1, 2, 3)).add(1e-8).log().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("footage"))
    parser.add_argument("--stills", type=Path, default=Path("footage/stills"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    random = np.random.default_rng(args.seed)
    noise = torch.Generator().manual_seed(args.seed)
    groups = load_groups(args.clips, args.stills, args.crop)
    print(f"{sum(map(len, groups))} images in {len(groups)} groups", flush=True)

    model = NAFNet().to(args.device, memory_format=torch.channels_last)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.steps, pct_start=0.05, final_div_factor=1e3
    )
    compiled = torch.compile(model)
    total, started = 0.0, time.time()
    for step in range(1, args.steps + 1):
        clean = draw_batch(groups, args.batch, args.crop, random)
        noisy = corrupt(clean, noise)
        restored = compiled(noisy.to(args.device, memory_format=torch.channels_last))
        loss = psnr_loss(restored, clean.to(args.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        total += loss.item()
        if step % 100 == 0:
            psnr = -10 / np.log(10) * total / 100
            print(f"step {step}  PSNR {psnr:.2f} dB  {(time.time() - started) / step:.3f} s/step", flush=True)
            total = 0.0
        if step % 500 == 0 or step == args.steps:
            weights = copy.deepcopy(average.module).cpu().to(memory_format=torch.contiguous_format)
            save_file(weights.state_dict(), args.out)


if __name__ == "__main__":
    main()
