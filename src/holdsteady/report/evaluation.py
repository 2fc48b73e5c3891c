"""The results of an evaluation as files: CSV, JSON, Markdown, the accuracy–stability plot, quality over time."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holdsteady.evaluation.evaluate import Row, drift, summarise
from holdsteady.folders import whole_file, write_whole
from holdsteady.report.figure import plain_legend, save_figure
from holdsteady.report.table import FIGURES, number
from holdsteady.report.table import markdown as markdown_lines
from holdsteady.training.folder import write_json

#: What is written to the folder of an evaluation.
FILES = ("results.json", "results.csv", "results.md", "accuracy-stability.png", "over-time.png")


def save_results(rows: Sequence[Row], folder: Path, facts: dict[str, Any]) -> None:
    """Write ``results.json``, ``results.csv``, ``results.md``, ``accuracy-stability.png`` and ``over-time.png``.

    Args:
        rows: of an evaluation.
        folder: an existing folder.
        facts: about the run: model, seed, machine; they head the JSON and the Markdown.
    """
    summary = summarise(rows)
    _save_json(rows, summary, folder, facts)
    _save_csv(rows, folder)
    write_whole(folder / "results.md", markdown(rows, summary, facts))
    save_accuracy_stability(summary, folder / "accuracy-stability.png")
    save_over_time(rows, folder / "over-time.png")


def markdown(rows: Sequence[Row], summary: Sequence[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The tables of an evaluation: means with intervals for each corruption, then each clip."""
    parts = ["\n".join(f"* {name}: {value}" for name, value in facts.items())]
    for corruption in dict.fromkeys(entry["corruption"] for entry in summary):
        entries = [entry for entry in summary if entry["corruption"] == corruption]
        cells = [
            (e["label"], {name: _with_interval(name, e) for name in FIGURES if name in e["means"]}) for e in entries
        ]
        parts.append(f"## {corruption}, mean of {entries[0]['clips']} clip(s)\n\n{_table(cells)}")
        for clip in dict.fromkeys(row.clip for row in rows):
            mine = [row for row in rows if (row.clip, row.corruption) == (clip, corruption)]
            if not mine:
                continue  # tables are written while clips are still to come
            base = mine[0]
            cells = [
                (row.label, {name: number(name, row.figures[name]) for name in FIGURES if name in row.figures})
                for row in mine
            ]
            if "psnr" in base.series:
                for row, (_, values) in zip(mine, cells, strict=True):
                    values["drift dB"] = f"{drift(row, base):+.2f}"
            parts.append(f"### {corruption}, {clip} ({_frames(base)} frames)\n\n{_table(cells)}\n{_truth(base)}")
    return "\n\n".join(parts) + "\n"


def _frames(row: Row) -> int:
    return max(map(len, row.series.values()))


def _truth(row: Row) -> str:
    """What the truth itself changes, beside which instabilities are to be read."""
    if "target_instability_rms" not in row.figures:
        return ""
    return f"\nThe target's own RMS is {100 * row.figures['target_instability_rms']:.2f}; below it is over-smoothed.\n"


def _table(rows: Sequence[tuple[str, dict[str, str]]]) -> str:
    used = [name for name in (*FIGURES, "drift dB") if any(name in values for _, values in rows)]
    heads = ["", *(FIGURES[name][0] if name in FIGURES else name for name in used)]
    return markdown_lines(heads, [[label, *(values.get(name, "–") for name in used)] for label, values in rows])


def _with_interval(name: str, entry: dict[str, Any]) -> str:
    text = number(name, entry["means"][name])
    low, high = entry["intervals"].get(name, (math.nan, math.nan))
    return text if math.isnan(low) else f"{text} ({number(name, low)}…{number(name, high)})"


def _save_json(rows: Sequence[Row], summary: Sequence[dict[str, Any]], folder: Path, facts: dict[str, Any]) -> None:
    plain = [{**vars(row), "series": {k: [round(v, 6) for v in s] for k, s in row.series.items()}} for row in rows]
    write_json(folder / "results.json", {"facts": facts, "summary": list(summary), "rows": plain})


def _save_csv(rows: Sequence[Row], folder: Path) -> None:
    figures = list(dict.fromkeys(name for row in rows for name in row.figures))
    with whole_file(folder / "results.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "corruption", "label", "family", "setting", *figures])
        for row in rows:
            who = [row.clip, row.corruption, row.label, row.family, row.setting]
            writer.writerow([*who, *(row.figures.get(name, "") for name in figures)])


def save_accuracy_stability(summary: Sequence[dict[str, Any]], path: Path, steadiness: str | None = None) -> None:
    """Quality over instability, a curve for each family over β, σ or λ; the target's own instability as a line.

    Args:
        summary: of an evaluation.
        path: its ending says what kind of picture it is.
        steadiness: the figure that stands for instability; None for the one of the kind of output.
    """
    axes = _axes_of(summary)
    if axes is None:
        return
    quality, steadiness = axes[0], steadiness or axes[1]
    corruptions = list(dict.fromkeys(entry["corruption"] for entry in summary))
    figure = Figure(figsize=(7.5, 5.2 * len(corruptions)), layout="constrained")
    for axis, corruption in zip(figure.subplots(len(corruptions), 1, squeeze=False)[:, 0], corruptions, strict=True):
        entries = [entry for entry in summary if entry["corruption"] == corruption]
        for family in dict.fromkeys(entry["family"] for entry in entries):
            mine = sorted((e for e in entries if e["family"] == family), key=lambda e: e["setting"])
            x = [FIGURES[steadiness][1] * e["means"][steadiness] for e in mine]
            y = [e["means"][quality] for e in mine]
            axis.plot(x, y, marker="*" if "trained" in family else "o", markersize=9, linewidth=1.3, label=family)
            if len(mine) > 1:
                for entry, place in zip(mine, zip(x, y, strict=True), strict=True):
                    axis.annotate(f"{entry['setting']:g}", place, xytext=(4, 4), textcoords="offset points", fontsize=7)
        name = "target_instability_rms"
        target = [entry["means"][name] for entry in entries if name in entry["means"]]
        if target and steadiness == "instability_rms":
            axis.axvline(
                100 * float(np.mean(target)), color="black", linestyle="--", linewidth=1, label="the target's own"
            )
        axis.set_title(corruption, fontsize=10, loc="left", parse_math=False)
        axis.set_xlabel(f"{FIGURES[steadiness][0]}")
        axis.set_ylabel(FIGURES[quality][0])
        axis.grid(alpha=0.3)
        plain_legend(axis, fontsize=8)
    save_figure(figure, path)


def _axes_of(summary: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """The figures of quality and of steadiness that these results have; of single frames there is no steadiness."""
    has = summary[0]["means"]
    quality = next((name for name in ("psnr", "miou", "abs_rel") if name in has), None)
    steadiness = next((name for name in ("instability_rms", "categorical_instability") if name in has), None)
    return None if quality is None or steadiness is None else (quality, steadiness)


def save_over_time(rows: Sequence[Row], path: Path) -> None:
    """The lead over the base in quality, frame by frame, for the best of each family: slow bleeding shows as a fall."""
    quality = next((name for name in ("psnr", "pixel_accuracy", "abs_rel") if name in rows[0].series), None)
    if quality is None:
        return
    places = list(dict.fromkeys((row.clip, row.corruption) for row in rows))
    figure = Figure(figsize=(9, 2.8 * len(places)), layout="constrained")
    for axis, place in zip(figure.subplots(len(places), 1, squeeze=False)[:, 0], places, strict=True):
        mine = [row for row in rows if (row.clip, row.corruption) == place]
        base = np.array(mine[0].series[quality])
        for family in list(dict.fromkeys(row.family for row in mine))[1:]:
            best = max((r for r in mine if r.family == family), key=lambda r: r.figures[quality] * _sign(quality))
            _draw_lead(axis, np.array(best.series[quality]) - base, best.label)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_title(f"{place[0]}, {place[1]}", fontsize=10, loc="left", parse_math=False)
        axis.set_ylabel(f"{FIGURES[quality][0]}, over base")
        axis.grid(alpha=0.3)
        if axis.get_lines()[:-1]:
            plain_legend(axis, fontsize=8, ncols=3)
        axis.set_xlabel("frame")
    save_figure(figure, path)


def _sign(quality: str) -> int:
    return -1 if FIGURES[quality][0].endswith("↓") else 1


def _draw_lead(axis: Axes, lead: np.ndarray, label: str) -> None:
    # A running mean: single frames go up and down by more than what is to be seen.
    window = max(1, len(lead) // 40)
    smooth = np.convolve(np.nan_to_num(lead, nan=0.0, posinf=0.0, neginf=0.0), np.ones(window) / window, mode="valid")
    axis.plot(np.arange(len(smooth)) + window / 2, smooth, linewidth=1.2, label=label)
