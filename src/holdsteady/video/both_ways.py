"""A second pass from the end of each shot, averaged with the first: frames that wait for it lie on disk."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdsteady.errors import VideoError

from .frame import Pixels, VideoFrame
from .sink import SinkKind, sink_kind

if TYPE_CHECKING:
    from torch import Tensor

# Frames of a shot that are finished at a time, and those after them with which the second pass of it begins, so that
# its memory is warm where its results count.
PIECE, OVERLAP = 64, 16


@dataclass(frozen=True)
class Backward:
    """The second pass.

    Attributes:
        step: Takes a frame (1, 3, H, W) and what was kept of it, gives its result; has a memory of its own.
        reset: Clears that memory.
        keep: What else `step` needs of the frame that the first pass has just seen, or None.
    """

    step: "Callable[[Tensor, Any], Tensor]"
    reset: Callable[[], None]
    keep: Callable[[], np.ndarray | None] = lambda: None


class Shelf:
    """Arrays in a folder, as they are, by number and name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, number: int, **arrays: np.ndarray | None) -> None:
        """Keep arrays under a number, but for those that are None.

        Raises:
            VideoError: The disk is full.
        """
        try:
            for name, array in arrays.items():
                if array is not None:
                    np.save(self._path(number, name), array)
        except OSError as error:
            raise VideoError(f"can't keep frames in {self._folder}: {error.strerror or error}") from error

    def get(self, number: int, name: str) -> np.ndarray | None:
        """One of them, or None where there was none."""
        path = self._path(number, name)
        return np.load(path, allow_pickle=False) if path.exists() else None

    def take(self, number: int) -> dict[str, np.ndarray]:
        """All of a number, which are then no longer here."""
        paths = list(self._folder.glob(f"{number}.*.npy"))
        arrays = {path.name.split(".")[1]: np.load(path, allow_pickle=False) for path in paths}
        for path in paths:
            path.unlink()
        return arrays

    def _path(self, number: int, name: str) -> Path:
        return self._folder / f"{number}.{name}.npy"


@contextmanager
def open_shelf(sink: str) -> Iterator[Shelf]:
    """A shelf beside a video file, or where temporary files go (TMPDIR); removed at the end with all that is on it.

    Raises:
        VideoError: It can't be made.
    """
    beside = Path(sink).resolve().parent if sink_kind(sink) is SinkKind.FILE else None
    try:
        folder = tempfile.TemporaryDirectory(prefix=".holdsteady-", dir=beside, ignore_cleanup_errors=True)
    except OSError as error:
        raise VideoError(f"can't make a folder for frames in {beside or 'TMPDIR'}: {error.strerror}") from error
    with folder as name:
        yield Shelf(Path(name))


def both_ways(
    first: "Iterable[tuple[bool, VideoFrame, Tensor]]",
    back: Backward,
    shelf: Shelf,
    show: "Callable[[Pixels], Tensor]",
    hurry: Callable[[], bool],
    *,
    piece: int = PIECE,
    overlap: int = OVERLAP,
) -> "Iterator[tuple[VideoFrame, Tensor]]":
    """Results of a first pass, each averaged with that of a second one, which comes from the end of its shot.

    Shots of more than `piece` + `overlap` frames are finished in pieces, for each of which the second pass begins
    `overlap` frames later. So many frames are on disk at most, and one in memory.

    Args:
        first: Whether a shot begins, the frame, and its result, in order. If it ends with a KeyboardInterrupt or a
            VideoError, that is raised again once what waits was given.
        back: The second pass.
        shelf: Where frames wait.
        show: Makes of pixels what the model is shown.
        hurry: Whether to end early; what waits then has the result of the first pass alone.

    Yields:
        Each frame and its result, float32 on the CPU.
    """
    import torch

    waiting: list[tuple[int, VideoFrame]] = []  # without their arrays
    ended: KeyboardInterrupt | VideoError | None = None

    def finish(count: int) -> "Iterator[tuple[VideoFrame, Tensor]]":
        back.reset()
        for place, (number, _) in reversed(list(enumerate(waiting))):
            if hurry() or isinstance(ended, KeyboardInterrupt):
                break
            pixels, result = shelf.get(number, "pixels"), shelf.get(number, "result")
            assert pixels is not None and result is not None
            with torch.inference_mode():
                other = back.step(show(pixels), shelf.get(number, "kept")).float().cpu().numpy()
            if place < count:
                shelf.put(number, result=(result + other) / 2)
        for _ in range(count):
            number, frame = waiting.pop(0)
            arrays = shelf.take(number)
            yield replace(frame, pixels=arrays["pixels"], alpha=arrays.get("alpha")), torch.from_numpy(arrays["result"])

    try:
        for number, (new_shot, frame, result) in enumerate(first):
            if new_shot:
                yield from finish(len(waiting))
            values = result.float().cpu().numpy()
            shelf.put(number, pixels=frame.pixels, alpha=frame.alpha, result=values, kept=back.keep())
            waiting.append((number, replace(frame, pixels=frame.pixels[:0].copy(), alpha=None)))
            if len(waiting) == piece + overlap:
                yield from finish(piece)
    except (KeyboardInterrupt, VideoError) as error:
        ended = error
    yield from finish(len(waiting))
    if ended is not None:
        raise ended
