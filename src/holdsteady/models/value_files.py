"""The values behind the pictures as files: NPY, 16-bit PNG or OpenEXR, one for each frame."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from holdsteady.errors import ConfigError, VideoError, extra
from holdsteady.models.card import FORMATS, Kind

_ABOUT = "values.json"
_MOST = 65535
_OURS = re.compile(rf"\d{{6,}}\.({'|'.join(FORMATS)})")


class ValueWriter:
    """Writes the values of each frame to a folder: ``000000.npy`` and so on, and ``values.json``, which explains them.

    In PNG, class numbers are themselves; pictures and masks are 0…65535 for [0, 1]; depth is multiplied by a power of
    two that leaves the first frame room to grow fourfold, which stands in ``values.json``.

    Args:
        folder: made with the first values if it is not there.
        format: of the files.
        overwrite: whether it may hold values already; those of an earlier run are removed with the first that come.

    Raises:
        ConfigError: an unknown format, or the folder holds something.
        VideoError: the folder can't be written.
        MissingExtraError: for EXR, when OpenEXR is not installed.
    """

    def __init__(self, folder: Path, format: str = "npy", overwrite: bool = False) -> None:
        if format not in FORMATS:
            raise ConfigError(f"values can't be written as '{format}'; use {', '.join(FORMATS)}")
        if format == "exr":
            with extra("data", "writing OpenEXR"):
                import OpenEXR  # noqa: F401
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; values need a folder")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise ConfigError(f"{folder} is not empty; add --overwrite (-y) to write values into it")
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise VideoError(f"can't make the folder '{folder}': '{there}' is no folder that can be written")
        self.folder, self.format = folder, format
        self._factor: float | None = None
        self._is_begun = False

    def write(self, number: int, values: Tensor, kind: Kind) -> None:
        """The values of a frame.

        Args:
            number: of the frame, from 0.
            values: (1, C, H, W); of classes, their numbers (1, H, W).
            kind: what they are.

        Raises:
            VideoError: the file can't be written, or the format can't hold the values.
        """
        array = values[0].detach().cpu().numpy() if values.ndim == 3 else values[0].detach().float().cpu().numpy()
        if array.ndim == 3:
            array = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
        path = self.folder / f"{number:06d}.{self.format}"
        if not self._is_begun:
            self._make_folder()
            self._remove_earlier()
            self._is_begun = True
        if self.format == "png":
            array = self._as_integers(array, kind, path)
        elif values.ndim == 3:
            array = array.astype(np.uint16 if self.format == "npy" else np.float32)
        if number == 0:
            self._explain(kind, array)
        part = path.with_name(f".{path.stem}.part.{self.format}")
        try:
            _save(part, np.ascontiguousarray(array), self.format)
            part.replace(path)
        except OSError as error:
            raise VideoError(f"can't write {path}: {error.strerror or error}") from error

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VideoError(f"can't make the folder '{self.folder}': {error.strerror}") from error

    def _remove_earlier(self) -> None:
        """Remove the values of an earlier run, which may have been longer or of another format, and nothing else."""
        if not (self.folder / _ABOUT).is_file():
            return
        try:
            for path in self.folder.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise VideoError(f"can't remove earlier values in {self.folder}: {error.strerror or error}") from error

    def _as_integers(self, array: Any, kind: Kind, path: Path) -> Any:
        if array.ndim == 2 and not np.issubdtype(array.dtype, np.floating):
            return array.astype(np.uint16)
        if kind in ("image", "mask"):
            return np.nan_to_num(array.clip(0, 1) * _MOST).round().astype(np.uint16)
        most = float(np.max(array, initial=0.0, where=np.isfinite(array)))
        if self._factor is None:
            self._factor = 2.0 ** np.floor(np.log2(_MOST / 4 / most)) if most > 0 else 1.0
        least = float(np.min(array, initial=0.0, where=np.isfinite(array)))
        if least < 0 or most * self._factor > _MOST:
            raise VideoError(
                f"{path}: 16-bit PNG can't hold values from {least:g} to {most:g}, times {self._factor:g}; "
                "take npy or exr (--values-as)"
            )
        return np.nan_to_num(array * self._factor, posinf=_MOST).round().astype(np.uint16)

    def _explain(self, kind: Kind, array: Any) -> None:
        about: dict[str, Any] = {"kind": kind, "format": self.format, "shape": list(array.shape)}
        if self.format == "png" and kind != "labels" and kind != "classes":
            about["value"] = f"pixel / {self._factor or _MOST:g}"
        (self.folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _save(path: Path, array: Any, format: str) -> None:
    if format == "npy":
        np.save(path, array)
    elif format == "png":
        import cv2

        colours = array[..., ::-1] if array.ndim == 3 else array
        if array.ndim == 3 and array.shape[2] not in (3, 4):
            raise OSError(f"PNG holds 1, 3 or 4 channels, not {array.shape[2]}")
        if not cv2.imwrite(str(path), np.ascontiguousarray(colours)):
            raise OSError("OpenCV could not write it")
    else:
        import OpenEXR

        # One channel is Y by convention, three are RGB.
        names = {1: "Y", 3: "RGB", 4: "RGBA"}.get(1 if array.ndim == 2 else array.shape[2])
        planes = {"Y": array} if array.ndim == 2 else {names or f"C{n}": array[..., n] for n in range(array.shape[2])}
        if names in ("RGB", "RGBA"):
            planes = {names: array}
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        with OpenEXR.File(header, planes) as file:
            file.write(str(path))
