"""What a second pass from the end brings: the shipped denoiser with motion fixed, causal and both ways.

    python benchmarks/both_ways.py footage/carphone_pristine.mp4 footage/cup.mp4 --frames 60

Gaussian noise of sigma 50/255, seed 0, not clipped to 8 bits. PSNR in dB / flicker error x100.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

import holdsteady as hs
from holdsteady import video
from holdsteady.allocator import keep_freed_memory
from holdsteady.metrics import VideoScores
from holdsteady.report.table import markdown

SIGMA = 50 / 255


def load(path: Path, frames: int, height: int) -> list[Tensor]:
    """The first frames of a clip (1, 3, H, W), shrunk to a height at most."""
    with video.open_video(str(path)) as reader:
        clip = list(islice(video.upright_tensors(reader), frames))
    scale = min(1.0, height / clip[0].shape[-2])
    if scale < 1:
        return [torch.nn.functional.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True) for x in clip]
    return clip


def score(outputs: list[Tensor], truth: list[Tensor]) -> str:
    """PSNR / flicker error x100."""
    scorer = VideoScores()
    for output, true in zip(outputs, truth, strict=True):
        scorer.update(output.clamp(0, 1), true)
    found = scorer.compute()
    return f"{found['psnr']:.2f} / {100 * found['flicker_error']:.2f}"


@torch.inference_mode()
def measure(truth: list[Tensor], adapter: str) -> dict[str, str]:
    """The figures of one clip. Both ways as `run` has it for shots of at most 80 frames."""
    generator = torch.Generator().manual_seed(0)
    noisy = [(frame + SIGMA * torch.randn(frame.shape, generator=generator)).clamp(0, 1) for frame in truth]
    model = hs.load("denoise")
    raw = [model(frame) for frame in noisy]

    def passed(order: list[int]) -> list[Tensor]:
        current: list[Tensor] = []
        steady = hs.stabilize(lambda _frame: current[0], adapter)
        outputs = {}
        for number in order:
            current[:] = [raw[number]]
            outputs[number] = steady(noisy[number])
        return [outputs[number] for number in range(len(raw))]

    forth, back = passed(list(range(len(raw)))), passed(list(range(len(raw)))[::-1])
    mean = [(a + b) / 2 for a, b in zip(forth, back, strict=True)]
    return {
        "frame by frame": score(raw, truth),
        f"{adapter}, causal": score(forth, truth),
        f"{adapter}, both ways": score(mean, truth),
    }


def main() -> None:
    """Print a table."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--adapter", default="motion-fixed")
    given = parser.parse_args()
    columns = {clip.stem: measure(load(clip, given.frames, given.height), given.adapter) for clip in given.clips}
    rows = [[label, *(column[label] for column in columns.values())] for label in next(iter(columns.values()))]
    print(markdown(["", *columns], rows))


if __name__ == "__main__":
    main()
