"""Denoising at lower frame rates: every frame, every second, every fourth.

    python benchmarks/strides.py --footage footage --json benchmarks/results/strides.json
    python benchmarks/strides.py --json benchmarks/results/strides.json --docs docs/results.md       the table again

The model denoise on carphone and cup with Gaussian noise of σ = 0.1, with its adapters and the
paper's smoothing of outputs. What --json holds already is not measured again.
"""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from outcome import arguments, begun, facts, show, write_json

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.evaluation.contenders import BASE, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.evaluation.footage import Footage, video_footage
from holdsteady.report.table import markdown

STRIDES = (1, 2, 4)
NOISE = "gaussian:sigma=0.1"
FRAMES = {"carphone_pristine": 30, "cup": 8}
ADAPTERS = ("output-fixed:0.8", "motion-fixed", "universal")


def slowed(footage: Path, stride: int) -> list[Footage]:
    """Clips of equally many frames, each so many of the video's from the last."""
    clips = []
    for name, count in FRAMES.items():
        clip = video_footage(str(footage / f"{name}.mp4"), stride * count)
        clips.append(Footage(name, partial(lambda play: islice(play(), 0, None, stride), clip.play)))
    return clips


def measure(footage: Path, stride: int) -> dict[str, dict[str, Any]]:
    own = ["denoise-clean", "denoise-robust"]
    contenders = [BASE, *trained([*ADAPTERS, *own])]
    rows = evaluate(
        zoo.load("denoise"), contenders, slowed(footage, stride), corruptions=[NOISE], target="frames", seed=2026
    )
    figures = ("psnr", "flicker_error")
    return {
        one["label"]: {name: [one["means"][name], *one["intervals"][name]] for name in figures}
        for one in summarise(rows)
    }


def table(results: dict[str, Any]) -> str:
    """PSNR in dB and flicker error ×100 at each stride, in Markdown."""
    measured = results["strides"]
    labels = list(next(iter(measured.values())))
    rows = [[label, *(_cell(of[label]) for of in measured.values())] for label in labels]
    return markdown(["", *(f"stride {stride}" for stride in measured)], rows)


def _cell(figures: dict[str, Any]) -> str:
    return f"{figures['psnr'][0]:.2f} / {100 * figures['flicker_error'][0]:.2f}"


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "seed": 2026, "strides": {}})
    for stride in STRIDES if args.footage else ():
        if str(stride) not in results["strides"]:
            results["strides"][str(stride)] = measure(args.footage, stride)
            write_json(args.json, results)
    show(table(results), "strides.py", args.docs)


if __name__ == "__main__":
    main()
