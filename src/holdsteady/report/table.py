"""Scores as a table, for the terminal and for Markdown."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

#: Head, factor and digits of every figure, in the order of the tables.
FIGURES = {
    "psnr": ("PSNR dB ↑", 1, 2),
    "ssim": ("SSIM ↑", 1, 4),
    "miou": ("mIoU ↑", 1, 3),
    "pixel_accuracy": ("accuracy ↑", 1, 3),
    "abs_rel": ("AbsRel ↓", 1, 4),
    "delta_accuracy": ("δ<1.25 ↑", 1, 3),
    "clip_abs_rel": ("AbsRel (clip) ↓", 1, 4),
    "clip_delta_accuracy": ("δ<1.25 (clip) ↑", 1, 3),
    "instability": ("instability L2 ↓", 1, 2),
    "instability_rms": ("RMS ×100 ↓", 100, 2),
    "flicker_error": ("flicker error ×100 ↓", 100, 2),
    "clip_flicker_error": ("flicker (clip) ×100 ↓", 100, 2),
    "scale_drift": ("scale drift % ↓", 100, 2),
    "shift_drift": ("shift drift % ↓", 100, 2),
    "categorical_instability": ("changed classes % ↓", 100, 2),
    "class_flips": ("class flips % ↓", 100, 2),
    "mc_iou": ("mcIoU ↑", 1, 3),
    "warp_error": ("warp error ×1e4 ↓", 1e4, 2),
    "ms_per_frame": ("ms per frame", 1, 1),
    "overhead": ("overhead %", 100, 0),
}

Rows = Mapping[str, Mapping[str, float]]


def number(name: str, value: float) -> str:
    """A figure as tables show it."""
    _, factor, digits = FIGURES[name]
    return f"{value * factor:.{digits}f}"


def _cells(rows: Rows) -> tuple[list[str], list[list[str]]]:
    used = [name for name in FIGURES if any(name in scores for scores in rows.values())]
    body = [[label, *(number(k, scores[k]) if k in scores else "–" for k in used)] for label, scores in rows.items()]
    return ["", *(FIGURES[name][0] for name in used)], body


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Lines of a table, its first column to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def rich_table(rows: Rows, title: str | None = None) -> Table:
    """A table with a row for each video and a column for each figure that any of them has."""
    header, body = _cells(rows)
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        # A long label breaks before a figure does, and narrow heads fit a terminal of 80 columns.
        table.add_column(
            name.replace(" ", "\n"), justify="right" if index else "left", no_wrap=index > 0, overflow="fold"
        )
    for row in body:
        table.add_row(*map(escape, row))
    return table


def markdown_table(rows: Rows) -> str:
    """The same in Markdown."""
    return markdown(*_cells(rows)) + "\n"
