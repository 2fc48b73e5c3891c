"""Files of public sets: flow, depth, disparity and class maps, one function a format."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from holdsteady.errors import MissingExtraError, VideoError

Array = npt.NDArray[Any]

_TAG = 202021.25  # the number that .flo and .dpt files begin with


def read_flo(path: Path) -> Array:
    """Flow (H, W, 2) float32 in pixels of a Middlebury .flo file; NaN where it is marked unknown (above 1e9).

    Raises:
        VideoError: the file is missing, damaged or of another format.
    """
    flow = _read_tagged(path, channels=2)
    return np.where(np.abs(flow).max(axis=2, keepdims=True) > 1e9, np.float32(np.nan), flow)


def read_dpt(path: Path) -> Array:
    """Depth (H, W, 1) float32 of a Sintel .dpt file.

    Raises:
        VideoError: the file is missing, damaged or of another format.
    """
    return _known_depth(_read_tagged(path, channels=1))


def read_flo5(path: Path) -> Array:
    """Flow (H, W, 2) float32 in pixels of a Spring .flo5 file, which is HDF5.

    The file has twice the resolution of the frames, but its values are in pixels of the frames: every other value
    of each axis is taken, and not scaled.

    Raises:
        MissingExtraError: h5py is not installed.
        VideoError: the file is missing, damaged or of another format.
    """
    flow = _read_hdf5(path, "flow")[::2, ::2].astype(np.float32)
    return np.where(np.isfinite(flow).all(axis=2, keepdims=True), flow, np.float32(np.nan))


def read_dsp5(path: Path) -> Array:
    """Disparity (H, W, 1) float32 in pixels of a Spring .dsp5 file; resolution and errors as in ``read_flo5``."""
    return _read_hdf5(path, "disparity")[::2, ::2, None].astype(np.float32)


def read_depth(path: Path) -> Array:
    """Depth (H, W, 1) float32 of an .npy or single-channel .exr file; NaN where not above 0 or from 1e9 on.

    Raises:
        MissingExtraError: it is an .exr file and OpenEXR is not installed.
        VideoError: the file is missing, damaged, or not of one channel.
    """
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _read_exr(path)
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise VideoError(f"{path}: can't be read as depth: {error}") from error
    values = values.squeeze()
    if values.ndim != 2:
        raise VideoError(f"{path}: depth has one channel, but this has the shape {values.shape}")
    return _known_depth(values[..., None].astype(np.float32))


def read_labels(path: Path) -> Array:
    """The numbers (H, W) uint8 of a grey or palette image, or the colours (H, W, 3) of an RGB one.

    Raises:
        VideoError: the file is missing or is not an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in ("L", "P") else image.convert("RGB"))
    except OSError as error:
        raise VideoError(f"{path}: can't be read as an image: {error}") from error


def _known_depth(depth: Array) -> Array:
    return np.where((depth > 0) & (depth < 1e9), depth, np.float32(np.nan))


def _read_tagged(path: Path, channels: int) -> Array:
    """The body (H, W, channels) of a file of tag, width, height and little-endian floats."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VideoError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(_TAG):
        raise VideoError(f"{path}: does not begin with {_TAG}, as .flo and .dpt files do")
    width, height = (int(side) for side in np.frombuffer(data, "<i4", 2, offset=4))
    if min(width, height) < 1 or len(data) != 12 + 4 * channels * width * height:
        raise VideoError(f"{path}: has {len(data)} bytes, which is not {height}x{width} values of {channels} channels")
    body = np.frombuffer(data, "<f4", offset=12).reshape(height, width, channels)
    return cast(Array, body.astype(np.float32))


def _read_hdf5(path: Path, name: str) -> Array:
    try:
        import h5py
    except ImportError as error:
        raise _missing("h5py", path) from error
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name])
    except (OSError, KeyError) as error:
        raise VideoError(f"{path}: can't be read as HDF5 with the values {name!r}: {error}") from error


def _read_exr(path: Path) -> Array:
    try:
        import OpenEXR
    except ImportError as error:
        raise _missing("OpenEXR", path) from error
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return np.stack([np.asarray(channel.pixels) for channel in file.channels().values()])


def _missing(library: str, path: Path) -> MissingExtraError:
    return MissingExtraError(f"{path}: needs {library}, which is not installed: pip install 'holdsteady[data]'")
