"""Write pairs of clips, an input and its truth, for training with `kind: pairs`.

    python recipes/get_footage.py
    python recipes/pairs.py noisy --out build/noisy          what a camera and H.264 leave of a clip, and the clip
    python recipes/pairs.py detail --out build/detail        a clip, and the clip with its details enhanced
    python recipes/pairs.py detail-strong --out build/detail-strong         the same, with an α of 0.25 instead of 0.5

Clips come from bikes, bigbuckbunny, box, tree and vtest, and from the stills in made-up motion; those kept for choosing
settings and for reporting (cup, carphone_pristine) are never read. Clip i depends on the seed and i alone, and clips
that are there already are not made again.
"""

import argparse
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source
from holdsteady.data.dataset import item_generator
from holdsteady.models.detail import enhance_details

LARGE = ("bikes.mp4", "bigbuckbunny.mp4", "box.mp4", "vtest.avi")
SIZE = (192, 256)
MAX_SIGMA = 55 / 255
RATE_FACTORS = (16, 34)  # CRF of H.264, from about 2 dB above what can be seen to what streams badly


def clean_clips(footage: Path, seed: int, count: int, length: int, size: tuple[int, int] = SIZE) -> Mixture:
    """Clips (T, 3, *size), and twice as large ones to be shrunk, which averages their own noise out."""
    large = [footage / name for name in LARGE]
    twice = (2 * size[0], 2 * size[1])
    sources = [
        make_source("videos", [*large, footage / "tree.avi"], length=length, crop=size, stride=(1, 2)),
        make_source("videos", [p for p in large if p.stem != "bikes"], length=length, crop=twice, stride=(1, 2)),
        make_source("stills", footage / "stills", length=length, crop=size),
    ]
    return Mixture(sources, [0.3, 0.4, 0.3], seed=seed, size=count)


def clean_clip(clips: Mixture, index: int, size: tuple[int, int] = SIZE) -> Tensor:
    """One of them, (T, 3, *size) in [0, 1]."""
    frames = clips[index]["frames"]
    return frames if frames.shape[-2:] == size else F.avg_pool2d(frames, 2)


def uniform(low: float, high: float, random: torch.Generator) -> float:
    return low + (high - low) * torch.rand((), generator=random).item()


def sensor_noise(clean: Tensor, random: torch.Generator) -> Tensor:
    """A clip (T, 3, H, W) with noise of variance x/peak + σ², white or spatially correlated as demosaicking leaves it.

    Shot noise is drawn as normal, to be correlated; one clip in ten has no noise.
    """
    if uniform(0, 1, random) < 0.1:
        return clean
    sigma = MAX_SIGMA * uniform(0, 1, random) ** 0.5
    shot = 1 / uniform(30, 300, random) if uniform(0, 1, random) < 0.4 else 0.0
    noise = torch.randn(clean.shape, generator=random)
    if uniform(0, 1, random) < 0.5:
        noise = gaussian_blur(noise, [5, 5], [uniform(0.35, 0.9, random)])
        noise /= noise.std()
    return (clean + (shot * clean + sigma**2).sqrt() * noise).clamp(0, 1)


def write_video(path: Path, frames: Tensor, codec: str, pix_fmt: str, options: dict[str, str]) -> None:
    """A clip (T, 3, H, W) in [0, 1] as a file, beside its place first."""
    pixels = (frames * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    part = path.with_name(f".part-{path.name}")
    with av.open(str(part), "w") as container:
        stream = container.add_stream(codec, 25, options=options)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[1:3], pix_fmt
        for picture in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode())
    part.replace(path)


def noisy(clean: Tensor, random: torch.Generator, path: Path) -> None:
    """The clip with a sensor's noise as H.264: 4:2:0, of any quality that is met."""
    low, high = RATE_FACTORS
    crf = torch.randint(low, high + 1, (), generator=random).item()
    preset = ("veryfast", "medium")[torch.randint(2, (), generator=random).item()]
    write_video(path, sensor_noise(clean, random), "libx264", "yuv420p", {"crf": str(crf), "preset": preset})


def lossless(path: Path, frames: Tensor) -> None:
    write_video(path, frames, "ffv1", "bgr0", {})


def write_noisy(clean: Tensor, random: torch.Generator, folder: Path, name: str) -> None:
    noisy(clean, random, folder / "input" / f"{name}.mp4")
    lossless(folder / "truth" / f"{name}.mkv", clean)


def write_detail(clean: Tensor, _: torch.Generator, folder: Path, name: str, alpha: float = 0.5) -> None:
    lossless(folder / "input" / f"{name}.mkv", clean)
    lossless(folder / "truth" / f"{name}.mkv", enhance_details(clean, alpha))


TASKS = {"noisy": write_noisy, "detail": write_detail, "detail-strong": partial(write_detail, alpha=0.25)}


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--length", type=int, default=16, help="frames of a clip")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for part in ("input", "truth"):
        (args.out / part).mkdir(parents=True, exist_ok=True)
    clips = clean_clips(args.footage, args.seed, args.clips, args.length)
    for index in range(args.clips):
        name = f"{index:04d}"
        # The truth is written last.
        if not (args.out / "truth" / f"{name}.mkv").is_file():
            TASKS[args.task](clean_clip(clips, index), item_generator(args.seed + 1, index), args.out, name)


if __name__ == "__main__":
    main()
