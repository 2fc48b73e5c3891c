"""The paper's figure: accuracy over stability, over β, σ or λ, for its kinds, motion-fixed, live and universal.

    python benchmarks/kinds.py --footage footage --json benchmarks/results/kinds.json [--work runs/kinds]
    python benchmarks/kinds.py --json benchmarks/results/kinds.json --docs docs/results.md       table and figures again

Averages with a fixed weight are swept as in the paper. Kinds that learn are trained for --steps steps from nothing at
each λ, by the recipe of the task's clean adapter; that is brief, and the same for all. Denoising is under noise of
σ = 0.1 and 0.2, enhancement on clean frames; on carphone and cup, which nothing is trained on. Strong enhancement (an α
of 0.25) has a network of its own, which doesn't ship and is trained first. What lies in --work or --json already is not
made again. Enhancement learns from pairs: `python recipes/pairs.py detail --out build/detail --clips 200 --length 8`,
and the same with detail-strong.
"""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from outcome import Entry, arguments, begun, facts, merged, show, trained_by, write_json
from robustness import enhanced, real

from holdsteady import load
from holdsteady.allocator import keep_freed_memory
from holdsteady.evaluation.contenders import BASE, baselines, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.evaluation.footage import Footage
from holdsteady.report.evaluation import save_accuracy_stability
from holdsteady.report.table import markdown

LEARNED = {
    "simple-learned": "simple-learned",
    # As light was when the results were made.
    "controlled": "{kind: controlled, preset: light, head_scale: 1, backbone_scale: 1}",
    "spatial": "{kind: spatial, preset: light, head_scale: 1, backbone_scale: 1}",
}
LEARNED_AT = {f"{kind}-{weight:g}": (kind, weight) for kind in LEARNED for weight in (0.1, 0.2, 0.4, 0.8)}


@dataclass(frozen=True)
class Task:
    """What the kinds are compared in.

    Attributes:
        recipe: of the adapters, but for what ``changes`` says.
        clips: that are reported on.
        alpha: of the filter that a network has to learn first; None for the network that the recipe names.
    """

    recipe: str
    clips: Callable[[Path], list[Footage]]
    corruptions: tuple[str, ...] = ("none",)
    alpha: float | None = None


TASKS = {
    "denoise": Task("denoise", real, ("gaussian:sigma=0.1", "gaussian:sigma=0.2")),
    "enhance": Task("enhance", enhanced),
    "enhance-strong": Task("enhance", partial(enhanced, alpha=0.25), alpha=0.25),
}
KEPT = ("psnr", "flicker_error", "instability_rms", "target_instability_rms")
AS_THEY_SHIP = ("live", "universal")


def network(task: Task, work: Path) -> Path | None:
    """Weights of the network, trained if it has its own and they are not there yet; None if it ships."""
    if task.alpha is None:
        return None
    out = (work / "network.safetensors").resolve()
    if not out.exists() or out.with_suffix(".checkpoint.pt").exists():
        work.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "recipes/enhance.py", "--alpha", str(task.alpha), "--out", str(out)]
        subprocess.run([*command, "--device", "cpu"], check=True, cwd=Path(__file__).parents[1])
    return out


def train(task: Task, label: str, steps: int, work: Path) -> Path:
    """The folder of an adapter by its kind and λ."""
    kind, weight = LEARNED_AT[label]
    changes = {"adapter": LEARNED[kind], "objective.stability": weight, "steps": steps, "validation.clips": 1}
    if task.alpha is not None:
        pairs = "build/detail-strong"
        changes["weights"] = network(task, work)
        changes["data.sources"] = f"[{{kind: pairs, paths: {pairs}/input, truth: {pairs}/truth}}]"
    if kind == "simple-learned":
        changes["optimizer.learning_rate"] = 0.1  # of a logit a channel, which at a network's rate stays where it is
    return trained_by(f"{task.recipe}-clean", work / label, changes)


def measure(task: Task, footage: Path, work: Path, steps: int, before: list[Entry]) -> list[Entry]:
    """Means over the clips, with 95 % intervals, of every contender under every corruption.

    Args:
        work: a folder for what is trained, for so many steps.
        before: what was measured already, and is not again.
    """
    known = {entry["label"] for entry in before}
    folders = [str(train(task, label, steps, work)) for label in LEARNED_AT if label not in known]
    untrained = baselines()[1:]
    contenders = [one for one in (*untrained, *trained([*AS_THEY_SHIP, *folders])) if one.label not in known]
    if not contenders:
        return before
    target = "frames" if task.recipe == "denoise" else "self"
    model, clips = load(task.recipe, network(task, work)), task.clips(footage)
    rows = evaluate(model, [BASE, *contenders], clips, corruptions=task.corruptions, target=target, seed=2026)
    found = summarise(rows)
    for entry in found:
        entry["setting"] = None if math.isnan(entry["setting"]) else entry["setting"]
        for part in ("means", "intervals"):
            entry[part] = {name: value for name, value in entry[part].items() if name in KEPT}
    order = [BASE.label, *(one.label for one in untrained), *AS_THEY_SHIP, *LEARNED_AT]
    return merged(before, found, order)


def tables(results: dict[str, Any]) -> str:
    """The best setting of each family, by PSNR, in Markdown."""
    parts = []
    for task, found in results["tasks"].items():
        for corruption in TASKS[task].corruptions:
            entries = [entry for entry in found if entry["corruption"] == corruption]
            body = []
            for family in dict.fromkeys(entry["family"] for entry in entries):
                mine = [entry for entry in entries if entry["family"] == family]
                body.append([family, *map(_cell, (best(mine, "psnr", 1), best(mine, "flicker_error", -1)))])
            heads = ["", "its best PSNR: at, dB, flicker error ×100", "its least flicker: at, dB, flicker error ×100"]
            parts.append(f"**{task}, {corruption}**\n\n{markdown(heads, body)}")
    return "\n\n".join(parts)


def best(entries: list[Entry], figure: str, sign: int) -> Entry:
    """The entry whose figure is the largest, or with a sign of −1 the least."""
    return max(entries, key=lambda entry: sign * entry["means"][figure])


def _cell(entry: Entry) -> str:
    means, at = entry["means"], "" if entry["setting"] is None else f"{entry['setting']:g}: "
    return f"{at}{means['psnr']:.2f} / {100 * means['flicker_error']:.2f}"


def draw(results: dict[str, Any], folder: Path) -> None:
    """The figure of each task, as PNG and SVG. What is far worse than the base is left out, to see the rest."""
    for task, found in results["tasks"].items():
        entries = [{**one, "setting": math.nan if one["setting"] is None else one["setting"]} for one in found]
        base = {entry["corruption"]: entry["means"] for entry in entries if entry["label"] == BASE.label}
        near = [entry for entry in entries if is_near(entry["means"], base[entry["corruption"]])]
        for ending in ("png", "svg"):
            save_accuracy_stability(near, folder / f"kinds-{task}.{ending}", "flicker_error")


def is_near(means: dict[str, float], base: dict[str, float]) -> bool:
    """Whether it has at most 1 dB less than the base, and a fifth more of the flicker error."""
    return means["psnr"] > base["psnr"] - 1 and means["flicker_error"] < 1.2 * base["flicker_error"]


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--work", type=Path, default=Path("runs/kinds"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "seed": 2026, "steps": args.steps, "tasks": {}})
    for name in args.tasks.split(",") if args.footage else ():
        before = results["tasks"].get(name, [])
        results["tasks"][name] = measure(TASKS[name], args.footage, args.work / name, args.steps, before)
        write_json(args.json, results)
    show(tables(results), "kinds.py", args.docs)
    if args.docs:
        draw(results, args.docs.parent / "pictures")


if __name__ == "__main__":
    main()
