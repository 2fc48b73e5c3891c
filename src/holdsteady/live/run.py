"""A model on a live source: the newest frame each time, shown as soon as it is done."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from holdsteady.errors import ConfigError, VideoError
from holdsteady.live.latest import Grabbed, Latest
from holdsteady.live.sinks import is_file, open_sink
from holdsteady.live.stats import Stats
from holdsteady.video import RunOptions, check_codec, check_sink, open_cuts, open_video, own_stdout
from holdsteady.video.border import Border, same_size
from holdsteady.video.container import exists
from holdsteady.video.orientation import straightened, upright

#: What keys do in a window.
KEYS = "+ and -: strength; 0: on and off; r: forget; q: quit"


class Strength:
    """How much of the stabilization is shown, changed by keys.

    Args:
        value: in [0, 1].
        change: is told each new value; None if it can't be changed.
    """

    def __init__(self, value: float, change: Callable[[float], None] | None) -> None:
        self.value, self._change, self._kept = value, change, value

    def press(self, key: str) -> None:
        """What a key does: ``+`` and ``-`` a tenth, ``0`` off and on again."""
        if self._change is None or key not in ("+", "-", "0"):
            return
        if key == "0":
            self.value, self._kept = (0.0, self.value) if self.value else (self._kept or 1.0, 0.0)
        else:
            self.value = round(min(1.0, max(0.0, self.value + (0.1 if key == "+" else -0.1))), 2)
        self._change(self.value)


def run(
    source: str,
    sink: str,
    step: Callable[[Any], Any],
    border: Border,
    options: RunOptions,
    *,
    on_cut: Callable[[], None],
    strength: Strength,
    status: Callable[[Stats], None] | None = None,
    stop: threading.Event | None = None,
) -> Stats:
    """Show a live source through a model until it ends, ``stop`` is set, or q is pressed in a window.

    While the model is at work newer frames replace older ones, and nothing waits in a queue: delay does not grow.

    Args:
        source: as of ``open_video``. A file's frames come at its own rate, as a camera's would.
        sink: see ``open_sink``.
        step: takes a frame, gives a picture, as ``border`` has them.
        border: what frames are.
        options: of a file to be written.
        on_cut: called before the first frame of a new shot.
        strength: what keys change.
        status: called after each frame.
        stop: set it to end; a file is then complete up to there.

    Raises:
        ConfigError, VideoError: as of ``video.run``.
        ModelError: ``step`` gave something else.
    """
    stop = stop or threading.Event()
    if is_file(sink):
        check_sink(source, sink, options.overwrite)
        check_codec(sink, options.codec, options.crf)
    elif options.codec is not None or options.crf is not None:
        raise ConfigError("--codec and --crf are for files")
    is_new_shot = open_cuts(options.cuts)
    stats, size, first = Stats(), None, None
    with ExitStack() as stack:
        stdout = stack.enter_context(own_stdout()) if sink == "-" else None
        with ExitStack() as opening:
            reader = opening.enter_context(open_video(source))
            shown = stack.enter_context(open_sink(sink, straightened(reader.info), options, stdout))
            opening.pop_all()  # from here on it is closed by the thread that grabs
        if reader.info.has_alpha:
            warnings.warn(f"{source}: transparency is left out, live pictures have none", stacklevel=2)
        latest = stack.enter_context(Latest(reader, stop, paced=_is_there(source)))
        for grabbed in _told(latest, stats, sink):
            first = grabbed.time if first is None else first
            pixels = upright(grabbed.frame.pixels, reader.info)
            if is_new_shot(grabbed.number, pixels) and stats.frames:
                on_cut()
            begun = time.monotonic()
            with border.running():
                result = step(border.show(pixels))
                size = same_size(border.size(result), size)
                picture = border.give(result, deep=pixels.dtype == np.uint16).pixels
            worked = time.monotonic() - begun
            shown.show(picture, grabbed.frame)
            now = time.monotonic()
            stats.add(now - grabbed.time, worked)
            stats.dropped, stats.seconds = latest.dropped, now - first
            if status is not None:
                status(stats)
            key = shown.key()
            if key in ("q", "\x1b"):
                break
            if key == "r":
                on_cut()
            strength.press(key)
        else:
            if not stop.is_set():
                is_new_shot.warn_of_rest()
    return stats


def _told(latest: Latest, stats: Stats, sink: str) -> Iterator[Grabbed]:
    """The frames; where reading fails, it is said what is in the file by then."""
    try:
        yield from latest
    except VideoError as error:
        if not (stats.frames and is_file(sink)):
            raise
        shown = (
            "the frame shown before it is" if stats.frames == 1 else f"the {stats.frames} frames shown before it are"
        )
        raise VideoError(f"{error}; {shown} in {sink}") from error


def _is_there(source: str) -> bool:
    """Whether a source is a file or images, which could be read at once."""
    return source != "-" and "://" not in source and (exists(Path(source)) or any(sign in source for sign in "*?[%"))
