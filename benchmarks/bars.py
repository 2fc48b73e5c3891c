"""Output adapters against fixed bars, in one table: what they gain, what they cost, and the worst that they do.

    python benchmarks/bars.py --footage footage [--replays FOLDER]            motion fixed
    python benchmarks/bars.py --footage footage --adapter motion-fixed --adapter my-adapter/ --json bars.json
    python benchmarks/bars.py --footage footage --only wide,fade --quick      a smoke test
    python benchmarks/bars.py --footage footage --only time --json bars.json  its row of times again, on an idle machine
    python benchmarks/bars.py --json bars.json                                the table of these results again

--footage is a folder as recipes/get_footage.py fills it. --replays is one with recorded outputs of networks:
NAME.input.mkv, NAME.base.mkv and NAME.truth.mkv, and espnet-vtest.npz with logits; their rows are left out without it.
Every scenario is defined in scenarios.py, its random numbers drawn from seed 0. All go through holdsteady.stabilize, of
a callable that hands out what the network gave.

Cells with a bar that is missed end with ✗. PSNR is the mean over the frames, 100 dB at most; flicker is the flicker
error ×100; gain and ratio are against frame by frame. One adapter takes about five minutes of CPU time.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import scenarios
import torch
from measuring import BASE, ClassScore, Figures, MomentScore, PictureScore, Runner, Score, measure
from outcome import facts, write_into, write_json
from scenarios import Clip, Scenario

from holdsteady.adapters.config import KINDS, LEARNED_KINDS
from holdsteady.allocator import keep_freed_memory
from holdsteady.errors import HoldsteadyError
from holdsteady.flow.dis import DISFlow
from holdsteady.host.resolve import resolve_ready
from holdsteady.report.table import markdown

FORMATS = {
    "psnr": "{:.2f} dB",
    "flicker": "{:.2f}",
    "gain": "{:+.2f} dB",
    "ratio": "{:.2f}×",
    "geometric": "{:.2f}× geometric",
    "laplacian": "{:.3f}",
    "flips": "{:.2f} %",
    "agreement": "{:.1f} % agree",
    "ms": "{:.1f} ms",
    "cpu ratio": "{:.2f}× of CPU time",
}
ALL = ("psnr", "flicker", "gain", "ratio")


@dataclass(frozen=True)
class Limit:
    """A bar: of a figure, for adapters without weights and for trained ones; None for none."""

    figure: str
    untrained: float | None
    trained: float | None
    at_least: bool = True

    def of(self, adapter: str) -> float | None:
        kind = adapter.partition(":")[0]
        return self.untrained if kind in KINDS and kind not in LEARNED_KINDS else self.trained

    def holds(self, adapter: str, figures: Figures) -> bool:
        limit, value = self.of(adapter), figures.get(self.figure)
        # Rounded as the table shows it.
        return limit is None or value is None or (value >= limit - 5e-4 if self.at_least else value <= limit + 5e-4)

    def text(self, limit: float | None) -> str:
        if limit is None:
            return "–"
        return f"{self.figure.replace('psnr', 'PSNR')} {'≥' if self.at_least else '≤'} {limit:g}"


def at_most(figure: str, untrained: float | None, trained: float | None) -> Limit:
    return Limit(figure, untrained, trained, at_least=False)


@dataclass
class Line:
    """A row of the table: the means over its scenarios.

    Attributes:
        name, group: what it is, and which ``--only`` takes it.
        scenarios: what is run; their means are the row.
        shown: the figures of a cell.
        limits: its bars.
        score: how outputs are measured.
        reduce: mean or min over the scenarios.
        figures: of the base and of each adapter, once measured.
        each: the same for each scenario.
        notes: what could not be measured, and why.
    """

    name: str
    group: str
    scenarios: list[Scenario]
    shown: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    score: Callable[[], Score] = PictureScore
    reduce: Callable[[Sequence[float]], float] = statistics.fmean
    figures: dict[str, Figures] = field(default_factory=dict)
    each: dict[str, dict[str, Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def cleared(self, adapter: str) -> bool:
        """Whether an adapter that was measured clears all bars."""
        return all(limit.holds(adapter, self.figures[adapter]) for limit in self.limits)


NO_LOSS = Limit("gain", -0.05, -0.05)


def lines(footage: Path, replays: Path | None) -> list[Line]:
    """Every row that is measured on scenarios."""
    found = [] if replays is None else recorded_lines(replays)
    pictures = {
        "carphone": Clip(footage / "carphone_pristine.mp4", 0, 60),
        "bikes": Clip(footage / "bikes.mp4", 31),
        "bigbuckbunny": Clip(footage / "bigbuckbunny.mp4", 0, 24),
    }
    undamaged = (Limit("psnr", 46, 45), Limit("laplacian", 0.93, 0.93))
    found += [
        Line(one.name, "clean", [one], ("psnr", "laplacian"), undamaged)
        for one in (scenarios.clean(f"clean, {name}", clip) for name, clip in pictures.items())
    ]
    # Bars: 0.2 dB above motion fixed, and as good as the trained motion adapter, both of 25 November 2026.
    denoising = {"carphone": ("carphone_pristine.mp4", 29.83, 30.00), "cup": ("cup.mp4", 37.64, 37.70)}
    for number, (name, (file, untrained, trained)) in enumerate(denoising.items()):
        one = scenarios.denoised(f"denoising, {name}", Clip(footage / file, 0, 100), number)
        found.append(Line(one.name, "denoising", [one], ALL, (Limit("psnr", untrained, trained), NO_LOSS)))
    cuts, switches = scenarios.unannounced(footage)
    for what, several in (("cut", cuts), ("light switch 0.3 → 1", switches)):
        limit = Limit("psnr", 33, 33)
        name = f"first frame after a {what}, worst of {len(several)}"
        found.append(Line(name, "cuts", several, ("psnr",), (limit,), MomentScore, min))
    wide, fades = scenarios.flickering(footage)
    steadier = (at_most("ratio", 0.35, 0.35), Limit("gain", 3, 3))
    for kind, several in wide.items():
        found.append(Line(f"{kind} flicker, input known", "wide", several, ALL, steadier))
        found.append(Line(f"{kind} flicker, blind", "wide", [s.blind() for s in several], ALL, (NO_LOSS,)))
    for keeps in (0.7, 0.95):
        several = scenarios.drifting(footage, keeps)
        for seen, shown in (("input known", several), ("blind", [s.blind() for s in several])):
            # The right level is nobody's to know, and held at a wrong one it has less PSNR: what counts is flicker.
            name = f"slow flicker, correlation {keeps:g}, {seen}"
            found.append(Line(name, "wide", shown, ALL, (at_most("ratio", 1, 1),)))
    for what, several in fades.items():
        # Without noise the base is exact.
        shown, limits = (("psnr",), ()) if what == "fade" else (ALL, (Limit("gain", -0.1, -0.1),))
        found.append(Line(f"true {what}, input known", "fade", several, shown, limits))
        found.append(Line(f"true {what}, blind", "fade", [s.blind() for s in several], shown, limits))
    clips = {"bikes": Clip(footage / "bikes.mp4", 31, 12), "box": Clip(footage / "box.mp4", 60, 12, half=True)}
    for what, sigma, gain in (("noise", 0.003, 0.0005), ("much noise", 0.01, 0.0)):
        several = [scenarios.raw(f"{what} before gamma, {name}", clip, sigma, gain) for name, clip in clips.items()]
        found.append(Line(f"{what} of a sensor before gamma", "fast", several, ALL, (NO_LOSS,)))
    hand_held = scenarios.noisy("fast hand-held, box", Clip(footage / "box.mp4", 60, stride=3), 0.03)
    found.append(Line(hand_held.name, "fast", [hand_held], ALL, (NO_LOSS,)))
    return found


def recorded_lines(replays: Path) -> list[Line]:
    """The rows of the recorded networks."""
    recordings = scenarios.recordings(replays)
    bars = {"sci-cup": (Limit("psnr", 34.8, 36.0), at_most("flicker", 2.10, 2.00))}
    found = [Line(one.name, "replays", [one], ALL, (*bars.get(one.name, ()), NO_LOSS)) for one in recordings]
    mean = (Limit("gain", 1.7, 2.0), at_most("ratio", 0.70, 0.66))
    found.append(Line("mean of the replays", "replays", recordings, (*ALL, "geometric"), mean))
    mask = scenarios.replay(replays, "selfie-carphone")
    logits = scenarios.recorded_logits(replays, "espnet-vtest")
    for one, most in ((mask, 0.7), (scenarios.one_channel(mask), 0.7), (logits, 0.5)):
        shown = ("flips", "ratio", "agreement")
        found.append(Line(one.name, "classes", [one], shown, (at_most("ratio", most, most),), ClassScore))
    return found


def fill(
    line: Line, adapters: Sequence[str], frames: int | None, known: dict[tuple[str, Callable[[], Score]], Any]
) -> None:
    """Measure a row; scenarios that another row has measured are not run again."""
    for scenario in line.scenarios:
        key = (scenario.name, line.score)
        try:
            if key not in known:
                known[key] = measure(scenario, adapters, line.score, frames)
        except OSError as error:
            line.notes.append(f"{line.name} is not measured: {error}")
            return
        line.each[scenario.name], refused = known[key]
        line.notes += [f"{adapter} refuses {scenario.name}: {why}" for adapter, why in refused.items()]
    for name in (BASE, *adapters):
        every = [figures[name] for figures in line.each.values() if name in figures]
        if len(every) < len(line.scenarios):
            continue
        line.figures[name] = {key: line.reduce([one[key] for one in every]) for key in every[0]}
        if "ratio" in every[0] and all(one["ratio"] > 0 for one in every):
            line.figures[name]["geometric"] = statistics.geometric_mean([one["ratio"] for one in every])


def worst(rows: Sequence[Line], adapters: Sequence[str]) -> Line:
    """The row of the least gain in PSNR over all scenarios of rows with a bar for it."""
    line = Line(
        "worst case, PSNR against frame by frame, of rows with a bar for it", "worst", [], ("gain",), (NO_LOSS,)
    )
    for adapter in adapters:
        gains = {
            name: figures[adapter]["gain"]
            for row in rows
            if any(limit.figure == "gain" for limit in row.limits)
            for name, figures in row.each.items()
            if "gain" in figures.get(adapter, {})
        }
        if gains:
            name = min(gains, key=lambda one: gains[one])
            line.figures[adapter] = {"gain": gains[name]}
            line.notes.append(f"the worst case of {adapter} is {name}, {gains[name]:+.2f} dB")
    return line


def time_steps(scenario: Scenario, adapters: Sequence[str], threads: int) -> Line:
    """Time of a step over DIS flow alone, at 240 lines and between the same images; taken in turns, medians.

    By the clock, and of the CPU, which other programs on the machine hardly move.
    """
    line = Line(f"time of a step over DIS flow alone, {threads} threads", "time", [], ("ms", "ratio", "cpu ratio"))
    line.limits = (at_most("ratio", 3, 5),)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (BASE, *adapters)}
    search, runners, last = DISFlow(), {adapter: Runner(adapter) for adapter in adapters}, None
    try:
        for moment in scenario.play():
            if last is not None:
                taken[BASE].append(seconds(partial(search, moment.output, last)))
            last = moment.output
            for adapter, runner in runners.items():
                taken[adapter].append(seconds(partial(runner.step, moment)))
    except OSError as error:
        line.notes.append(f"{line.name} is not measured: {error}")
        return line
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(-1)
    for name, times in taken.items():
        wall, cpu = (1000 * statistics.median(column) for column in zip(*times[2:], strict=True))  # two warm caches up
        line.figures[name] = {"ms": wall, "cpu ms": cpu}
    for adapter in adapters:
        ratios = {"ratio": "ms", "cpu ratio": "cpu ms"}
        line.figures[adapter] |= {k: line.figures[adapter][v] / line.figures[BASE][v] for k, v in ratios.items()}
    line.notes.append("in the row of times, DIS flow is in the column of frame by frame")
    return line


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """What a work takes by the clock, and of the CPU in all threads."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def cell(line: Line, name: str) -> str:
    """What the table says of one adapter in a row."""
    figures = line.figures.get(name)
    if figures is None:
        return "–"
    shown = [
        key for key in line.shown if key in figures and (name != BASE or key not in ("gain", "ratio", "geometric"))
    ]
    missed = name != BASE and not line.cleared(name)
    return " / ".join(FORMATS[key].format(figures[key]) for key in shown) + (" ✗" if missed else "")


def as_results(rows: Sequence[Line], adapters: Sequence[str], about: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure, what the table says, and whether each adapter clears the bars."""

    def one(line: Line) -> dict[str, Any]:
        whose = {"untrained": [limit.untrained for limit in line.limits], "trained": [x.trained for x in line.limits]}
        texts = {name: [x.text(y) for x, y in zip(line.limits, ys, strict=True)] for name, ys in whose.items()}
        return {
            "name": line.name,
            "group": line.group,
            "cells": {name: cell(line, name) for name in (BASE, *adapters)},
            "bars": {name: ", ".join(several) or "–" for name, several in texts.items()},
            "cleared": {name: line.cleared(name) for name in adapters if name in line.figures},
            "figures": line.figures,
            "scenarios": line.each,
        }

    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    return {**about, "adapters": [*adapters], "rows": [one(row) for row in rows if row.figures], "notes": notes}


def table(results: Mapping[str, Any]) -> str:
    """The rows that were measured, in Markdown, and under them what was not."""
    head = ["", BASE, *results["adapters"], "bar, untrained", "bar, trained"]
    body = [[row["name"], *row["cells"].values(), *row["bars"].values()] for row in results["rows"]]
    return "\n".join([markdown(head, body), "", *(f"* {note}" for note in results["notes"])])


GROUPS = ("replays", "classes", "clean", "denoising", "cuts", "wide", "fade", "fast", "time")


def run(
    footage: Path,
    replays: Path | None,
    adapters: Sequence[str],
    groups: Sequence[str] = GROUPS,
    *,
    quick: bool = False,
    threads: int = 2,
    tell: Callable[[str], None] = lambda _line: None,
) -> list[Line]:
    """All rows of the chosen groups, measured."""
    rows = [line for line in lines(footage, replays) if line.group in groups]
    known: dict[tuple[str, Callable[[], Score]], Any] = {}
    for line in rows:
        begun = time.perf_counter()
        fill(line, adapters, 8 if quick else None, known)
        told = "; ".join(f"{name} {cell(line, name)}" for name in line.figures)
        tell(f"{line.name}: {told}  [{time.perf_counter() - begun:.0f} s]")
    if not groups or {*groups} != {"time"}:
        rows.append(worst(rows, adapters))
    if "time" in groups:
        clip = Clip(footage / "box.mp4", 100, 6 if quick else 30)
        rows.append(time_steps(scenarios.noisy("box, 640×480", clip, 0.03), adapters, threads))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path)
    parser.add_argument("--replays", type=Path)
    parser.add_argument("--adapter", action="append", help="as `holdsteady run` takes it; may be given several times")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="eight frames of each clip: a smoke test, not a result")
    parser.add_argument("--json", type=Path, help="every figure; written, or read where there is no --footage")
    parser.add_argument("--docs", type=Path, help="a page that the table is written into")
    args = parser.parse_args()
    if args.footage is not None:
        results = _measured(args, parser)
        if args.only == "time" and args.json is not None and args.json.is_file():
            results = with_times(json.loads(args.json.read_text(encoding="utf-8")), results)
        if args.json is not None:
            write_json(args.json, results)
    elif args.json is not None and args.json.is_file():
        results = json.loads(args.json.read_text(encoding="utf-8"))
    else:
        parser.error("pass --footage to measure, or --json with results")
    print("\n" + table(results))
    if args.docs is not None:
        write_into(args.docs, "bars.py", table(results))


def with_times(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Earlier results with new times."""
    rows = [row for row in before["rows"] if row["group"] != "time"]
    return {**before, "rows": [*rows, *after["rows"]]}


def _measured(args: argparse.Namespace, parser: argparse.ArgumentParser) -> dict[str, Any]:
    groups, adapters = args.only.split(","), args.adapter or ["motion-fixed"]
    unknown = sorted({*groups} - {*GROUPS})
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; available: {', '.join(GROUPS)}")
    if not args.footage.is_dir() or not (args.replays is None or args.replays.is_dir()):
        parser.error("--footage and --replays must be folders that exist")
    try:
        for adapter in adapters:
            resolve_ready(adapter)
    except HoldsteadyError as error:
        parser.error(str(error))
    keep_freed_memory()  # as all commands do
    torch.set_num_threads(args.threads)
    options = {"quick": args.quick, "threads": args.threads}
    rows = run(args.footage, args.replays, adapters, groups, tell=lambda text: print(text, flush=True), **options)
    return as_results(rows, adapters, {"command": "benchmarks/bars.py", "quick": args.quick, **facts(args.threads)})


if __name__ == "__main__":
    main()
