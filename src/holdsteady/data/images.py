"""Still pictures: finding, reading and cutting pieces from them."""

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video.picture import SUFFIXES

SHAPES = ("ellipse", "box", "star", "blob")

_KEPT = 48  # decoded pictures that a source keeps in memory


def find_stills(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """The pictures that files, folders (with all inside) and globs mean, in order of name.

    Raises:
        ConfigError: one of them means none.
    """
    found: dict[str, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            items = sorted(item for item in path.rglob("*") if not item.name.startswith("."))
        elif any(sign in str(path) for sign in "*?[") and not path.exists():
            items = sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207 - Path.glob refuses absolute patterns
        else:
            items = [path]
        files = [item for item in items if item.suffix.lower() in SUFFIXES and item.is_file()]
        if not files:
            raise ConfigError(f"{path}: no images found; supported are {', '.join(sorted(SUFFIXES))}")
        found.update((str(file), None) for file in files)
    return tuple(found)


def read_image(path: str | Path) -> npt.NDArray[np.uint8]:
    """RGB (H, W, 3) uint8 of an image file; alpha is dropped, EXIF orientation applied.

    Raises:
        VideoError: it is missing or is not an image.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise VideoError(f"{path}: can't be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if image is None:
        raise VideoError(f"{path}: not an image that can be decoded ({data.size} bytes)")
    return cast(npt.NDArray[np.uint8], image)


class Stills:
    """Pictures by number, shrunk to a longest side; the last few are kept in memory."""

    def __init__(self, files: tuple[str, ...], longest: int) -> None:
        self._files, self._longest = files, longest
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> npt.NDArray[np.uint8]:
        """RGB (h, w, 3) uint8.

        Raises:
            VideoError: the file is missing or is not an image.
        """
        if number not in self._kept:
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            image = read_image(self._files[number])
            self._kept[number] = resized(image, min(1.0, self._longest / max(image.shape[:2])))
        return self._kept[number]


def resized(image: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.uint8]:
    """A picture enlarged or shrunk by a factor, at least 2x2 pixels."""
    height, width = (max(2, round(side * scale)) for side in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cast(npt.NDArray[np.uint8], cv2.resize(image, (width, height), interpolation=how))


def cut_piece(
    random: np.random.Generator, image: npt.NDArray[np.uint8], size: tuple[int, int], shape: str
) -> npt.NDArray[np.uint8]:
    """A soft-edged piece of a picture.

    Args:
        random: Where its place and form come from.
        image: RGB (h, w, 3).
        size: Height and width of the piece in texels.
        shape: One of ``SHAPES``.

    Returns:
        RGBA (height, width, 4) uint8; alpha is 0 at the border and falls off over about three texels.
    """
    scale = max(0.5, max(size[0] / image.shape[0], size[1] / image.shape[1]))
    image = resized(image, scale)
    top = int(random.integers(image.shape[0] - size[0] + 1))
    left = int(random.integers(image.shape[1] - size[1] + 1))
    patch = image[top : top + size[0], left : left + size[1]]
    y = np.linspace(-1, 1, size[0])[:, None]
    x = np.linspace(-1, 1, size[1])
    angle = np.arctan2(y, x)
    inside = (_radius(random, angle, shape) - np.hypot(x, y)) * min(size) / 2
    # Texels from the border, too, so that nothing is cut off hard there.
    border = np.minimum((1 - np.abs(y)) * size[0] / 2, (1 - np.abs(x)) * size[1] / 2)
    alpha = np.clip(np.minimum(inside, border - 2) / 3 + 0.5, 0, 1)
    return np.dstack((patch, np.round(255 * alpha).astype(np.uint8)))


def _radius(random: np.random.Generator, angle: npt.NDArray[np.float64], shape: str) -> npt.NDArray[np.float64]:
    """Distance of the outline from the middle at each angle, about 0.9 at most."""
    if shape == "ellipse":
        return np.full_like(angle, 0.92)
    if shape == "box":
        power = 10
        return 0.88 / (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (1 / power)
    phase = random.uniform(0, 2 * np.pi)
    if shape == "star":
        return 0.7 + 0.2 * np.cos(5 * angle + phase)
    waves = [random.uniform(0, 0.12) * np.cos(k * angle + random.uniform(0, 2 * np.pi)) for k in (1, 2, 3, 4)]
    return np.asarray(0.72 + sum(waves), np.float64)
