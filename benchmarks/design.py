"""What each part of an adapter's design is worth: every variant trained alike and measured alike (docs/design.md).

    python benchmarks/design.py --out designs --only light,tiny,paper       three of the variants, on two trials
    python benchmarks/design.py --out designs                               all of them: some hours on two cores
    python recipes/scene_networks.py --stills footage/stills --out scenes.safetensors
    python benchmarks/design.py --out designs --weights scenes.safetensors --trials "depth drop,classes drop"

A variant is trained and evaluated once for each trial: the demo's denoiser on noise, and on noise with dropped patches,
on the first frames of carphone and cup; depth and classes of made scenes, under both, on scenes from other stills.
No training sees what is measured. What --out holds already is not done again. Prints a line for each variant, with
parameters and multiply-accumulates over the base's, and writes results.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from contenders import build

from holdsteady import stabilize, zoo
from holdsteady.adapters.config import make_config
from holdsteady.adapters.files import load_adapter
from holdsteady.allocator import keep_freed_memory

NOISE = "gaussian:sigma=0.19607843"
CORRUPTIONS = {"noise": NOISE, "drop": f"{NOISE}+patch-drop"}
CLIPS = {"carphone_pristine": 40, "cup": 12}  # frames: the paper's adapter takes 10 s for one of cup
#: Outputs of recipes/scene_networks.py, each with its loss and what is measured.
SCENES = {
    "depth": ("l1", {"abs_rel": 1, "flicker_error": 1}),
    "classes": ("cross-entropy", {"miou": 100, "categorical_instability": 100}),
}
TRIALS = ("noise", "drop", *(f"{output} {corruption}" for output in SCENES for corruption in CORRUPTIONS))

#: Learning rates for a hundred steps: the wider the heads, the lower.
PAPER_RATE, RATE = 1e-3, 1e-2


def light(**changes: Any) -> dict[str, Any]:
    """The preset, in which something is changed."""
    return {"kind": "spatial", "preset": "light", **changes}


def whole(**changes: Any) -> dict[str, Any]:
    """The same with heads and backbone at the full resolution, as the preset used to be."""
    return light(**{"head_scale": 1, "backbone_scale": 1, **changes})


def along_frames(**changes: Any) -> dict[str, Any]:
    """That one along the motion of the frames at the output too; most variants were tried on it."""
    return whole(flow_from="input", **changes)


def blocks(*points: str, **changes: Any) -> dict[str, Any]:
    """At points of the network too, with thinner heads."""
    return whole(points=["input", *points, "output"], head_reduction=8, head_width=16, **changes)


VARIANTS: dict[str, tuple[dict[str, Any], float]] = {
    "paper": ({"kind": "spatial", "preset": "paper"}, PAPER_RATE),
    "motion": ({"kind": "motion", "initial_logit": -1.0, "initial_centre": 8.0}, RATE / 2),
    "motion from an even window": ({"kind": "motion", "initial_logit": 0.0}, 3e-3),
    "light": (light(), RATE),
    "tiny": (light(preset="tiny"), RATE),
    # How the memory comes to the present.
    "along the frames": (along_frames(), RATE),
    "unaligned": (whole(align="none"), RATE),
    # How an adapter starts.
    "even window": (along_frames(initial_centre=0.0), RATE / 2),
    "centre ahead by 4": (along_frames(initial_centre=4.0), RATE),
    "from logit 0": (along_frames(initial_logit=0.0), RATE),
    # Which points matter.
    "input alone": (along_frames(points=["input"]), RATE),
    "output alone": (along_frames(points=["output"]), RATE),
    "and blocks": (blocks("auto", flow_from="input"), RATE),
    "and unaligned blocks": (blocks("auto", align="none"), RATE),
    "and encoders": (blocks("encoders.?", flow_from="input"), RATE),
    "and the middle": (blocks("middle", flow_from="input"), RATE),
    "and decoders": (blocks("decoders.?", flow_from="input"), RATE),
    # The window.
    "no window": (along_frames(kind="controlled"), RATE),
    "5x5": (along_frames(kernel=5), RATE),
    "a kernel for each channel": (along_frames(shared_kernel=False), RATE),
    # The heads.
    "full resolution": (whole(), RATE),
    "16 wide": (along_frames(head_width=16), RATE),
    "quarter resolution": (along_frames(head_scale=4), RATE),
    "twelve values": (whole(head_reduction=12), RATE),
}


def train(name: str, trial: str, steps: int, seed: int, out: Path, weights: Path) -> Path:
    """The folder of a variant's adapter, trained if it is not there yet.

    Raises:
        SystemExit: there is one that was trained otherwise.
    """
    folder = out / f"{name}-{trial}".replace(" ", "-")
    settings, rate = VARIANTS[name]
    if (folder / "adapter.safetensors").is_file() and not (folder / "checkpoint.pt").is_file():
        done = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
        found = (done["steps"], done["seed"], done["optimizer"]["learning_rate"])
        # What a preset meant then, and not its name alone.
        shapes = [
            config.settings() | {"points": None} for config in (load_adapter(folder).config, make_config(**settings))
        ]
        if found != (steps, seed, rate) or shapes[0] != shapes[1]:
            raise SystemExit(f"{folder} holds an adapter that was trained otherwise; delete it, or take another --out")
        return folder
    output, corruption = trial.split() if " " in trial else ("", trial)
    recipe, changes = "recipes/design.yaml", {}
    if output:
        recipe = "recipes/design-scenes.yaml"
        loss = {"objective.target": output, "objective.distance": SCENES[output][0]}
        changes = {"model": f"recipes/scene_networks.py:{output}", "weights": str(weights), **loss}
    changes |= {
        "adapter": yaml.safe_dump(settings, default_flow_style=True, width=10_000).strip(),
        "corruption": CORRUPTIONS[corruption],
        "optimizer.learning_rate": str(rate),
        "steps": str(steps),
        "seed": str(seed),
        "validation.every": str(steps),
    }
    chosen = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    _holdsteady("train", recipe, *chosen, "--out", str(folder))
    return folder


def evaluate(folder: Path, trial: str, whose: str) -> dict[str, float]:
    """The figures of a trial, of the adapter in a folder or of the ``base``."""
    if " " in trial:
        _, wanted = SCENES[trial.split()[0]]
        return _figures(folder, "eval", (str(folder / "recipe.yaml"),), whose, wanted)
    found = {}
    for clip, frames in CLIPS.items():
        where = ("--clips", f"footage/{clip}.mp4", "--frames", str(frames), "--target", "frames")
        what = ("--model", "denoise", "--corrupt", CORRUPTIONS[trial], *where)
        figures = _figures(folder, f"eval-{clip}", what, whose, {"psnr": 1, "flicker_error": 100})
        found |= {f"{clip} {name}": value for name, value in figures.items()}
    return found


def _figures(folder: Path, name: str, what: tuple[str, ...], whose: str, wanted: dict[str, float]) -> dict[str, float]:
    """Means over what is evaluated, each times its factor."""
    results = folder / name
    if not (results / "results.json").is_file():
        _holdsteady("eval", *what, "--no-baselines", "--adapter", str(folder), "--out", str(results))
    rows = json.loads((results / "results.json").read_text(encoding="utf-8"))["rows"]
    found = [row["figures"] for row in rows if (row["label"] == "base") == (whose == "base")]
    return {key: factor * fmean(figures[key] for figures in found) for key, factor in wanted.items()}


def costs(name: str) -> dict[str, float]:
    """Parameters on the demo's denoiser, and multiply-accumulates over the base's there and on NAFNet-32."""
    settings, example = VARIANTS[name][0], torch.rand(1, 3, 256, 256)
    small = stabilize(zoo.load("denoise"), example=example, **_call(settings)).cost(example)
    big = stabilize(build("nafnet32"), example=example, **_call(settings)).cost(example)
    return {"parameters": small.total.parameters, "MACs": small.ratio or 0, "MACs, NAFNet-32": big.ratio or 0}


def _call(settings: dict[str, Any]) -> dict[str, Any]:
    return {("adapter" if key == "kind" else key): value for key, value in settings.items()}


def _holdsteady(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "holdsteady", *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for adapters and results")
    parser.add_argument("--only", help="variants, with commas between them")
    parser.add_argument("--trials", default="noise,drop", help=f"of {', '.join(TRIALS)}")
    parser.add_argument("--weights", type=Path, default=Path("scenes.safetensors"), help="for depth and classes")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the trainings; give each its own --out")
    args = parser.parse_args()
    names, trials = args.only.split(",") if args.only else list(VARIANTS), args.trials.split(",")
    unknown = sorted({*names} - {*VARIANTS}) + sorted({*trials} - {*TRIALS})
    if unknown:
        parser.error(f"no {', '.join(unknown)}; there is {', '.join(VARIANTS)}; and of trials {', '.join(TRIALS)}")
    rows: list[dict[str, Any]] = []
    for name in names:
        cost = costs(name)
        row: dict[str, Any] = {"variant": name, **cost}
        base: dict[str, Any] = {"variant": "base", **dict.fromkeys(cost, 0)}
        for trial in trials:
            folder = train(name, trial, args.steps, args.seed, args.out, args.weights)
            row |= {f"{trial}, {key}": value for key, value in evaluate(folder, trial, "adapter").items()}
            base |= {f"{trial}, {key}": value for key, value in evaluate(folder, trial, "base").items()}
        for new in (row,) if rows else (base, row):
            rows.append(new)
            print(" | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in new.values()), flush=True)
    with (args.out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
