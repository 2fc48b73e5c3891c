"""Quality and steadiness of the kinds without training, on the shipped denoiser.

    python benchmarks/stability.py CLIP [CLIP …]

For each clip: Gaussian noise σ = 50/255 (seed 0, clipped), the network frame by frame, and its output held by
every β of output fixed, every σ of output Gaussian, and motion fixed. Exits with 1 unless motion fixed beats the
frame-wise base and every β in flicker error at equal or better PSNR.
"""

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from holdsteady import stabilize, zoo
from holdsteady.metrics import VideoScores
from holdsteady.report.table import rich_table
from holdsteady.report.variants import add_noise
from holdsteady.video import open_video, upright_tensors

BETAS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.6)
SIGMAS = (0.5, 1, 2, 3, 4, 6)
KINDS = [*(f"output-fixed:{b}" for b in BETAS), *(f"output-gaussian:{s:g}" for s in SIGMAS), "motion-fixed"]


def evaluate(clip: Path, sigma: float, seed: int, device: str, most: int | None) -> dict[str, dict[str, float]]:
    """Scores for the base and every kind; the base runs once, for these kinds look at its output alone."""
    model = zoo.load("nafnet16-denoise").to(device)
    held = {kind: stabilize(lambda output: output, kind) for kind in KINDS}
    scorers = {label: VideoScores() for label in ("base", *KINDS, "truth")}
    with open_video(str(clip)) as reader, torch.inference_mode():
        total = min(reader.info.frames or 10**9, most or 10**9)
        frames = zip(range(total), upright_tensors(reader), strict=False)
        generator = torch.Generator().manual_seed(seed)
        for _, clean in track(frames, clip.stem, total, console=Console(stderr=True)):
            noisy = add_noise(clean, sigma, generator)
            output = model(noisy.to(device)).cpu()
            scorers["truth"].update(clean)
            scorers["base"].update(output.clamp(0, 1), clean)
            for kind, steady in held.items():
                scorers[kind].update(steady(output).clamp(0, 1), clean)
    return {label: scorer.compute() for label, scorer in scorers.items()}


def faults(rows: dict[str, dict[str, float]]) -> list[str]:
    """What does not hold of: better than the base in both, less flicker error than every β at no worse a PSNR."""
    ours = rows["motion-fixed"]
    return [
        f"motion-fixed does not beat {other}"
        for other in ("base", *(f"output-fixed:{beta}" for beta in BETAS))
        if ours["flicker_error"] >= rows[other]["flicker_error"] or ours["psnr"] < rows[other]["psnr"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--sigma", type=float, default=50.0, help="of 255")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=None, help="at most this many of each clip")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    failed = False
    for clip in args.clips:
        rows = evaluate(clip, args.sigma / 255, args.seed, args.device, args.frames)
        Console(width=130).print(
            rich_table(rows, f"{clip.stem}, Gaussian noise σ = {args.sigma:g}/255, seed {args.seed}")
        )
        for fault in faults(rows):
            print(f"{clip.stem}: {fault}")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
