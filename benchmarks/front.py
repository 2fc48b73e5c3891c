"""Quality over time: which adapters none beats in both PSNR and the time that a CPU takes.

    python benchmarks/front.py --footage footage --json benchmarks/results/front.json [--work runs/front]
    python benchmarks/front.py --json benchmarks/results/front.json --docs docs/results.md       table and figure again

Quality is what kinds.py measures in denoising, under noise of σ = 0.1 and 0.2, on carphone and cup; adapters that learn
are trained for --steps steps by the recipe denoise-clean at λ = 0.2. Time is that of a step on the denoiser's output at
640×480, over DIS flow alone, as bars.py takes it: measured anew in each run with --footage, on an idle machine, please.
"""

import math
from pathlib import Path
from typing import Any

import torch
from bars import time_steps
from kinds import TASKS
from matplotlib.figure import Figure
from measuring import BASE as ALONE
from outcome import Entry, arguments, begun, facts, merged, show, trained_by, write_json
from scenarios import Clip, denoised

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.evaluation.contenders import BASE, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.report.table import markdown

READY = ("output-fixed:0.8", "live", "motion-fixed", "universal")
LEARNED = {
    "motion": "{kind: motion}",
    "tiny": "{kind: spatial, preset: tiny}",
    "light": "{kind: spatial, preset: light}",
    "light, full resolution": "{kind: spatial, preset: light, head_scale: 1, backbone_scale: 1}",
}
NAMES = (BASE.label, *READY, *LEARNED)
KEPT = ("psnr", "flicker_error")


def train(name: str, steps: int, work: Path) -> str:
    changes = {"adapter": LEARNED[name], "objective.stability": 0.2, "steps": steps, "validation.clips": 1}
    return str(trained_by("denoise-clean", work / name.replace(", ", "-").replace(" ", "-"), changes))


def measure(footage: Path, specs: dict[str, str]) -> list[Entry]:
    """Means over the clips with 95 % intervals, of the network alone and with each adapter."""
    task = TASKS["denoise"]
    contenders = [BASE, *trained(list(specs.values()))]
    rows = evaluate(
        zoo.load("denoise"), contenders, task.clips(footage), corruptions=task.corruptions, target="frames", seed=2026
    )
    names = {one.label: name for one, name in zip(contenders, (BASE.label, *specs), strict=True)}
    found = []
    for one in summarise(rows):
        figures = {figure: [one["means"][figure], *one["intervals"][figure]] for figure in KEPT}
        found.append({"label": names[one["label"]], "corruption": one["corruption"], **figures})
    return found


def time(footage: Path, specs: dict[str, str], threads: int) -> dict[str, float]:
    """Times of a step over DIS flow alone."""
    scenario = denoised("cup", Clip(footage / "cup.mp4", 0, 32), 1)
    figures = time_steps(scenario, list(specs.values()), threads).figures
    return {name: figures[spec]["ratio"] for name, spec in specs.items()} | {ALONE: figures[ALONE]["ms"]}


def by_corruption(results: dict[str, Any]) -> dict[str, dict[str, Entry]]:
    """The entries of each corruption by name."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in results["quality"]:
        found.setdefault(entry["corruption"], {})[entry["label"]] = entry
    return found


def unbeaten(entries: dict[str, Entry], times: dict[str, float]) -> list[str]:
    """The adapters that none beats in PSNR at their time or less, by time."""
    best, found = -math.inf, []
    for name in sorted((name for name in entries if name in times), key=lambda name: times[name]):
        if entries[name]["psnr"][0] > best:
            best = entries[name]["psnr"][0]
            found.append(name)
    return found


def table(results: dict[str, Any]) -> str:
    """In Markdown; those that none beats are in bold."""
    found, times = by_corruption(results), results["times"]
    body = []
    for name in NAMES:
        cells = []
        for entries in found.values():
            psnr, flicker = (entries[name][figure][0] for figure in KEPT)
            bold = "**" * (name in unbeaten(entries, times))
            cells.append(f"{bold}{psnr:.2f}{bold} / {100 * flicker:.2f}")
        body.append([name, f"{times[name]:.1f}" if name in times else "–", *cells])
    return markdown(["", "time of a step, × DIS flow", *found], body)


def draw(results: dict[str, Any], folder: Path) -> None:
    """Gain in PSNR over the time of a step, with a line through those that none beats; PNG and SVG."""
    found, times = by_corruption(results), results["times"]
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    for axis, (corruption, entries) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        gains = {name: entry["psnr"][0] - entries[BASE.label]["psnr"][0] for name, entry in entries.items()}
        front = unbeaten(entries, times)
        axis.plot([times[name] for name in front], [gains[name] for name in front], color="0.6", linewidth=1)
        for name in NAMES[1:]:
            axis.plot(times[name], gains[name], "o" if name in READY else "*", markersize=9)
            place = (6, 4) if name in front else (6, -11)  # what is beaten is named below, where there is room
            axis.annotate(name, (times[name], gains[name]), xytext=place, textcoords="offset points", fontsize=8)
        axis.set_xscale("log")
        axis.margins(x=0.35)
        axis.set_title(corruption, fontsize=10, loc="left", parse_math=False)
        axis.set_xlabel("time of a step at 640×480, × DIS flow")
        axis.set_ylabel("PSNR over the base, dB")
        axis.grid(alpha=0.3)
    for ending in ("png", "svg"):
        figure.savefig(folder / f"front.{ending}", dpi=110)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--work", type=Path, default=Path("runs/front"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "seed": 2026, "steps": args.steps, "quality": [], "times": {}})
    if args.footage:
        specs = {name: name for name in READY} | {name: train(name, args.steps, args.work) for name in LEARNED}
        known = {entry["label"] for entry in results["quality"]}
        missing = {name: spec for name, spec in specs.items() if name not in known}
        if missing:
            results["quality"] = merged(results["quality"], measure(args.footage, missing), NAMES)
            write_json(args.json, results)
        results["times"] = time(args.footage, specs, args.threads)
        write_json(args.json, results)
    show(table(results), "front.py", args.docs)
    if args.docs:
        draw(results, args.docs.parent / "pictures")


if __name__ == "__main__":
    main()
