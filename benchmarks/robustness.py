"""The paper's corruptions on four tasks: the models that ship, alone and with their adapters.

    python benchmarks/robustness.py --footage footage --json benchmarks/results/robustness.json
    python benchmarks/robustness.py --footage footage --json FILE --tasks enhance --minutes 10
    python benchmarks/robustness.py --json benchmarks/results/robustness.json --docs docs/results.md  the tables again

Denoising (after noise of σ = 0.1) and enhancement run on carphone and cup, depth and classes on scenes of stills and
seeds that no adapter was trained on. What --json holds already is not measured again.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from outcome import arguments, begun, facts, merged, show, write_json
from torch.nn import functional as F

from holdsteady import zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source
from holdsteady.evaluation.contenders import BASE, Contender, trained
from holdsteady.evaluation.evaluate import evaluate, summarise
from holdsteady.evaluation.footage import Footage, Moment, video_footage
from holdsteady.models.detail import enhance_details
from holdsteady.report.table import markdown

CORRUPTIONS = ("none", "patch-drop", "elastic", "frame-drop", "jpeg", "impulse")
HELD = ("aloeL.jpg", "box_in_scene.png", "fruits.jpg", "home.jpg", "messi5.jpg", "squirrel_cls.jpg")
SCENES, SIDE = 6, 128
FRAMES = {"carphone_pristine": 24, "cup": 8}


@dataclass(frozen=True)
class Task:
    """A task: its model, what it runs on, and the figures that are shown, each with a factor and digits.

    Attributes:
        before: what comes before every corruption.
        composed: the adapter behind one that fills in dropped patches of frames; empty for the model's own *clean*.
    """

    model: str
    clips: Callable[[Path], list[Footage]]
    figures: tuple[tuple[str, float, int], ...]
    before: str = ""
    composed: str = ""


def real(footage: Path) -> list[Footage]:
    return [video_footage(str(footage / f"{name}.mp4"), frames) for name, frames in FRAMES.items()]


def enhanced(footage: Path, alpha: float = 0.5) -> list[Footage]:
    """The same, with the filter's result as the truth."""

    def play(clip: Footage) -> Iterator[Moment]:
        for moment in clip.play():
            yield moment._replace(truth=enhance_details(moment.clean, alpha))

    return [Footage(clip.name, partial(play, clip)) for clip in real(footage)]


def halved(footage: Path) -> list[Footage]:
    """The same at half the size, with what they were before as the truth."""

    def play(clip: Footage) -> Iterator[Moment]:
        for moment in clip.play():
            size = [side // 2 for side in moment.clean.shape[2:]]
            small = F.interpolate(moment.clean, size=size, mode="bicubic", antialias=True).clamp(0, 1)
            yield moment._replace(clean=small, truth=moment.clean)

    return [Footage(clip.name, partial(play, clip)) for clip in real(footage)]


def scenes(key: str, footage: Path) -> list[Footage]:
    source = make_source("scenes", [footage / "stills" / name for name in HELD], length=16, crop=SIDE)
    drawn = Mixture([source], seed=2026, size=SCENES)

    def play(number: int) -> Iterator[Moment]:
        sample = drawn[number]
        for frame, truth in zip(sample["frames"], sample[key], strict=True):
            yield Moment(frame[None], truth[None], False)

    return [Footage(f"scene {number}", partial(play, number)) for number in range(SCENES)]


_PICTURES = (("psnr", 1.0, 2), ("flicker_error", 100.0, 2))
TASKS = {
    "denoise": Task(
        "denoise", real, _PICTURES, "gaussian:sigma=0.1+", "nafnet16-noise-motion"
    ),
    "enhance": Task("enhance", enhanced, _PICTURES),
    "depth": Task(
        "depth", partial(scenes, "depth"), (("clip_abs_rel", 1.0, 3), ("clip_delta_accuracy", 1.0, 3),
        ("scale_drift", 1.0, 3), ("shift_drift", 1.0, 3)),
    ),
    "segment": Task("segment", partial(scenes, "classes"), (("miou", 100.0, 1), ("class_flips", 100.0, 2))),
    "upscale2": Task("upscale2", halved, _PICTURES),
}  # fmt: skip
SHOWN = {
    "psnr": "PSNR, dB",
    "flicker_error": "flicker error ×100",
    "clip_abs_rel": "AbsRel",
    "clip_delta_accuracy": "δ<1.25",
    "scale_drift": "drift of scale",
    "shift_drift": "of shift",
    "miou": "mIoU, %",
    "class_flips": "class flips, %",
}


def contenders(task: Task) -> list[Contender]:
    """The base, three that serve any model, its own two, and a chain of two that were trained apart."""
    own = [f"{task.model}-{kind}" for kind in ("clean", "robust")]
    composed = f"nafnet16-patchdrop-input+{task.composed or own[0]}"
    return [BASE, *trained(["motion-fixed", "universal", "motion-fixed@input+motion-fixed", *own, composed])]


def measure(task: Task, corruption: str, footage: Path, without: Collection[str]) -> list[dict[str, Any]]:
    """Means over the clips with 95 % intervals, and the figures of each clip, of every contender.

    Args:
        without: labels of those that are left out; the base runs whenever another one does.
    """
    spec = f"{task.before}{corruption}" if corruption != "none" else task.before.rstrip("+") or "none"
    target = "frames" if task.model == "denoise" else "self"
    wanted = [BASE, *(one for one in contenders(task)[1:] if one.label not in without)]
    if len(wanted) == 1 and BASE.label in without:
        return []
    rows = evaluate(zoo.load(task.model), wanted, task.clips(footage), corruptions=[spec], target=target, seed=2026)
    names = [name for name, _, _ in task.figures]
    found = []
    for summary in summarise(rows):
        mine = [row for row in rows if row.label == summary["label"]]
        found.append(
            {
                "label": summary["label"],
                "means": {name: summary["means"][name] for name in names},
                "intervals": {name: summary["intervals"][name] for name in names if name in summary["intervals"]},
                "clips": {row.clip: {name: row.figures[name] for name in names} for row in mine},
            }
        )
    return found


def tables(results: dict[str, Any]) -> str:
    """A table for each task, in Markdown."""
    parts = []
    for name, task in TASKS.items():
        measured = results["tasks"].get(name, {})
        if not measured:
            continue
        labels = list(dict.fromkeys(row["label"] for of in measured.values() for row in of))
        body = []
        for label in labels:
            rows = {corruption: row for corruption, of in measured.items() for row in of if row["label"] == label}
            body.append([label, *(_cell(task, rows.get(corruption)) for corruption in CORRUPTIONS)])
        unit = " / ".join(SHOWN[figure] for figure, _, _ in task.figures)
        parts.append(f"**{name}**: {unit}\n\n{markdown(['', *CORRUPTIONS], body)}")
    return "\n\n".join(parts)


def _cell(task: Task, row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    return " / ".join(f"{factor * row['means'][name]:.{digits}f}" for name, factor, digits in task.figures)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--minutes", type=float, help="begin nothing new after so many")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    began = time.monotonic()
    results = begun(args.json, {**facts(args.threads), "seed": 2026, "tasks": {}})
    for name in args.tasks.split(",") if args.footage else []:
        for corruption in CORRUPTIONS:
            late = args.minutes is not None and time.monotonic() - began > 60 * args.minutes
            done = results["tasks"].setdefault(name, {})
            if late:
                continue
            before = done.get(corruption, [])
            new = measure(TASKS[name], corruption, args.footage, {row["label"] for row in before})
            done[corruption] = merged(before, new, [one.label for one in contenders(TASKS[name])])
            write_json(args.json, results)
            for row in new:
                print(name, corruption, row["label"], _cell(TASKS[name], row), sep="  ", flush=True)
    show(tables(results), "robustness.py", args.docs)


if __name__ == "__main__":
    main()
