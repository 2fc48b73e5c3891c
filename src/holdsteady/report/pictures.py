"""Pictures that show steadiness: labelled side-by-side frames, time slices, flicker over time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from holdsteady.report.figure import plain_legend, save_figure

Picture = npt.NDArray[np.uint8]

# Small pictures are enlarged up to a height, as far as their width allows.
_SMALLEST_HEIGHT, _LARGEST_WIDTH = 240, 1920
_LABEL_HEIGHT = 28


def side_by_side(pictures: Mapping[str, Picture]) -> Picture:
    """Pictures RGB (H, W, 3) of any sizes in one, each under its label; up to three in a row.

    All get the size of the first, enlarged by a whole number where it is small.
    """
    first = next(iter(pictures.values()))
    factor = max(1, min(math.ceil(_SMALLEST_HEIGHT / first.shape[0]), _LARGEST_WIDTH // first.shape[1]))
    width, height = first.shape[1] * factor, first.shape[0] * factor
    cells = [_labelled(label, picture, width, height) for label, picture in pictures.items()]
    columns = len(cells) if len(cells) <= 3 else math.ceil(len(cells) / 2)
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    whole = np.concatenate(rows, axis=0)
    # Video codecs want even sides.
    return np.pad(whole, ((0, whole.shape[0] % 2), (0, whole.shape[1] % 2), (0, 0)))


def _labelled(label: str, picture: Picture, width: int, height: int) -> Picture:
    shrinks = picture.shape[0] > height
    # Enlarged pixels stay what they are: smoothing here would hide what is to be compared.
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return np.concatenate((_written(label, width), resized.astype(np.uint8)), axis=0)


def _written(label: str, width: int) -> Picture:
    """The label on a strip (28, width, 3), in a font that knows more than ASCII."""
    strip = Image.new("RGB", (width, _LABEL_HEIGHT), (24, 24, 24))
    font = ImageFont.truetype(findfont("DejaVu Sans"), 15)
    ImageDraw.Draw(strip).text((8, 5), label, fill=(235, 235, 235), font=font)
    return np.asarray(strip, dtype=np.uint8)


def save_time_slice(columns: Mapping[str, Sequence[Picture]], path: Path) -> None:
    """One image column (H, 3) of each frame set side by side over time, one strip for each video, as PNG.

    A steady video shows smooth horizontal traces; flicker shows as vertical stripes.
    """
    figure = Figure(figsize=(9, 2.1 * len(columns) + 0.4), layout="constrained")
    axes = figure.subplots(len(columns), 1, squeeze=False)[:, 0]
    for axis, (label, strips) in zip(axes, columns.items(), strict=True):
        axis.imshow(np.stack(strips, axis=1), aspect="auto", interpolation="nearest")
        axis.set_title(label, fontsize=10, loc="left", parse_math=False)
        axis.set_yticks([])
    axes[-1].set_xlabel("frame")
    save_figure(figure, path)


def save_flicker_plot(series: Mapping[str, Sequence[float]], name: str, path: Path) -> None:
    """A figure for each frame of each video, drawn over time, as PNG. NaN leaves a gap."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axis = figure.subplots()
    for label, values in series.items():
        axis.plot(range(len(values)), values, linewidth=1.4, label=label)
    axis.set_xlabel("frame")
    axis.set_ylabel(f"{name} (lower is steadier)")
    medians = [np.nanmedian(values) for values in series.values() if np.isfinite(values).any()]
    if medians and min(medians) > 0 and max(medians) > 4 * min(medians):
        # One that flickers far more, as an unprocessed input does, would press the others together.
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    plain_legend(axis, fontsize=9)
    save_figure(figure, path)
