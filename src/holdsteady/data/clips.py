"""Random clips from sequences of frames on disk, with every kind of truth cropped alongside."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdsteady.errors import ConfigError

from .sample import Sample, check_settings, mirrored, pick

Window: TypeAlias = tuple[slice, slice]
Reader: TypeAlias = Callable[[Sequence[int], Window], npt.NDArray[Any]]


@dataclass(frozen=True)
class Recording:
    """One sequence of frames with what is known about them.

    Attributes:
        name: Where it is, for messages.
        size: Height and width of the frames in pixels.
        shots: Ranges of frame numbers without a scene cut in them.
        readers: For each key of a sample a function from frame numbers and a window of rows and columns to
            an array (T, h, w, C), or (T, h, w) for classes: uint8 0..255 for frames and truth, else as in
            ``KEYS``. The flow reader is asked for frames 1 … T−1 of a clip, and answers flow to the frame
            before each in the recording.
    """

    name: str
    size: tuple[int, int]
    shots: tuple[range, ...]
    readers: Mapping[str, Reader]


class ClipSource:
    """Random clips from recordings: shot, start, stride, crop and flip.

    A shot is chosen in proportion to its number of frames, among those that are long enough for the stride;
    strides are equally likely. Clips never cross a scene cut.

    Args:
        kind: What it is called in ``describe``.
        recordings: What to draw from.
        length: T, the frames of a clip.
        crop: Side or (height, width) of a random crop in pixels; None takes whole frames.
        stride: Steps in time to choose from. With any but 1 there is no flow, which holds for neighbours only.
        flip: Whether half of the clips are mirrored left to right.

    Raises:
        ConfigError: there is no recording; one is smaller than the crop, or has no shot of `length` frames at
            the shortest stride; a stride fits in no shot at all; or whole frames of different sizes are mixed.
    """

    def __init__(
        self,
        kind: str,
        recordings: Iterable[Recording],
        *,
        length: int = 8,
        crop: int | tuple[int, int] | None = None,
        stride: Iterable[int] = (1,),
        flip: bool = True,
    ) -> None:
        self._kind, self._length, self._flip = kind, length, flip
        self._crop, self._strides = check_settings(length, crop, stride)
        self._recordings = tuple(recordings)
        _check(kind, self._recordings, self._crop, _span(length, min(self._strides)))
        self.files = tuple(recording.name for recording in self._recordings)
        common = frozenset.intersection(*(frozenset(recording.readers) for recording in self._recordings))
        self.keys = common if self._strides == (1,) and length > 1 else common - {"flow", "visible"}
        # For each stride the shots that hold it, and where their frames end if all are laid end to end.
        self._shots = {step: self._long_enough(_span(length, step)) for step in self._strides}

    def draw(self, generator: torch.Generator) -> Sample:
        """A random clip, see ``KEYS``; it depends on the state of the generator alone."""
        step = self._strides[pick(generator, len(self._strides))]
        shots, ends = self._shots[step]
        chosen = int(np.searchsorted(ends, pick(generator, int(ends[-1])), side="right"))
        recording, shot = shots[chosen]
        first = shot[pick(generator, len(shot) - _span(self._length, step) + 1)]
        numbers = range(first, first + _span(self._length, step), step)
        window = _window(generator, recording.size, self._crop)
        sample = {key: _tensor(key, recording.readers[key], numbers, window) for key in sorted(self.keys)}
        return mirrored(sample) if self._flip and pick(generator, 2) else sample

    def describe(self) -> dict[str, object]:
        """Kind, files and number of frames."""
        frames = sum(len(shot) for recording in self._recordings for shot in recording.shots)
        return {"kind": self._kind, "files": list(self.files), "frames": frames}

    def _long_enough(self, span: int) -> tuple[list[tuple[Recording, range]], npt.NDArray[np.int64]]:
        shots = [(r, shot) for r in self._recordings for shot in r.shots if len(shot) >= span]
        if not shots:
            longest = max(len(shot) for recording in self._recordings for shot in recording.shots)
            raise ConfigError(
                f"{self._kind}: a clip of {self._length} frames at the longest strides spans {span}, but the longest "
                f"shot has {longest}; take a shorter length or stride"
            )
        return shots, np.cumsum([len(shot) for _, shot in shots])


def _span(length: int, step: int) -> int:
    """Frames of a recording from the first to the last of a clip."""
    return (length - 1) * step + 1


def _check(kind: str, recordings: Sequence[Recording], crop: tuple[int, int] | None, span: int) -> None:
    if not recordings:
        raise ConfigError(f"{kind}: there is nothing to draw clips from")
    for recording in recordings:
        height, width = recording.size
        if crop is not None and (height < crop[0] or width < crop[1]):
            raise ConfigError(
                f"{recording.name}: frames of {height}x{width} (height x width) are smaller than the crop "
                f"{crop[0]}x{crop[1]}; take a smaller crop or leave it out"
            )
        if crop is None and recording.size != recordings[0].size:
            raise ConfigError(
                f"{recording.name}: whole frames need one size, but it has {height}x{width} (height x width) and "
                f"{recordings[0].name} {recordings[0].size[0]}x{recordings[0].size[1]}; set a crop"
            )
        longest = max(map(len, recording.shots), default=0)
        if longest < span:
            raise ConfigError(
                f"{recording.name}: its longest shot has {longest} frames, but a clip needs {span}; "
                f"take a shorter length or leave it out"
            )


def _window(generator: torch.Generator, size: tuple[int, int], crop: tuple[int, int] | None) -> Window:
    height, width = crop or size
    top = pick(generator, size[0] - height + 1)
    left = pick(generator, size[1] - width + 1)
    return slice(top, top + height), slice(left, left + width)


def _tensor(key: str, read: Reader, numbers: Sequence[int], window: Window) -> Tensor:
    values = read(numbers[1:] if key in ("flow", "visible") else numbers, window)
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if key == "classes":
        return tensor.to(torch.int64)
    tensor = tensor.permute(0, 3, 1, 2).contiguous()
    return tensor.to(torch.float32).div_(255) if tensor.dtype == torch.uint8 else tensor
