"""Opening any source of frames: video file, images, raw stream on stdin, camera, URL."""

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

from holdsteady.errors import VideoError

from . import images
from .frame import VideoFrame, VideoInfo
from .stream import StreamReader


class Reader(Protocol):
    """A source of frames: a context manager with `info` that yields `VideoFrame`s once."""

    info: VideoInfo

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def __iter__(self) -> Iterator[VideoFrame]: ...


def open_video(source: str, *, start: float | None = None, duration: float | None = None) -> Reader:
    """Open a source of frames.

    Args:
        source: A video file; a folder or glob of PNG, JPEG, TIFF, WebP or BMP images; `-` for a raw
            y4m stream on stdin; digits for a camera; or a URL (contains `://`).
        start: Seconds to skip, counted from the first frame.
        duration: Seconds to read from there.

    Returns:
        The reader. It decodes as it is iterated, and holds a few frames at most.

    Raises:
        VideoError: The source is missing, empty, not a video, or ends before `start`. While
            iterating: it is truncated or damaged; the frames before that have been yielded.
    """
    if start is not None and start < 0:
        raise VideoError(f"{source}: start is {start:g} s, but can't be negative")
    if duration is not None and duration <= 0:
        raise VideoError(f"{source}: duration is {duration:g} s, but has to be above 0")
    paths = _image_paths(source)
    if paths is not None:
        return images.ImageReader(source, paths, start, duration)
    return StreamReader(source, start, duration)


def _image_paths(source: str) -> list[Path] | None:
    """The image files that a source means, or None if it is something else."""
    path = Path(source)
    if path.is_dir():
        try:
            found = [item for item in path.iterdir() if item.suffix.lower() in images.SUFFIXES]
        except OSError as error:
            raise VideoError(f"{source}: the folder can't be read: {error.strerror}") from error
        found = [item for item in found if not item.name.startswith(".")]
    elif path.is_file():
        if path.suffix.lower() not in images.SUFFIXES:
            return None
        found = [path]
    elif "://" not in source and any(sign in source for sign in "*?["):
        matches = glob.glob(source)  # noqa: PTH207 - Path.glob refuses absolute patterns
        found = [Path(item) for item in matches if Path(item).suffix.lower() in images.SUFFIXES]
    else:
        return None
    if not found:
        raise VideoError(f"{source}: no images found; {', '.join(sorted(images.SUFFIXES))} are read")
    return sorted(found, key=images.natural_order)
