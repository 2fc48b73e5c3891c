"""What each part of an adapter's design is worth: every variant trained alike and measured alike (docs/design.md).

    python benchmarks/design.py --out designs                                all of them: some hours on two cores
    python benchmarks/design.py --out designs --only input+output,paper      two of them

Each variant is trained with recipes/design.yaml, once on noise and once on noise with dropped patches, and evaluated
on the first frames of carphone and cup, which no training sees. What --out holds already is not done again. Prints, and
writes to results.csv: the adapter's parameters, its multiply-accumulates over the base's on the demo's denoiser and on
NAFNet-32, PSNR and flicker error ×100.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from contenders import build

from holdsteady import stabilize, zoo

CLIPS = {"carphone_pristine": 40, "cup": 12}  # frames: the paper's adapter takes 10 s for one of cup
CORRUPTIONS = {"noise": "gaussian:sigma=0.19607843", "drop": "gaussian:sigma=0.19607843+patch-drop"}

#: Learning rates for a hundred steps: the wider the heads, the lower.
PAPER_RATE, RATE, TINY_RATE = 1e-3, 5e-3, 1e-2


def light(**changes: Any) -> dict[str, Any]:
    """The preset, in which something is changed."""
    return {"kind": "spatial", "preset": "light", **changes}


BLOCKS: dict[str, Any] = {"points": ["input", "auto", "output"], "head_reduction": 8, "head_width": 16}

VARIANTS: dict[str, tuple[dict[str, Any], float]] = {
    "paper": ({"kind": "spatial", "preset": "paper"}, PAPER_RATE),
    "motion": ({"kind": "motion"}, RATE),
    "light": (light(), RATE),
    "tiny": (light(preset="tiny"), TINY_RATE),
    # How an adapter starts.
    "tiny, first logit -4": (light(preset="tiny", initial_logit=-4.0), 3e-3),
    "light, first logit 0": (light(initial_logit=0.0), TINY_RATE),
    # Which points matter.
    "input alone": (light(points=["input"]), RATE),
    "output alone": (light(points=["output"]), RATE),
    "and blocks": (light(**BLOCKS, initial_logit=0.0), TINY_RATE),
    "and blocks, unaligned": (light(**BLOCKS, align="none"), RATE),
    "and blocks, one head a scale": (light(**BLOCKS, shared_heads=True), RATE),
    "and the middle": (light(**{**BLOCKS, "points": ["input", "middle.*", "output"]}), RATE),
    # How the memory comes to the present.
    "unaligned": (light(align="none"), RATE),
    "learned offsets": (light(align="learned"), RATE),
    "flow from the output": (light(flow_from="output"), RATE),
    # The window.
    "no window": (light(kind="controlled"), RATE),
    "5x5": (light(kernel=5), RATE),
    "dilated 1, 2, 4": (light(dilations=[1, 2, 4]), RATE),
    "a kernel for each channel": (light(kernel_channels=1), RATE),
    # The heads.
    "separable layers": (light(head_convolution="separable"), RATE),
    "16 wide": (light(head_width=16), RATE),
    "half resolution": (light(head_scale=2), RATE),
    "quarter resolution": (light(head_scale=4), RATE),
    "differences": (light(head_input="differences"), RATE),
    "backbone at half resolution": (light(backbone_scale=2), RATE),
}


def train(name: str, corruption: str, steps: int, out: Path) -> Path:
    """The folder of a variant's adapter, trained if it is not there yet."""
    folder = out / f"{name.replace(', ', '-').replace(' ', '-')}-{corruption}"
    if not (folder / "adapter.safetensors").is_file() or (folder / "checkpoint.pt").is_file():
        settings, rate = VARIANTS[name]
        changes = {
            "adapter": yaml.safe_dump(settings, default_flow_style=True, width=10_000).strip(),
            "corruption": CORRUPTIONS[corruption],
            "optimizer.learning_rate": rate,
            "steps": steps,
            "validation.every": steps,
        }
        chosen = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
        _holdsteady("train", "recipes/design.yaml", *chosen, "--out", str(folder))
    return folder


def evaluate(folder: Path, corruption: str) -> dict[str, float]:
    """PSNR and flicker error on each clip."""
    figures = {}
    for clip, frames in CLIPS.items():
        results = folder / f"eval-{clip}"
        if not (results / "results.json").is_file():
            where = ("--clips", f"../shared/clips/{clip}.mp4", "--frames", str(frames), "--target", "frames")
            what = ("--model", "nafnet16-denoise", "--no-baselines", "--adapter", str(folder))
            _holdsteady("eval", *what, *where, "--corrupt", CORRUPTIONS[corruption], "--out", str(results))
        rows = json.loads((results / "results.json").read_text(encoding="utf-8"))["rows"]
        found = next(row["figures"] for row in rows if row["label"] != "base")
        figures[f"{clip} PSNR"], figures[f"{clip} flicker"] = found["psnr"], 100 * found["flicker_error"]
    return figures


def costs(name: str) -> dict[str, float]:
    """Parameters on the demo's denoiser, and multiply-accumulates over the base's there and on NAFNet-32."""
    settings, example = VARIANTS[name][0], torch.rand(1, 3, 64, 64)
    small = stabilize(zoo.load("nafnet16-denoise"), example=example, **_call(settings)).cost(example)
    big = stabilize(build("nafnet32"), example=example, **_call(settings)).cost(example)
    return {"parameters": small.total.parameters, "MACs": small.ratio or 0, "MACs, NAFNet-32": big.ratio or 0}


def _call(settings: dict[str, Any]) -> dict[str, Any]:
    return {("adapter" if key == "kind" else key): value for key, value in settings.items()}


def _holdsteady(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "holdsteady", *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for adapters and results")
    parser.add_argument("--only", help="variants, with commas between them")
    parser.add_argument("--corruptions", default="noise,drop")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(VARIANTS)
    unknown = sorted(set(names) - set(VARIANTS))
    if unknown:
        parser.error(f"no variant {', '.join(unknown)}; there is {', '.join(VARIANTS)}")
    rows = []
    for name in names:
        row: dict[str, Any] = {"variant": name, **costs(name)}
        for corruption in args.corruptions.split(","):
            folder = train(name, corruption, args.steps, args.out)
            row |= {f"{corruption}, {key}": value for key, value in evaluate(folder, corruption).items()}
        rows.append(row)
        print(
            "| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()) + " |", flush=True
        )
    with (args.out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
