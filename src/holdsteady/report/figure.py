"""What all figures of matplotlib share."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holdsteady.folders import whole_file


def save_figure(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a figure, whole or not at all; the ending of the name says as what.

    Raises:
        OSError: it can't be written; what was there stays.
    """
    with whole_file(path) as part:
        figure.savefig(part, dpi=dpi)


def plain_legend(axis: Axes, **settings: Any) -> None:
    """A legend of labels that are no formulas."""
    for text in axis.legend(**settings).get_texts():
        text.set_parse_math(False)
