"""Pictures as NumPy arrays for a model, and results as pictures: the border without PyTorch."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from holdsteady.errors import ModelError

from .border import Given, check_shape
from .frame import Pixels, Plane

Array = npt.NDArray[np.float32]


class Arrays:
    """The border to models of NumPy arrays; see `Border`."""

    def show(self, pixels: Pixels) -> Array:
        """RGB (H, W, 3) uint8 or uint16 as float32 (1, 3, H, W) in [0, 1]."""
        scale = np.float32(255 if pixels.dtype == np.uint8 else 65535)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / scale

    def give(self, result: Array, *, deep: bool) -> Given:
        """A result as pictures."""
        bad = np.isnan(result).any(axis=(0, 1))
        white, dtype = (65535, np.uint16) if deep else (255, np.uint8)
        values = np.rint(np.clip(np.nan_to_num(result[0], nan=0.0), 0, 1) * np.float32(white)).astype(dtype)
        pixels = np.ascontiguousarray(np.broadcast_to(values[:3].transpose(1, 2, 0), (*values.shape[1:], 3)))
        alpha = cast(Plane, np.ascontiguousarray(values[3])) if len(values) == 4 else None
        return Given(cast(Pixels, pixels), alpha, int(bad.sum()))

    def size(self, result: Any) -> tuple[int, int]:
        """Height and width of a result."""
        if not isinstance(result, np.ndarray):
            raise ModelError(f"the model returned {type(result).__name__}, but has to return an array")
        return check_shape(result.shape, result.dtype, result.dtype.kind == "f")

    def running(self) -> AbstractContextManager[Any]:
        """Nothing special."""
        return nullcontext()
