"""What was done of a file, on disk: results and, every so often, all that the next frame depends on.

A run that was killed decodes and encodes anew what was done, takes the results of it from here, and goes on with the
model at the first frame after the last checkpoint: the file that it writes is the one of an undisturbed run.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from holdsteady.errors import StateError, VideoError
from holdsteady.host.state_files import load_state, save_state
from holdsteady.models.display import Memory
from holdsteady.models.runner import FrameRunner, Snapshot
from holdsteady.video.border import Border, Given
from holdsteady.video.frame import Pixels

_STATE = "state.safetensors"
# Results are written once and read at most once: speed counts more than size.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Journal:
    """A runner and a border in one, which keep what was done in a folder.

    Args:
        folder: for this file alone.
        key: of all that the result depends on; what is there under another key is thrown away.
        runner: does the work.
        border: between pixels and its frames.
        lock: held while the runner is prepared, which tries the model that several share.
        every: seconds between checkpoints.
        clock: gives seconds.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        runner: FrameRunner,
        border: Border,
        lock: AbstractContextManager[Any],
        every: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._key, self._runner, self._border, self._lock = folder, key, runner, border, lock
        self._every, self._clock = every, clock
        self._saved, self._number = clock(), 0
        self._lost: dict[str, int] = {}  # pixels that were NaN, by the number of the frame
        self._snapshot = self._last_checkpoint()
        if self._snapshot is None:
            self.discard()
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def resumed(self) -> int:
        """How many results were there at the start."""
        return 0 if self._snapshot is None else self._snapshot.frames

    def discard(self) -> None:
        """Throw all of it away: the file is whole, or is to be begun again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def step(self, frame: Any) -> Any:
        """The result of a frame: from disk, or made now."""
        number, snapshot = self._number, self._snapshot
        self._number += 1
        with self._lock:
            self._runner.prepare(frame)
        if snapshot is None or number >= snapshot.frames:
            return self._runner.step(frame)
        if self._number == snapshot.frames:
            self._runner.resume(snapshot)
        return self._read(number)

    def reset(self) -> None:
        """A new shot begins."""
        self._runner.reset()

    def show(self, pixels: Pixels) -> Any:
        """As of the border."""
        return self._border.show(pixels)

    def size(self, result: Any) -> tuple[int, int]:
        """As of the border."""
        if isinstance(result, Given):
            height, width = result.pixels.shape[:2]
            return height, width
        return self._border.size(result)

    def running(self) -> AbstractContextManager[Any]:
        """As of the border."""
        return self._border.running()

    def give(self, result: Any, *, deep: bool) -> Given:
        """A result as pictures, which are kept; every so often, the state with them."""
        if isinstance(result, Given):
            return result
        given = self._border.give(result, deep=deep)
        number = self._number - 1
        self._write(number, given)
        if self._clock() - self._saved >= self._every:
            self.checkpoint()
            self._saved = self._clock()
        return given

    def _write(self, number: int, given: Given) -> None:
        if given.lost:
            self._lost[str(number)] = given.lost
        try:
            for name, picture in (("rgb", given.pixels), ("alpha", given.alpha)):
                if picture is not None:
                    self._path(number, name).write_bytes(cv2.imencode(".png", picture, _PNG)[1].tobytes())
        except OSError as error:
            raise VideoError(f"can't keep results in {self._folder}: {error.strerror or error}") from error

    def _read(self, number: int) -> Given:
        def picture(name: str) -> Any:
            data = np.fromfile(self._path(number, name), np.uint8)
            found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
            if found is None:
                raise StateError(f"{self._path(number, name)} is damaged")
            return found

        alpha = picture("alpha") if self._path(number, "alpha").exists() else None
        return Given(picture("rgb"), alpha, self._lost.get(str(number), 0))

    def _path(self, number: int, name: str) -> Path:
        return self._folder / f"{number:06}.{name}.png"

    def checkpoint(self) -> None:
        """Keep the state with the results, if there are any that were made now.

        Raises:
            VideoError: it can't be written.
        """
        if self._number <= self.resumed:
            return
        snapshot = self._runner.snapshot()
        notes = {
            "key": self._key,
            "frames": str(snapshot.frames),
            "display": json.dumps(snapshot.display),
            "lost": json.dumps(self._lost),
        }
        part = self._folder / f"{_STATE}.part"
        try:
            save_state(snapshot.state, part, notes)
            part.replace(self._folder / _STATE)
        except OSError as error:
            raise VideoError(f"can't keep the state in {self._folder}: {error.strerror or error}") from error

    def _last_checkpoint(self) -> Snapshot | None:
        """What can be gone on from; None where that is nothing."""
        with contextlib.suppress(StateError, KeyError, TypeError, ValueError):
            state, notes = load_state(self._folder / _STATE)
            range_, is_logit = json.loads(notes["display"])
            lost = json.loads(notes["lost"])
            frames = int(notes["frames"])
            if notes["key"] == self._key and all(self._path(n, "rgb").exists() for n in range(frames)):
                self._lost = {str(number): int(pixels) for number, pixels in lost.items()}
                display = Memory(None if range_ is None else (float(range_[0]), float(range_[1])), is_logit)
                return Snapshot(frames, state if state is None else state.to(self._runner.device), display)
        return None
