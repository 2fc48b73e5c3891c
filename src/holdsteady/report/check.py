"""What a check of a video found, as JSON, as a plot and as tables."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from holdsteady.check.advice import STEADY, Advice
from holdsteady.check.check import Check, Stretch
from holdsteady.errors import printable
from holdsteady.report.figure import save_figure


def as_json(found: Check, advice: Advice, video: str, original: str | None) -> dict[str, Any]:
    """All of it, in JSON's types. Shares are of 1, times in seconds since the first frame."""
    return {
        "video": video,
        "original": original,
        "frames": found.frames,
        **asdict(found.whole),
        "advice": asdict(advice),
        "worst": [one.start for one in found.worst()],
        "seconds": [_flat(one) for one in found.seconds],
        "shots": [_flat(one) for one in found.shots],
    }


def _flat(stretch: Stretch) -> dict[str, Any]:
    return {"start": stretch.start, "end": stretch.end, "frames": stretch.frames, **asdict(stretch.figures)}


def table(parts: Sequence[Stretch], title: str) -> Table:
    """A row for each second or shot."""
    rows = Table(title=title, title_justify="left")
    original = any(part.figures.source_wide is not None for part in parts)
    heads = ["from", "to", "score", "wide %", "detail %"]
    heads += ["lost %", "source\nwide %", "source\ndetail %"] if original else []
    for head in heads:
        rows.add_column(head, justify="right", no_wrap=True)
    for part in parts:
        found = part.figures
        shares = [found.wide, found.detail]
        shares += [found.lost, found.source_wide, found.source_detail] if original else []  # type: ignore[list-item]
        rows.add_row(clock(part.start), clock(part.end), f"{found.score:.2f}", *map(percent, shares))
    return rows


def percent(share: float | None) -> str:
    """A share as a number of percents."""
    return "–" if share is None else f"{100 * share:.2f}"


def clock(seconds: float) -> str:
    """A time as people write it, minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}"


def save_plot(found: Check, video: str, path: Path) -> None:
    """The score over time as PNG, its two parts below, shots as vertical lines, the worst seconds marked."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True)
    starts = [one.start for one in found.seconds]
    top.set_title(printable(video), fontsize=10, loc="left", parse_math=False)
    top.plot(starts, [one.figures.score for one in found.seconds], drawstyle="steps-post", color="black")
    for one in found.worst():
        top.axvspan(one.start, max(one.end, one.start + 0.5), color="tab:red", alpha=0.2, linewidth=0)
    top.axhline(STEADY, color="tab:green", linestyle="--", linewidth=1)
    top.set_ylabel("score (1: just noticeable)")
    for name, label in (("wide", "wide, % of the light"), ("detail", "detail, % of it"), ("lost", "lost detail, %")):
        values = [getattr(one.figures, name) for one in found.seconds]
        if any(value is not None for value in values):
            shares = [float("nan") if value is None else 100 * value for value in values]
            below.plot(starts, shares, drawstyle="steps-post", label=label)
    below.set_ylabel("%")
    below.set_xlabel("seconds")
    below.legend(fontsize=9)
    for axis in (top, below):
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        for shot in found.shots[1:]:
            axis.axvline(shot.start, color="grey", linewidth=0.6)
    save_figure(figure, path)
