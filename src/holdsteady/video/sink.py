"""Where results go: what a sink's name means, and whether it can be written."""

import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from holdsteady.errors import ConfigError, VideoError

from .picture import FLOAT_SUFFIXES, SUFFIXES

CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


class SinkKind(Enum):
    """What a sink's name stands for."""

    FILE = "video file"
    FOLDER = "folder of PNG images"
    STDOUT = "raw y4m stream on stdout"


def sink_kind(sink: str) -> SinkKind:
    """What a sink's name stands for: `-` is stdout; a final `/`, no extension or an existing folder is a
    folder of images; else a video file.

    Raises:
        ConfigError: The name is empty or an extension alone, or the extension is not that of a container that can be
            written.
    """
    path = Path(sink)
    if sink == "-":
        return SinkKind.STDOUT
    if not sink:
        raise ConfigError("the name of the result is empty; give a file, or a folder (ending with /) for PNG images")
    if path.name.lower() in {*CONTAINERS, *SUFFIXES, *FLOAT_SUFFIXES} and not sink.endswith(("/", os.sep)):
        raise ConfigError(
            f"{sink}: is an extension without a name; give one, such as {path.with_name('out' + path.name)}, or end it "
            "with / for a folder of PNG images"
        )
    if sink.endswith(("/", os.sep)) or path.is_dir() or (not path.suffix and not path.exists()):
        return SinkKind.FOLDER
    if path.suffix.lower() not in CONTAINERS:
        raise ConfigError(
            f"{sink}: can't write files of type {path.suffix or 'without extension'!r}; "
            f"use {', '.join(CONTAINERS)}, a folder (ending with /) for PNG images, or - for y4m on stdout"
        )
    return SinkKind.FILE


def keeps_rotation(sink: str) -> bool:
    """Whether the sink can tell players to turn the picture; otherwise it has to be stored upright."""
    return Path(sink).suffix.lower() in (".mp4", ".m4v", ".mov", ".mkv") and sink_kind(sink) is SinkKind.FILE


def as_text(name: str) -> str:
    """The name of a file, to be shown: bytes that are no UTF-8, which a name may have, as escapes."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def check_sink(source: str | None, sink: str, overwrite: bool) -> None:
    """Refuse a sink that can't be written or would destroy something, before any work is done.

    Args:
        source: Where the frames come from, or None if that can't be hit.
        sink: Where results go.
        overwrite: Whether existing results may be replaced.

    Raises:
        ConfigError: The type of the sink is not known.
        VideoError: It exists (without overwrite), is the source, or its parent folder is missing or
            can't be written.
    """
    try:
        _check(source, sink, overwrite)
    except VideoError:
        raise
    except OSError as error:
        raise VideoError(f"{sink}: can't be written: {error.strerror}") from error


def _check(source: str | None, sink: str, overwrite: bool) -> None:
    kind = sink_kind(sink)
    if kind is SinkKind.STDOUT:
        return
    path = Path(sink).resolve()
    if source is not None and _same(source, path):
        raise VideoError(f"{sink}: is the source itself; choose another name for the result")
    if not path.parent.is_dir():
        raise VideoError(f"{sink}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise VideoError(f"{sink}: no permission to write in the folder {path.parent}")
    if kind is SinkKind.FILE and path.exists() and not overwrite:
        raise VideoError(f"{sink}: exists already; give --overwrite to replace it, or choose another name")
    if kind is SinkKind.FOLDER and path.exists():
        if not path.is_dir():
            raise VideoError(f"{sink}: is not a folder, but images need one; choose another name")
        if not overwrite and any(path.iterdir()):
            raise VideoError(
                f"{sink}: the folder is not empty; give --overwrite to replace the numbered PNG images "
                f"in it, or choose another one"
            )


def check_apart(target: str | Path, *sources: str | Path | None) -> None:
    """Refuse a file or folder for results that something is read from.

    Raises:
        VideoError: it is one of the sources, or the folder of their images. Videos may lie in a folder of results.
    """
    folder = Path(target).resolve()
    for source in map(str, filter(None, sources)):
        path = Path(source)
        is_named_so = path.suffix.lower() not in SUFFIXES | FLOAT_SUFFIXES and not path.is_dir()
        is_video = is_named_so and (path.is_file() or bool(path.suffix))  # or a glob of such
        if target != "-" and (path.resolve() == folder if is_video else _same(source, folder)):
            raise VideoError(f"{target}: is the source itself, {source}; choose another name for the result")


def check_folder(folder: Path, names: Iterable[str], *sources: str | Path | None) -> None:
    """Refuse a folder for results where a source would be written over.

    Args:
        folder: need not exist.
        names: of the files that will be written there.
        sources: what is read.

    Raises:
        VideoError: it is a source, holds the images of one, a source is one of the files, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise VideoError(f"can't make the folder '{folder}': a file has that name; choose another one")
    check_apart(folder, *(source for source in sources if source is not None and not Path(source).is_file()))
    for name in names:
        check_apart(folder / name, *sources)


def check_report(path: str | Path, *sources: str | Path | None) -> None:
    """Refuse a file for a report in JSON that holds something else.

    Raises:
        VideoError: it is a source, a folder or in none, has the ending of a video or an image, or exists and does not
            end in .json.
    """
    check_apart(path, *sources)
    path = Path(path)
    if path.is_dir():
        raise VideoError(f"{path}: is a folder; give the name of a file in it, such as {path / 'report.json'}")
    if not path.parent.is_dir():
        raise VideoError(f"can't write {path}: the folder {path.parent} does not exist; create it first")
    if path.suffix.lower() in {*CONTAINERS, *SUFFIXES, *FLOAT_SUFFIXES}:
        raise VideoError(f"{path}: a report is JSON, and this is the name of a video or an image; end it in .json")
    is_stream = path.parent.parts[:2] in (("/", "dev"), ("/", "proc"))  # as /dev/stdout, also where that is a file
    if path.is_file() and path.suffix.lower() != ".json" and not is_stream:
        raise VideoError(f"{path}: exists already, and its name does not end in .json; choose another name")


def _same(source: str, target: Path) -> bool:
    """Whether the source is the target, or images within it."""
    path = Path(source)
    if source.isdigit() and not path.exists():
        return False  # a camera
    if any(sign in path.name for sign in "*?["):
        path = path.parent
    candidates = [path] if path.is_dir() or not target.is_dir() else [path, path.parent]
    return any(item.exists() and item.resolve() == target for item in candidates)
