"""Videos decoded once: frames as memory-mapped arrays on disk, frame times and scene cuts beside them."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from holdsteady.errors import ConfigError, VideoError
from holdsteady.permissions import as_new_files_are
from holdsteady.video import open_video

from .clips import Window
from .decoding import Picture, pictures, pixels_from, stamp

_VERSION = 1  # to be raised whenever the same file would be decoded to something else


@dataclass(frozen=True)
class Index:
    """The facts of a video that one pass of decoding finds.

    Attributes:
        frames, height, width: How many frames, upright, and their size in pixels.
        cuts: Numbers of the frames that begin a new shot, the first frame aside.
        times: The time of each frame in seconds; None if they don't tell every frame from the others.
    """

    frames: int
    height: int
    width: int
    cuts: list[int]
    times: list[float] | None


@dataclass(frozen=True)
class CachedVideo:
    """Random access to the frames of a video, upright, RGB with 8 bits.

    Frames come from the cache if they are complete there, else from the video itself: the same values, slower.
    """

    source: str
    index: Index
    path: Path

    def shots(self) -> tuple[range, ...]:
        """Ranges of frames between scene cuts."""
        edges = [0, *self.index.cuts, self.index.frames]
        return tuple(range(a, b) for a, b in pairwise(edges))

    def read(self, numbers: Sequence[int], window: Window) -> npt.NDArray[np.uint8]:
        """Frames of rising numbers, cut out: (T, h, w, 3) uint8 RGB.

        Raises:
            VideoError: the video is no longer there, or is damaged.
        """
        frames = _open(self.path, self.index)
        if frames is not None:
            _touch(self.path)
            return np.stack([frames[number][window] for number in numbers])
        first, wanted = numbers[0], set(numbers)
        pixels = islice(pixels_from(self.source, first, self.index.times), numbers[-1] - first + 1)
        return np.stack([picture[window].copy() for number, picture in enumerate(pixels, first) if number in wanted])


class FrameCache:
    """A folder of decoded videos.

    Entries are keyed by the path, size and time of change of a video. They are written under another name and
    renamed when they are whole, so that several processes may decode the same video at once, and one that is
    stopped leaves nothing half done. A damaged entry is written again. Where a new one needs the room, those that
    were not used for longest go; the folder may be deleted at any time.

    Only ``open`` writes entries. Where the videos of one training take more than the budget, the rest is decoded
    for each clip: clips are drawn evenly from all of them, so that exchanging entries would not find more of them
    in the cache, and would decode whole videos for it.

    Args:
        folder: Where to keep it; by default ``$HOLDSTEADY_CACHE``, else ``~/.cache/holdsteady/frames``.
        budget: Gigabytes (10⁹ bytes) that all entries of the folder may take together.

    Raises:
        ConfigError: the budget is negative, or the folder can't be made.
    """

    def __init__(self, folder: str | Path | None = None, budget: float = 8.0) -> None:
        if not budget >= 0:
            raise ConfigError(f"the budget of the frame cache is {budget} GB, must not be negative")
        default = os.environ.get("HOLDSTEADY_CACHE") or "~/.cache/holdsteady/frames"
        self._folder = Path(folder or default).expanduser()
        self._budget = int(budget * 1e9)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self._folder}: the frame cache can't make this folder ({error.strerror}); "
                f"set HOLDSTEADY_CACHE to another one"
            ) from error

    def open(self, source: str) -> CachedVideo:
        """A video file, or a folder or glob of images, decoded if that has not been done before.

        Raises:
            VideoError: it is missing, is not a video, or is damaged.
        """
        place = hashlib.sha256(os.fsencode(Path(source).resolve())).hexdigest()[:16]
        state = hashlib.sha256(os.fsencode(f"{_VERSION} {stamp(source)}")).hexdigest()[:16]
        path = self._folder / f"{place}-{state}.npy"
        index = _read_index(path.with_suffix(".json"))
        damaged = index is None or (path.exists() and _open(path, index) is None)
        # Or else it did not fit in then, or the array alone was deleted.
        if damaged or index is None or (not path.exists() and _size(index) <= self._budget):
            self._remove_old(place, path.stem)
            index = self._decode(source, path)
        _touch(path)
        return CachedVideo(source, index, path)

    def _decode(self, source: str, path: Path) -> Index:
        """One pass over the video: writes its frames, if they fit, and its index."""
        try:
            return self._written(source, path)
        except VideoError:
            raise
        except OSError as error:
            raise ConfigError(
                f"{self._folder}: the frame cache can't write to this folder ({error.strerror}); "
                f"set HOLDSTEADY_CACHE to another one"
            ) from error

    def _written(self, source: str, path: Path) -> Index:
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=path.stem, suffix=".part")
        try:
            with os.fdopen(handle, "w+b") as file:
                # Nothing makes room for what would not fit into an empty folder.
                fits = _expected_size(source) <= self._budget
                index, whole = _write(pictures(source), file, self._room(), self._evict if fits else lambda: 0)
            if whole:
                as_new_files_are(Path(name))
                Path(name).replace(path)
            _write_index(path.with_suffix(".json"), index)
        finally:
            Path(name).unlink(missing_ok=True)
        return index

    def _remove_old(self, place: str, stem: str) -> None:
        """Removes entries of earlier states of a video, and what a killed process left of any a day ago."""
        for file in self._folder.glob(f"{place}-*"):
            with suppress(FileNotFoundError):  # by another process meanwhile
                old = file.suffix == ".part" and time.time() - file.stat().st_mtime > 86400
                if old or not file.name.startswith(stem):
                    file.unlink()

    def _room(self) -> int:
        """Bytes that may still be written; what others are writing counts too."""
        used = 0
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):  # renamed meanwhile
                used += file.stat().st_size
        return self._budget - used

    def _evict(self) -> int:
        """Removes the entry that was not used for longest; the bytes that this freed, 0 if there is none."""
        entries = []
        for file in self._folder.glob("*.npy"):
            with suppress(FileNotFoundError):  # by another process meanwhile
                entries.append((file.stat().st_mtime_ns, file))
        if not entries:
            return 0
        before = self._room()
        oldest = min(entries)[1]
        for file in (oldest, oldest.with_suffix(".json")):
            file.unlink(missing_ok=True)
        return self._room() - before


def _size(index: Index) -> int:
    return index.frames * index.height * index.width * 3 + 128


def _expected_size(source: str) -> int:
    """Bytes that the frames of a video take by what its header says; 0 where it does not tell their number."""
    with open_video(source) as reader:
        info = reader.info
    return (info.frames or 0) * info.height * info.width * 3


def _touch(path: Path) -> None:
    """Notes that an entry was used."""
    with suppress(OSError):  # it is not there, or the folder can't be written
        os.utime(path)


def _write(source: Iterator[Picture], file: IO[bytes], room: int, make_room: Callable[[], int]) -> tuple[Index, bool]:
    """Index of a video, and whether its frames, written to `file` on the way, fitted.

    Args:
        source: Its frames.
        file: Where they go.
        room: Bytes that may be written.
        make_room: Gives more of them, or 0.
    """
    size, cuts, times, whole = (0, 0), [], [], True
    for number, picture in enumerate(source):
        if number == 0:
            size = picture.pixels.shape[:2]
            _header(file, 0, size)
        if picture.is_cut:
            cuts.append(number)
        times.append(picture.time)
        while whole and file.tell() + picture.pixels.nbytes > room and (more := make_room()):
            room += more
        if whole and file.tell() + picture.pixels.nbytes <= room:
            file.write(np.ascontiguousarray(picture.pixels).data)
        elif whole:
            whole = False
            file.truncate(0)
    if whole:
        # numpy leaves room in the header for the first axis to grow, so the frames stay where they are.
        file.seek(0)
        _header(file, len(times), size)
    return Index(len(times), *size, cuts, _usable(times)), whole


def _header(file: IO[bytes], frames: int, size: tuple[int, int]) -> None:
    facts = {"descr": "|u1", "fortran_order": False, "shape": (frames, *size, 3)}
    np.lib.format.write_array_header_1_0(file, facts)


def _usable(times: list[float | None]) -> list[float] | None:
    """The times, if each is known and later than the one before, so that it names one frame."""
    known = [time for time in times if time is not None]
    rising = all(a < b for a, b in pairwise(known))
    return known if rising and len(known) == len(times) else None


def _open(path: Path, index: Index) -> npt.NDArray[np.uint8] | None:
    """The frames of an entry (N, H, W, 3), or None if they are not there or not whole."""
    try:
        # Mapped again for each clip: a map that is kept would be copied whole to every worker.
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = frames.dtype == np.uint8 and frames.shape == (index.frames, index.height, index.width, 3)
    return frames if whole else None


def _read_index(path: Path) -> Index | None:
    """The index of an entry, or None if it is not there or damaged."""
    try:
        index = Index(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    counts = (index.frames, index.height, index.width)
    return index if all(isinstance(count, int) and count > 0 for count in counts) else None


def _write_index(path: Path, index: Index) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(asdict(index)), encoding="utf-8")
    part.replace(path)
