"""Clips from the folders of public sets, as they are after unpacking."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdsteady.errors import ConfigError

from . import layouts
from .clips import ClipSource, Recording

SETS: dict[str, tuple[Callable[[Path, str | None], list[Recording]], tuple[str, ...]]] = {
    "davis": (
        layouts.davis,
        (
            "ImageSets/2017/<split>.txt",
            "JPEGImages/480p/<sequence>/00000.jpg",
            "Annotations/480p/<sequence>/00000.png  (classes)",
        ),
    ),
    "nfs": (layouts.nfs, ("<video>/240/<video>/00001.jpg",)),
    "robustspring": (
        layouts.robustspring,
        (
            "<corruption>/test/<scene>/frame_left/frame_left_0001.png",
            "spring/test/<scene>/frame_left/frame_left_0001.png  (truth)",
        ),
    ),
    "sintel": (
        layouts.sintel,
        ("training/final/<scene>/frame_0001.png", "training/depth/<scene>/frame_0001.dpt  (depth)"),
    ),
    "spring": (
        layouts.spring,
        (
            "train/<scene>/frame_left/frame_left_0001.png",
            "train/<scene>/flow_BW_left/flow_BW_left_0002.flo5  (flow)",
            "train/<scene>/disp1_left/disp1_left_0001.dsp5  (depth)",
            "train/<scene>/cam_data/intrinsics.txt",
        ),
    ),
    "viper": (layouts.viper, ("train/img/001/001_00001.jpg", "train/cls/001/001_00001.png  (classes)")),
    "visionsim": (layouts.visionsim, ("<scene>/<sequence>/frames/*.png", "<scene>/<sequence>/depths/*.exr  (depth)")),
}


def open_set(name: str, root: str | Path, split: str | None = None, **settings: Any) -> ClipSource:
    """Clips from a public set.

    Args:
        name: One of ``SETS``; what is read of each, and its splits, is said in ``layouts``.
        root: Its folder, as unpacked.
        split: A part of the set; by default its training split.
        settings: `length`, `crop`, `stride` and `flip` as in ``ClipSource``.

    Raises:
        ConfigError: the set is unknown, is not laid out like this at the root, or does not fit the settings.
        MissingExtraError: when clips are drawn, a library for a format is not installed.
        VideoError: when clips are drawn, a file is damaged.
    """
    if name not in SETS:
        raise ConfigError(f"unknown set {name!r}; choose one of {', '.join(SETS)}")
    find, tree = SETS[name]
    recordings = find(Path(root), split)
    if not recordings:
        wanted = "".join(f"\n  {Path(root) / line}" for line in tree)
        part = "" if split is None else f", split {split!r},"
        raise ConfigError(f"{root}: {name}{part} is not there; expected are files like{wanted}")
    return ClipSource(name, recordings, **settings)
