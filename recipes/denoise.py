"""Train the demo's image denoiser: NAFNet of width 16 for Gaussian noise up to σ = 50/255.

    python recipes/get_footage.py
    python recipes/denoise.py --out denoise.safetensors

Data: frames of the training clips (bikes, bigbuckbunny, box, tree, vtest) and the stills. The clips kept
for choosing settings and for reporting (cup, carphone_pristine) are never read. Single frames only; noise is
clipped to [0, 1] as in a video file. What ships was made when this recipe had a loop of its own, not that of
fitting.py (commit bc14a1c).
"""

from pathlib import Path

import av
import cv2
import numpy as np
import torch
from fitting import arguments, fit, psnr_loss
from torch import Tensor

from holdsteady.allocator import keep_freed_memory
from holdsteady.data.dataset import item_generator
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


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__, steps=5000, batch=12, rate=5e-3)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    parser.add_argument("--crop", type=int, default=96)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    groups = load_groups(args.footage, args.footage / "stills", args.crop)
    print(f"{sum(map(len, groups))} images in {len(groups)} groups", flush=True)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        clean = draw_batch(groups, args.batch, args.crop, np.random.default_rng((args.seed, step)))
        return corrupt(clean, item_generator(args.seed, step)), clean

    network = NAFNet()
    network.compile()
    fit(network, draw, psnr_loss, args)


if __name__ == "__main__":
    main()
