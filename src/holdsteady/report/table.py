"""Scores as a table, for the terminal and for Markdown."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

# Narrow heads: a table with all of them fits a terminal of 80 columns.
_COLUMNS = {
    "psnr": ("PSNR\ndB ↑", "{:.2f}", 1),
    "ssim": ("SSIM\n↑", "{:.4f}", 1),
    "instability": ("instability\nL2 ↓", "{:.2f}", 1),
    "instability_rms": ("RMS\n×100 ↓", "{:.2f}", 100),
    "flicker_error": ("flicker\nerror\n×100 ↓", "{:.2f}", 100),
    "miou": ("mIoU\n↑", "{:.3f}", 1),
    "pixel_accuracy": ("pixel\naccuracy ↑", "{:.3f}", 1),
    "abs_rel": ("AbsRel\n↓", "{:.4f}", 1),
    "delta_accuracy": ("δ<1.25\n↑", "{:.3f}", 1),
    "categorical_instability": ("changed\nclasses ↓", "{:.4f}", 1),
    "ms_per_frame": ("ms per\nframe", "{:.1f}", 1),
}

Rows = Mapping[str, Mapping[str, float]]


def _cells(rows: Rows) -> tuple[list[str], list[list[str]]]:
    used = [key for key in _COLUMNS if any(key in scores for scores in rows.values())]
    body = [
        [label, *(_COLUMNS[k][1].format(scores[k] * _COLUMNS[k][2]) if k in scores else "–" for k in used)]
        for label, scores in rows.items()
    ]
    return ["", *(_COLUMNS[key][0] for key in used)], body


def rich_table(rows: Rows, title: str | None = None) -> Table:
    """A table with a row for each video and a column for each figure that any of them has."""
    header, body = _cells(rows)
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        # A long label breaks before a figure does.
        table.add_column(name, justify="right" if index else "left", no_wrap=index > 0, overflow="fold")
    for row in body:
        table.add_row(*map(escape, row))
    return table


def markdown_table(rows: Rows) -> str:
    """The same in Markdown."""
    header, body = _cells(rows)
    lines = [[name.replace("\n", " ") for name in header], ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
