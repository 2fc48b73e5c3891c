"""The weight λ of the stability term from 0 to 8, along the motion and not: the same brief training at each.

    python benchmarks/stability_weight.py --footage footage --json FILE [--work runs/stability-weight]
    python benchmarks/stability_weight.py --json FILE --docs docs/results.md                       the table again

The kind *motion* by the recipe nafnet16-noise-motion, --steps steps each; on carphone, 100 frames, and cup, 40 frames,
which nothing is trained on. Theory has two bounds (docs/theory.md): up to λ = 1/2 the truth is the best output, from
T − 1 = 7 on a frozen one is. What lies in --work or --json already is not made again.
"""

from pathlib import Path
from typing import Any

import torch
from outcome import arguments, begun, facts, show, trained_by, write_json

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.evaluation.contenders import BASE, Contender, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.evaluation.footage import video_footage
from holdsteady.report.table import markdown

WEIGHTS = (0.0, 0.4, 2.0, 8.0)
NOISE = "gaussian:sigma=0.19607843"
CLIPS = {"carphone_pristine": 100, "cup": 40}
KEPT = ("psnr", "flicker_error", "instability_rms")
ALONG, PLAIN = "along the motion", "as in the paper"


def settings() -> list[tuple[float, str]]:
    """λ, and how the term compares; at 0 there is none."""
    return [(weight, way) for weight in WEIGHTS for way in (PLAIN, ALONG) if weight or way == PLAIN]


def train(weight: float, way: str, steps: int, work: Path) -> str:
    changes: dict[str, Any] = {"objective.stability": weight, "steps": steps, "validation.clips": 1}
    changes["objective.motion_compensated"] = str(way == ALONG).lower()
    return str(trained_by("nafnet16-noise-motion", work / f"{weight:g}-{way.split()[0]}", changes))


def measure(footage: Path, contender: Contender) -> dict[str, Any]:
    """Means of each clip with 95 % intervals."""
    found = {}
    for name, frames in CLIPS.items():
        clips = [video_footage(str(footage / f"{name}.mp4"), frames)]
        rows = evaluate(zoo.load("denoise"), [contender], clips, corruptions=[NOISE], target="frames", seed=0)
        one = summarise(rows)[0]
        found[name] = {figure: [one["means"][figure], *one["intervals"].get(figure, ())] for figure in KEPT}
    return found


def table(results: dict[str, Any]) -> str:
    """PSNR, flicker error and instability at each λ, in Markdown."""
    rows = [["base", *map(_cell, results["base"].values())]]
    for weight, way in settings():
        found = results["settings"].get(f"{weight:g} {way}")
        if found:
            rows.append([f"λ = {weight:g}" + (f", {way}" if weight else ""), *map(_cell, found.values())])
    return markdown(["PSNR, dB / flicker error ×100 / instability RMS ×100", "carphone", "cup"], rows)


def _cell(figures: dict[str, list[float]]) -> str:
    psnr, *others = (figures[name][0] for name in KEPT)
    return " / ".join([f"{psnr:.2f}", *(f"{100 * value:.2f}" for value in others)])


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("runs/stability-weight"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "steps": args.steps, "base": {}, "settings": {}})
    if args.footage and not results["base"]:
        results["base"] = measure(args.footage, BASE)
    for weight, way in settings() if args.footage else ():
        name = f"{weight:g} {way}"
        if name not in results["settings"]:
            (adapter,) = trained([train(weight, way, args.steps, args.work)])
            results["settings"][name] = found = measure(args.footage, adapter)
            write_json(args.json, results)
            print(name, *map(_cell, found.values()), sep="  ", flush=True)
    show(table(results), "stability_weight.py", args.docs)


if __name__ == "__main__":
    main()
