"""What an export gives, as pictures: as ``models.display`` shows it at its defaults, in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from holdsteady.errors import ExportError
from holdsteady.models.card import Kind
from holdsteady.models.shades import MOST_SAMPLES, TAIL, Range, colours_of_classes

Array = npt.NDArray[Any]


class Display:
    """Values (1, C, H, W) or (1, H, W), of classes their numbers (1, H, W), as pictures (1, 1 or 3, H, W) in [0, 1].

    Args:
        kind: what the values are.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._range = Range()
        self._is_logit: bool | None = None

    def reset(self) -> None:
        """A new shot begins."""
        self._range.reset()

    def __call__(self, values: Array) -> Array:
        """One frame's values as a picture.

        Raises:
            ExportError: an image has neither 1, 3 nor 4 channels.
        """
        if self._kind in ("classes", "labels"):
            return colours_of_classes(max(int(values.max()) + 1, 256))[values].transpose(0, 3, 1, 2)
        values = values[:, None] if values.ndim == 3 else values
        if self._kind == "image":
            if values.shape[1] not in (1, 3, 4):
                raise ExportError(f"an image has 1 or 3 channels, this one {values.shape[1]}; export with --kind")
            return values[:, :3]
        if self._kind == "depth":
            return self._depth(values[:, :1])
        return self._mask(values)

    def _depth(self, depth: Array) -> Array:
        known = depth[np.isfinite(depth)]
        known = known[:: 1 + known.size // MOST_SAMPLES]
        ends = np.quantile(known, (TAIL, 1 - TAIL)) if known.size else (0.0, 1.0)
        low, high = self._range.follow(float(ends[0]), float(ends[1]))
        return (depth - low) / max(high - low, 1e-12)

    def _mask(self, values: Array) -> Array:
        if values.shape[1] == 2:
            return _sigmoid(values[:, 1:] - values[:, :1])
        if self._is_logit is None:
            # The first frame tells; later ones must not be shown otherwise.
            self._is_logit = bool(((values < -0.01) | (values > 1.01)).any())
        return _sigmoid(values[:, :1]) if self._is_logit else values[:, :1]


def _sigmoid(value: Array) -> Array:
    return 0.5 * (1 + np.tanh(value / 2))
