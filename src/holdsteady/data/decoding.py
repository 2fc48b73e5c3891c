"""Frames of a video as training sees them: upright, RGB, 8 bits, with the scene cuts found on the way."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from holdsteady.errors import VideoError
from holdsteady.video import CutDetector, Pixels, Reader, VideoFrame, open_video
from holdsteady.video.images import ImageReader
from holdsteady.video.orientation import upright


@dataclass(frozen=True)
class Picture:
    """One frame: pixels (H, W, 3) uint8, its time in seconds if it has one, whether it begins a new shot."""

    pixels: npt.NDArray[np.uint8]
    time: float | None
    is_cut: bool


def pictures(source: str) -> Iterator[Picture]:
    """All frames of a video file, image folder or glob, in order.

    Raises:
        VideoError: it is missing, is not a video, or is damaged.
    """
    detector = CutDetector()
    with open_video(source) as reader:
        for frame in reader:
            yield Picture(_upright(frame.pixels, reader), _time(frame), detector.is_cut(frame.pixels))


def pixels_from(source: str, first: int, times: Sequence[float] | None) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames from number `first` on, found by a seek if the times of all frames are known.

    Raises:
        VideoError: it is missing, is not a video, or is damaged.
    """
    # Some files land late after a seek, so then try earlier, and in the end decode from the start.
    starts = [] if times is None else [max(0.0, times[first] - times[0] - margin) for margin in (0.0, 2.0)]
    wanted = 0.0 if times is None else times[first]
    for start in starts:
        with open_video(source, start=start) as reader:
            # Images are opened at the very frame, and count their times from there.
            found = isinstance(reader, ImageReader)
            for frame in reader:
                time = _time(frame)
                found = found or time == wanted
                if found:
                    yield _upright(frame.pixels, reader)
                elif time is None or time > wanted:
                    break
            if found:
                return
    with open_video(source) as reader:
        for frame in islice(reader, first, None):
            yield _upright(frame.pixels, reader)


def stamp(source: str) -> str:
    """Path, size and modification time of a video, or of every file of an image folder or glob.

    Raises:
        VideoError: there is no such file.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(path.iterdir())
    elif any(sign in source for sign in "*?[") and not path.exists():
        files = sorted(map(Path, glob.glob(source)))  # noqa: PTH207 - Path.glob refuses absolute patterns
    else:
        files = [path]
    try:
        facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise VideoError(f"{source}: can't be read: {error.strerror}") from error
    return f"{path.resolve()} {facts}"


def _upright(pixels: Pixels, reader: Reader) -> npt.NDArray[np.uint8]:
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8, copy=False)
    return upright(eight, reader.info).astype(np.uint8, copy=False)


def _time(frame: VideoFrame) -> float | None:
    return None if frame.pts is None else float(frame.pts * frame.time_base)
