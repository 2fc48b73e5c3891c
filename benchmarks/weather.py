"""Denoising in rain and snow: the paper's four variants of what is trained.

    python benchmarks/weather.py --footage footage --json benchmarks/results/weather.json [--work runs/weather]
    python benchmarks/weather.py --json benchmarks/results/weather.json --docs docs/results.md       the table again

The base as it is, an adapter alone, the base alone, and both together: each of the last three is trained by the recipe
of denoise-clean for --steps steps on noise of σ = 0.1 under rain or snow. On carphone and cup, which nothing is trained
on. What lies in --work or --json already is not made again.
"""

from pathlib import Path
from typing import Any

import torch
from outcome import arguments, begun, facts, show, trained_by, write_json
from robustness import TASKS

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.evaluation.contenders import BASE, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.report.table import markdown

NOISE = "gaussian:sigma=0.1"
WEATHER = {"rain": f"{NOISE}+rain", "snow": f"{NOISE}+snow"}
#: Whose weights move, by the name of the variant.
VARIANTS = {"adapter alone": "adapter", "base fine-tuned": "base", "both": "both"}
KEPT = ("psnr", "flicker_error", "instability_rms")


def train(variant: str, steps: int, work: Path) -> str:
    """The folder of a variant."""
    changes = {"train": VARIANTS[variant], "corruption": f"mix({'|'.join(WEATHER.values())})", "steps": steps}
    return str(trained_by("denoise-clean", work / variant, changes))


def measure(footage: Path, folders: list[str]) -> list[dict[str, Any]]:
    """Means over the clips, with 95 % intervals, of each variant in each weather."""
    rows = evaluate(
        zoo.load("denoise"),
        [BASE, *trained(["motion-fixed", "universal", *folders])],
        TASKS["denoise"].clips(footage),
        corruptions=list(WEATHER.values()),
        target="frames",
        seed=2026,
    )
    found = summarise(rows)
    for entry in found:
        del entry["setting"]
        for part in ("means", "intervals"):
            entry[part] = {name: value for name, value in entry[part].items() if name in KEPT}
    return found


def table(results: dict[str, Any]) -> str:
    """PSNR, flicker error and instability of each variant in each weather, in Markdown."""
    found = results["weather"]
    body = []
    for label in dict.fromkeys(entry["label"] for entry in found):
        mine = {entry["corruption"]: entry["means"] for entry in found if entry["label"] == label}
        body.append([label, *(_cell(mine[spec]) for spec in WEATHER.values())])
    return markdown(["PSNR, dB / flicker error ×100 / instability RMS ×100", *WEATHER], body)


def _cell(means: dict[str, float]) -> str:
    return f"{means['psnr']:.2f} / {100 * means['flicker_error']:.2f} / {100 * means['instability_rms']:.2f}"


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("runs/weather"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "seed": 2026, "steps": args.steps, "weather": []})
    if args.footage and not results["weather"]:
        folders = [train(variant, args.steps, args.work) for variant in VARIANTS]
        results["weather"] = measure(args.footage, folders)
        write_json(args.json, results)
    show(table(results), "weather.py", args.docs)


if __name__ == "__main__":
    main()
