"""The newest frame of a source, and no other: a thread takes every frame, so that none waits."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from holdsteady.video import Reader, VideoFrame

# Waits are cut into pieces so that Ctrl-C gets through on every platform.
_PATIENCE = 0.2
#: A frame is not begun any more where the next one is due within this part of the time between two.
_NEARLY = 0.5
#: And within so many seconds: it may not come at all.
_LONGEST = 0.05


@dataclass(frozen=True)
class Grabbed:
    """A frame as it came.

    Attributes:
        number: of the frame in its source, from 0.
        frame: as stored.
        time: when it came, by ``time.monotonic``.
    """

    number: int
    frame: VideoFrame
    time: float


class Latest:
    """Grabs the frames of a reader in a thread, as a context manager; iterating gives the newest each time.

    Args:
        reader: the source, which the thread closes: nobody else can while it may be waiting for a frame.
        paced: whether to let frames come at their own times, as a camera would, and not as fast as they can be read.
        stop: ends the iteration when set.
    """

    def __init__(self, reader: Reader, stop: threading.Event, *, paced: bool) -> None:
        self._reader, self._stop, self._paced = reader, stop, paced
        self._change = threading.Condition()
        self._newest: Grabbed | None = None
        self._interval = 0.0  # between the last two frames
        self._dropped = 0
        self._ended = False
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._grab, name="holdsteady-grab", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned.set()
        # A camera that gives nothing more is not waited for: the thread is a daemon.
        self._thread.join(timeout=5 * _PATIENCE)

    @property
    def dropped(self) -> int:
        """Frames so far that were replaced by newer ones."""
        return self._dropped

    def __iter__(self) -> Iterator[Grabbed]:
        """The newest frame, as often as one is asked for and there is a new one.

        Raises:
            VideoError: reading failed, after the frames before it.
        """
        while True:
            with self._change:
                while self._newest is None and not self._ended and not self._stop.is_set():
                    self._change.wait(_PATIENCE)
                if self._newest is not None and not self._ended:
                    self._change.wait(until_next(time.monotonic() - self._newest.time, self._interval))
                taken, self._newest = self._newest, None
            if self._stop.is_set():
                return
            if taken is None:
                if self._failure is not None:
                    raise self._failure
                return
            yield taken

    def _grab(self) -> None:
        clock, came = _Clock(), 0.0
        try:
            with self._reader:
                for number, frame in enumerate(self._reader):
                    if self._paced:
                        moment = frame.time
                        due = number / float(self._reader.info.rate) if moment is None else float(moment)
                        self._abandoned.wait(clock.until(due))
                    if self._abandoned.is_set() or self._stop.is_set():
                        return
                    with self._change:
                        self._dropped += self._newest is not None
                        now = time.monotonic()
                        self._interval, came = (now - came if came else 0.0), now
                        self._newest = Grabbed(number, frame, now)
                        self._change.notify_all()
        except BaseException as error:  # raised again where frames are taken
            self._failure = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()


def until_next(age: float, interval: float) -> float:
    """Seconds to wait for a newer frame rather than to begin with this one; 0 if it is fresh or the next one is late.

    A model that is slower than the source takes frames of any age, and those that are about to be replaced are the ones
    that would be shown last.

    Args:
        age: of the newest frame, in seconds.
        interval: between the last two frames; 0 if there was one only.
    """
    remaining = interval - age
    return 1.5 * remaining if 0 < remaining < min(_NEARLY * interval, _LONGEST) else 0.0


class _Clock:
    """The times of frames. One that is late moves all that follow: a camera does not catch up."""

    def __init__(self) -> None:
        self._begin: float | None = None

    def until(self, moment: float) -> float:
        """Seconds from now to a moment of the source."""
        now = time.monotonic()
        if self._begin is None or now > self._begin + moment:
            self._begin = now - moment
        return self._begin + moment - now
