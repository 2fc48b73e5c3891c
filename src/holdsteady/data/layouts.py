"""Where public sets keep their frames and truths: a function a set, from its root folder to recordings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video.picture import SUFFIXES

from .clips import Reader, Recording, Window
from .formats import read_depth, read_dpt, read_dsp5, read_flo5, read_labels
from .images import read_image

Array = npt.NDArray[Any]

_SPRING_BASELINE = 0.065  # metres between the two cameras, the same in all scenes

# From classes.csv of VIPER, in order of number; vans and trains have one colour, here taken for vans.
_VIPER_COLOURS = bytes.fromhex(
    "000000 6f4a00 4682b4 804080 f423e8 e6968c 98fb98 57b623 238e23 464646 999999 be9999 961414 faaa1e dcdc00 b4b464 "
    "ad9999 a89999 510015 510051 dc143c ff0000 770b20 0000e6 00008e 005064 003c64 000046 00005a 005064 006464 32005a"
)


@dataclass(frozen=True)
class Files:
    """Reads one file a frame; None stands for a frame of which nothing is known.

    Attributes:
        paths: The file of each frame.
        load: From a path to an array (H, W, C), or (H, W) for classes.
        size: Height and width that each must have, in pixels.
        unknown: What a frame without a file is filled with, an array (C,), or () for classes.
    """

    paths: tuple[Path | None, ...]
    load: Callable[[Path], Array]
    size: tuple[int, int]
    unknown: Array

    def __call__(self, numbers: Sequence[int], window: Window) -> Array:
        return np.stack([self._read(self.paths[number])[window] for number in numbers])

    def _read(self, path: Path | None) -> Array:
        if path is None:
            return np.broadcast_to(self.unknown, (*self.size, *self.unknown.shape))
        values = self.load(path)
        if values.shape[:2] != self.size:
            height, width = values.shape[:2]
            raise VideoError(
                f"{path}: {height}x{width} (height x width), but the frames have {self.size[0]}x{self.size[1]}"
            )
        return values


def nfs(root: Path, split: str | None) -> list[Recording]:
    """Need for Speed, 240 frames a second; it has no splits."""
    if split not in (None, "all"):
        raise ConfigError(f"NFS has no split {split!r}; leave the split out")
    return [_recording(folder, {}) for folder in sorted(root.glob("*/240/*")) if folder.is_dir()]


def davis(root: Path, split: str | None) -> list[Recording]:
    """DAVIS 2017 at 480p; split `train` (default) or `val`. Classes are the objects' numbers in their sequence."""
    names = root / "ImageSets" / "2017" / f"{split or 'train'}.txt"
    if not names.is_file():
        return []
    recordings = []
    for name in names.read_text(encoding="utf-8-sig").split():
        frames = _images(root / "JPEGImages" / "480p" / name)
        labels = root / "Annotations" / "480p" / name
        recordings.append(
            _recording(root / "JPEGImages" / "480p" / name, {"classes": _classes(frames, labels, read_labels)})
        )
    return recordings


def viper(root: Path, split: str | None) -> list[Recording]:
    """VIPER; split `train` (default) or `val`. Classes are the 32 of classes.csv; unlabelled and ambiguous are 255."""
    place = root / (split or "train")
    recordings = []
    for folder in sorted(item for item in place.glob("img/*") if item.is_dir()):
        frames = _images(folder)
        classes = _classes(frames, place / "cls" / folder.name, read_viper_classes)
        # The set has a frame of no bytes; clips don't go across it.
        gaps = [-1, *(n for n, path in enumerate(frames) if path.stat().st_size == 0), len(frames)]
        shots = tuple(range(a + 1, b) for a, b in pairwise(gaps) if b > a + 1)
        recordings.append(_recording(folder, {"classes": classes}, shots))
    return recordings


def robustspring(root: Path, split: str | None) -> list[Recording]:
    """RobustSpring, left frames; split is the name of a corruption, by default all. Truth is Spring's test split."""
    folders = [root / split] if split else sorted(item for item in root.glob("*") if item.name != "spring")
    recordings = []
    for frames in (item for folder in folders for item in sorted(folder.glob("test/*/frame_left"))):
        clean = root / "spring" / frames.relative_to(root).relative_to(frames.relative_to(root).parts[0])
        truth = None
        if (root / "spring").is_dir():
            truth = _matching(_images(frames), clean, ".png"), read_image, np.zeros(3, np.uint8)
            if None in truth[0]:
                raise ConfigError(f"{clean}: does not have the same frames as {frames}")
        recordings.append(_recording(frames, {"truth": truth}))
    return recordings


def spring(root: Path, split: str | None) -> list[Recording]:
    """Spring, left frames; split `train` (default), with depth in metres and backward flow, or `test`, without."""
    recordings = []
    for folder in sorted((root / (split or "train")).glob("*/frame_left")):
        scene, frames = folder.parent, _images(folder)
        numbers = [path.stem.removeprefix("frame_left_") for path in frames]
        truths: dict[str, Truth | None] = {"flow": None, "depth": None}
        if (scene / "flow_BW_left").is_dir():
            names = [scene / "flow_BW_left" / f"flow_BW_left_{number}.flo5" for number in numbers]
            truths["flow"] = _existing(names), read_flo5, np.full(2, np.nan, np.float32)
        if (scene / "disp1_left").is_dir():
            names = [scene / "disp1_left" / f"disp1_left_{number}.dsp5" for number in numbers]
            load = partial(_spring_depth, focal=_focal_lengths(scene, names))
            truths["depth"] = _existing(names), load, np.full(1, np.nan, np.float32)
        recordings.append(_recording(folder, truths))
    return recordings


def sintel(root: Path, split: str | None) -> list[Recording]:
    """MPI Sintel; split `training/final` (default), `training/clean`, `test/final` or `test/clean`.

    The set's flow and occlusions lead to the next frame; none lead back, so they are left out.
    """
    part, _, render_pass = (split or "training/final").partition("/")
    recordings = []
    for folder in sorted((root / part / (render_pass or "final")).glob("*")):
        depths = root / part / "depth" / folder.name
        depth = (_matching(_images(folder), depths, ".dpt"), read_dpt, np.full(1, np.nan, np.float32))
        recordings.append(_recording(folder, {"depth": depth if depths.is_dir() else None}))
    return recordings


def visionsim(root: Path, split: str | None) -> list[Recording]:
    """Renders of VisionSim; split is a scene's folder name, by default all.

    Assumed are folders `frames` of images anywhere below the root, each maybe with a folder `depths` beside it, of
    .exr or .npy files in the same order. Its flows and segmentations are not read.
    """
    recordings = []
    for folder in sorted((root / split if split else root).rglob("frames")):
        frames, depths = _images(folder), sorted(folder.parent.glob("depths/*.*"))
        depths = [path for path in depths if path.suffix in (".exr", ".npy")]
        if depths and len(depths) != len(frames):
            raise ConfigError(
                f"{folder.parent}: {len(frames)} frames, but {len(depths)} depths; their numbers must match"
            )
        depth = tuple(depths), read_depth, np.full(1, np.nan, np.float32)
        recordings.append(_recording(folder, {"depth": depth if depths else None}))
    return recordings


def read_viper_classes(path: Path) -> Array:
    """Class numbers (H, W) uint8 of a VIPER label image, in colours or in numbers; 255 where there is none.

    Raises:
        VideoError: the file is missing or is not an image.
    """
    values = read_labels(path)
    if values.ndim == 3:
        packed = values.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        numbers = np.full(packed.shape, 255, np.uint8)
        for number in reversed(range(len(_VIPER_COLOURS) // 3)):
            numbers[packed == int.from_bytes(_VIPER_COLOURS[3 * number : 3 * number + 3])] = number
        values = numbers
    return np.where(values < 2, np.uint8(255), values)


Truth = tuple[tuple[Path | None, ...], Callable[[Path], Array], Array]


def _recording(folder: Path, truths: Mapping[str, Truth | None], shots: tuple[range, ...] | None = None) -> Recording:
    frames = _images(folder)
    if not frames:
        raise ConfigError(f"{folder}: there are no images")
    with Image.open(next(path for path in frames if path.stat().st_size > 0)) as image:
        size = image.height, image.width
    readers: dict[str, Reader] = {"frames": Files(tuple(frames), read_image, size, np.zeros(3, np.uint8))}
    for key, truth in truths.items():
        if truth is not None:
            readers[key] = Files(truth[0], truth[1], size, truth[2])
    return Recording(str(folder), size, shots or (range(len(frames)),), readers)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)


def _existing(paths: Sequence[Path]) -> tuple[Path | None, ...]:
    return tuple(path if path.is_file() and path.stat().st_size > 0 else None for path in paths)


def _matching(frames: Sequence[Path], folder: Path, suffix: str) -> tuple[Path | None, ...]:
    """The files in a folder that are named as the frames are, None where there is none."""
    return _existing([folder / f"{path.stem}{suffix}" for path in frames])


def _classes(frames: Sequence[Path], folder: Path, load: Callable[[Path], Array]) -> Truth | None:
    if not folder.is_dir():
        return None
    return _matching(frames, folder, ".png"), load, np.array(255, np.uint8)


def _focal_lengths(scene: Path, names: Sequence[Path]) -> dict[str, float]:
    """Focal length in pixels of the frame of each disparity file: a line `fx fy cx cy` a frame, or one for all."""
    path = scene / "cam_data" / "intrinsics.txt"
    try:
        rows = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: is needed to turn disparity into depth, but can't be read: {error}") from error
    if len(rows) not in (1, len(names)):
        raise ConfigError(f"{path}: has {len(rows)} lines for {len(names)} frames")
    return {path.name: float(rows[min(n, len(rows) - 1), 0]) for n, path in enumerate(names)}


def _spring_depth(path: Path, focal: dict[str, float]) -> Array:
    disparity = read_dsp5(path)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.float32(focal[path.name] * _SPRING_BASELINE) / disparity
    return np.where(np.isfinite(depth) & (disparity > 0), depth, np.float32(np.nan))
