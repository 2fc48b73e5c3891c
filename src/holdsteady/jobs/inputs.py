"""Which files a batch works on, and where each result goes."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video.sink import CONTAINERS

#: Files that are taken from a folder.
VIDEOS = (*CONTAINERS, ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".wmv", ".flv", ".mxf", ".y4m", ".gif", ".3gp", ".ogv")


@dataclass(frozen=True)
class Job:
    """One file of a batch.

    Attributes:
        name: of the result, from the folder of results on; it stands for the file in the manifest.
        source: the file.
    """

    name: str
    source: Path


def find_jobs(inputs: Iterable[str | Path], out: Path, suffix: str | None = None) -> list[Job]:
    """The files that were meant, each once, in order.

    Args:
        inputs: video files, globs, and folders, whose videos are taken with those of the folders in them.
        out: where results go; what lies there is no input.
        suffix: of results; None for each file's own, or ``.mkv`` where that can't be written.

    Raises:
        VideoError: an input is missing, or a folder has no videos.
        ConfigError: two results would have one name, or the suffix can't be written.
    """
    if suffix is not None and suffix not in CONTAINERS:
        raise ConfigError(f"--suffix {suffix}: results can be {', '.join(CONTAINERS)}")
    found: dict[str, Job] = {}
    sources: set[Path] = set()
    for place, source in (pair for one in inputs for pair in _files(str(one), out)):
        if source.resolve() in sources:
            continue
        sources.add(source.resolve())
        own = source.suffix.lower()
        kept = own if own in CONTAINERS else ".mkv"
        name = place.with_suffix(suffix or kept).as_posix()
        if name in found:
            raise ConfigError(
                f"{found[name].source} and {source} would both become {out / name}: rename one of them, or give the "
                "folder that they are in, whose subfolders are kept"
            )
        found[name] = Job(name, source)
    if not found:
        raise VideoError("there is no file to work on")
    return list(found.values())


def _files(given: str, out: Path) -> list[tuple[Path, Path]]:
    """Files, each with its place below the folder that was given."""
    path = Path(given)
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in VIDEOS and one.is_file())
        kept = [one for one in inside if not one.resolve().is_relative_to(out.resolve())]
        if inside and not kept:
            raise VideoError(f"{given}: its videos lie in the folder of results, {out}, and are none to work on")
        if not kept:
            raise VideoError(f"{given}: there is no video in this folder ({', '.join(VIDEOS)})")
        return [(one.relative_to(path), one) for one in kept]
    if path.is_file():
        return [(Path(path.name), path)]
    matches = sorted(Path(match) for match in glob.glob(given, recursive=True)) if glob.has_magic(given) else []  # noqa: PTH207 – may be absolute
    files = [match for match in matches if match.is_file()]
    if not files:
        raise VideoError(f"{given}: no such file or folder")
    return [(Path(match.name), match) for match in files]
