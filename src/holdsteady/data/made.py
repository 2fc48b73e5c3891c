"""What the two sources that make clips from stills have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from holdsteady.errors import ConfigError

from .images import Stills, find_stills
from .render import Layer, render
from .sample import Sample, check_settings, mirrored, pick


class MadeSource(ABC):
    """Clips rendered from stills.

    Args:
        paths: Pictures, folders with pictures anywhere inside, or globs.
        length: T, the frames of a clip.
        crop: Side or (height, width) of the frames in pixels.
        stride: Factors of the speed, one of which is chosen for each clip, as skipping frames of a video would.
        flip: Whether half of the clips are mirrored left to right.

    Raises:
        ConfigError: a path means no picture, there is no crop, or a setting is out of range.
    """

    kind: str
    keys: frozenset[str]

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        length: int = 8,
        crop: int | tuple[int, int] | None = None,
        stride: Iterable[int] = (1,),
        flip: bool = True,
    ) -> None:
        size, self._strides = check_settings(length, crop, stride)
        if size is None:
            raise ConfigError(f"{self.kind}: set the crop; made clips have no size of their own")
        self._size, self._length, self._flip = size, length, flip
        self.files = find_stills(paths)
        # Finer pictures than this would only be shrunk for each clip again.
        self._stills = Stills(self.files, longest=max(4 * max(size), 256))

    def draw(self, generator: torch.Generator) -> Sample:
        """A random clip, see ``KEYS``; it depends on the state of the generator alone."""
        step = self._strides[pick(generator, len(self._strides))]
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        sample = render(self._layers(random, step * np.arange(self._length, dtype=np.float64)), self._size)
        sample = {key: value for key, value in sample.items() if key in self.keys}
        return mirrored(sample) if self._flip and pick(generator, 2) else sample

    def describe(self) -> dict[str, object]:
        """Kind, files and number of stills."""
        return {"kind": self.kind, "files": list(self.files), "stills": len(self.files)}

    @abstractmethod
    def _layers(self, random: np.random.Generator, times: np.ndarray) -> list[Layer]:
        """The layers of a random clip whose frames lie at `times`."""
