"""The paper's pictures of the loss: what λ does to three frames of one value each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from holdsteady.objective.theory import minimise_tv
from holdsteady.report.figure import save_figure

Values = npt.NDArray[np.float64]

_FIRST = 0.0  # ŷ_1, held fixed, and the truth of the first frame
_TRUTH = (1.0, 0.35)  # y_2, y_3
_WEIGHTS = (0.0, 0.4, 4.0)
_LOW, _HIGH = -0.6, 1.6
_HALO = [withStroke(linewidth=4.5, foreground="white", alpha=0.8)]
_RING = {"s": 190, "facecolors": "none", "linewidths": 2.4, "path_effects": _HALO}
# From Okabe and Ito's palette, which colour-blind readers can tell apart.
_STYLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("truth (y₂, y₃)", {**_RING, "marker": "o", "edgecolors": "#D55E00"}),
    ("collapse (ŷ₁, ŷ₁)", {**_RING, "marker": "s", "edgecolors": "#000000"}),
    ("computed minimum", {"marker": "*", "s": 95, "facecolors": "#FFFFFF", "edgecolors": "#000000", "linewidths": 0.9}),
)


def save_contours(path: Path) -> None:
    """The loss over (ŷ_2, ŷ_3) as contours, for λ = 0, 0.4 and 4, as PNG: figure 2 of arXiv 2512.03014.

    T = 3, δ = L1, ŷ_1 held fixed. The minimum is the truth up to λ = 1/2, and (ŷ_1, ŷ_1) from λ = T − 1 = 2 on.
    """
    figure = Figure(figsize=(10.5, 4.1), layout="constrained")
    panels = figure.subplots(1, len(_WEIGHTS), sharey=True)
    grid = np.linspace(_LOW, _HIGH, 221)
    for axis, lam in zip(panels, _WEIGHTS, strict=True):
        loss = _loss(grid[None, :], grid[:, None], lam)
        filled = axis.contourf(grid, grid, loss, levels=16, cmap="viridis")
        axis.contour(grid, grid, loss, levels=filled.levels, colors="white", linewidths=0.5, alpha=0.6)
        figure.colorbar(filled, ax=axis, location="bottom", shrink=0.9, label="loss", ticks=MaxNLocator(5))
        for second, third, label, style in marks(lam):
            axis.scatter(second, third, label=label, zorder=3, **style)
        axis.set(title=f"λ = {lam:g}", xlabel="ŷ₂", aspect="equal", xticks=(-0.5, 0, 0.5, 1, 1.5))
    panels[0].set(ylabel="ŷ₃", yticks=(-0.5, 0, 0.5, 1, 1.5))
    _legend_above(figure, panels[0])
    save_figure(figure, path, dpi=120)


def save_surfaces(path: Path) -> None:
    """The same losses as surfaces, as PNG."""
    figure = Figure(figsize=(10.5, 4.2))
    grid = np.linspace(_LOW, _HIGH, 45)
    for index, lam in enumerate(_WEIGHTS):
        axis = figure.add_subplot(1, len(_WEIGHTS), index + 1, projection="3d", computed_zorder=False)
        loss = _loss(grid[None, :], grid[:, None], lam)
        axis.plot_surface(*np.meshgrid(grid, grid), loss, cmap="viridis", rcount=45, ccount=45, antialiased=False)
        for second, third, label, style in marks(lam):
            height = float(_loss(np.array(second), np.array(third), lam))
            axis.scatter(second, third, height, label=label, zorder=5, depthshade=False, **style)
        axis.set(xlabel="ŷ₂", ylabel="ŷ₃", xticks=(0, 1), yticks=(0, 1))
        axis.zaxis.set_major_locator(MaxNLocator(4))
        axis.set_title(f"loss at λ = {lam:g}", y=1.04)
        axis.view_init(elev=56, azim=-112)
        axis.set_box_aspect((1, 1, 0.9), zoom=0.96)
    figure.subplots_adjust(left=0.04, right=0.97, bottom=0.02, top=0.88, wspace=0.16)
    _legend_above(figure, figure.axes[0])
    save_figure(figure, path, dpi=120)


def _loss(second: Values, third: Values, lam: float) -> Values:
    accuracy = abs(second - _TRUTH[0]) + abs(third - _TRUTH[1])
    return (accuracy + lam * (abs(second - _FIRST) + abs(third - second))) / 3


def marks(lam: float) -> Iterator[tuple[float, float, str, dict[str, Any]]]:
    """The truth, the collapse state and the computed minimum: (ŷ_2, ŷ_3), label and style of each."""
    found, _ = minimise_tv(np.array([_FIRST, *_TRUTH]), lam, first=_FIRST)
    places: Sequence[tuple[float, float]] = (_TRUTH, (_FIRST, _FIRST), (float(found[1]), float(found[2])))
    for (second, third), (label, style) in zip(places, _STYLES, strict=True):
        yield second, third, label, style


def _legend_above(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    # Only a constrained layout knows a place outside of the panels.
    place: Literal["outside upper center", "upper center"]
    place = "outside upper center" if figure.get_layout_engine() else "upper center"
    figure.legend(handles=handles, labels=labels, loc=place, ncols=len(labels), frameon=False, fontsize=10)
