"""Opening any source of frames: video file, images, raw stream on stdin, camera, URL."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

from holdsteady.errors import VideoError

from .animation import AnimationReader, page_format
from .container import exists
from .frame import VideoFrame, VideoInfo
from .images import ImageReader, natural_order
from .options import part_fault
from .picture import FLOAT_SUFFIXES, SUFFIXES
from .stream import StreamReader

_IMAGES = SUFFIXES | FLOAT_SUFFIXES
# A number in a file name, as printf and FFmpeg write it.
_NUMBER = re.compile(r"%(?:0?\d+)?d")


class Reader(Protocol):
    """A source of frames: a context manager with `info` that yields `VideoFrame`s once."""

    info: VideoInfo

    @property
    def skipped(self) -> int:
        """Damaged packets that could not be decoded so far."""

    @property
    def concealed(self) -> int:
        """Frames so far that are damaged in part."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def __iter__(self) -> Iterator[VideoFrame]: ...


def open_video(
    source: str, *, start: float | None = None, duration: float | None = None, deinterlace: bool = False
) -> Reader:
    """Open a source of frames.

    Args:
        source: A video file; a folder, glob or numbered pattern (`frame_%04d.png`) of PNG, JPEG, TIFF, WebP, BMP,
            OpenEXR or Radiance HDR images; an animated WebP or PNG or a multi-page TIFF; `-` for a raw y4m stream on
            stdin; digits for a camera; or a URL (contains `://`). What exists as a file is one, whatever its name.
        start: Seconds to skip, counted from the first frame.
        duration: Seconds to read from there.
        deinterlace: Make whole pictures of interlaced ones, one for each; of no effect on images.

    Returns:
        The reader. It decodes as it is iterated, and holds a few frames at most.

    Raises:
        VideoError: `start` or `duration` is no such time. The source has no name, is missing, empty, not a video, or
            ends before `start`. While iterating: it is truncated, or damaged beyond what can be passed over; the frames
            before that have been yielded.
    """
    fault = part_fault(start, duration)
    if fault is not None:
        raise VideoError(f"{source}: {fault}")
    if not source:
        raise VideoError("the name of the source is empty; give a file, or . for the images of this folder")
    paths, pages = _images(source)
    if paths is None or pages == "PNG":  # FFmpeg composes an animated PNG at its full depth
        return StreamReader(source, start, duration, deinterlace=deinterlace)
    if pages is not None:
        return AnimationReader(source, paths[0], start, duration)
    return ImageReader(source, paths, start, duration)


def has_times(source: str) -> bool:
    """Whether the frames of a source have times of their own, see `VideoInfo`; it is not opened for that as a video.

    Raises:
        VideoError: It means images, and there are none.
    """
    paths, pages = _images(source)
    return paths is None or pages in ("PNG", "WEBP")


def _images(source: str) -> tuple[list[Path] | None, str | None]:
    """The image files that a source means, None if it is something else; and the format of a single one of pages."""
    paths = _image_paths(source)
    return paths, page_format(paths[0]) if paths is not None and paths == [Path(source)] else None


def _image_paths(source: str) -> list[Path] | None:
    """The image files that a source means, or None if it is something else."""
    path = Path(source)
    what = "no images found"
    if not exists(path):
        if "://" in source:
            return None
        if _NUMBER.search(path.name):
            found = _numbered(path)
            what = "no images with such names found"
        elif any(sign in source for sign in "*?["):
            found = _globbed(path)
        else:
            return None
    elif path.is_dir():
        try:
            found = [item for item in path.iterdir() if not item.name.startswith(".")]
        except OSError as error:
            raise VideoError(f"{source}: the folder can't be read: {error.strerror}") from error
    else:
        found = [path]
        if path.suffix.lower() not in _IMAGES:
            return None
    found = [item for item in found if item.suffix.lower() in _IMAGES and not item.is_dir()]
    if not found:
        raise VideoError(
            f"{source}: {what}; {', '.join(sorted(_IMAGES))} are read from a folder, 'folder/*.png' or "
            "'folder/frame_%04d.png'"
        )
    return sorted(found, key=natural_order)


def _numbered(pattern: Path) -> list[Path]:
    """The files whose names have a number in the place of `%d` or `%04d`, of any number of digits."""
    texts = [re.escape(part) for part in _NUMBER.split(pattern.name)]
    name = re.compile(r"\d+".join(texts))
    return [item for item in pattern.parent.glob("*") if name.fullmatch(item.name)] if pattern.parent.is_dir() else []


def _globbed(pattern: Path) -> list[Path]:
    """The files that match; brackets in the name of a folder that exists mean themselves."""
    folder = next((parent for parent in pattern.parents if exists(parent)), Path())
    rest = str(pattern.relative_to(folder))
    for text in (rest, rest.replace("[", "[[]")):  # if brackets as a choice match nothing, they are brackets
        found = glob.glob(str(Path(glob.escape(str(folder))) / text))  # noqa: PTH207 - Path.glob refuses some patterns
        if found:
            return [Path(item) for item in found]
    return []
