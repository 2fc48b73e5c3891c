"""Sources by name, and the two that read footage: videos, and pairs of input and truth."""

import glob
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from holdsteady.errors import ConfigError
from holdsteady.video.picture import SUFFIXES

from .cache import CachedVideo, FrameCache
from .clips import ClipSource, Reader, Recording, Window
from .public import SETS, open_set
from .sample import Source
from .scenes import SceneSource
from .stills import StillSource

# What a folder is searched for; a file that is named itself may have any ending.
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mpeg", ".ts", ".webm", ".wmv", ".y4m"})

KINDS = ("videos", "pairs", "stills", "scenes", *SETS)


def make_source(
    kind: str,
    paths: str | Path | Sequence[str | Path],
    *,
    length: int = 8,
    crop: int | tuple[int, int] | None = None,
    stride: Iterable[int] = (1,),
    flip: bool = True,
    split: str | None = None,
    part: tuple[float, float] = (0.0, 1.0),
    shrink: int = 1,
    cache: FrameCache | None = None,
) -> Source:
    """A source of clips by its kind.

    Args:
        kind: `videos`, `pairs`, `stills`, `scenes`, or a public set: `davis`, `nfs`, `robustspring`, `sintel`,
            `spring`, `viper`, `visionsim`.
        paths: Videos, folders or globs; for `pairs` the input and the truth; for a public set its root folder.
        length: Frames of a clip.
        crop: Side or (height, width) in pixels; None for whole frames. `stills` and `scenes` need it.
        stride: Steps in time, one of which is chosen for each clip.
        flip: Whether half of the clips are mirrored left to right.
        split: The part of a public set; by default its training split.
        part: Where of each video, as shares of its frames; for `videos`.
        shrink: How many times smaller frames become, by the mean over squares of that side; for `videos`. The crop is
            that of the small frames.
        cache: Where decoded videos are kept; by default a ``FrameCache()``.

    Raises:
        ConfigError: the kind is unknown, there is nothing at the paths, or a setting does not fit what is there.
        VideoError: a file can't be read.
    """
    settings: dict[str, Any] = {"length": length, "crop": crop, "stride": tuple(stride), "flip": flip}
    places = [paths] if isinstance(paths, str | Path) else list(paths)
    if kind == "videos":
        return video_source(places, cache=cache, part=part, shrink=shrink, **settings)
    if kind == "pairs":
        if len(places) != 2:
            raise ConfigError(f"pairs takes two paths, the input and the truth, got {len(places)}")
        return pair_source(places[0], places[1], cache=cache, **settings)
    if kind == "stills":
        return StillSource(places, **settings)
    if kind == "scenes":
        return SceneSource(places, **settings)
    if kind in SETS:
        if len(places) != 1:
            raise ConfigError(f"{kind} takes one path, its root folder, got {len(places)}")
        return open_set(kind, places[0], split, **settings)
    raise ConfigError(f"unknown kind of source {kind!r}; choose one of {', '.join(KINDS)}")


def video_source(
    paths: Sequence[str | Path],
    *,
    cache: FrameCache | None = None,
    part: tuple[float, float] = (0.0, 1.0),
    shrink: int = 1,
    **settings: Any,
) -> ClipSource:
    """Clips from videos, decoded once into the cache; key `frames`.

    Args:
        paths: Video files, folders of image frames, globs of either, or folders with any of these inside.
        cache: Where decoded videos are kept; by default a ``FrameCache()``.
        part, shrink: as in ``make_source``.
        settings: `length`, `crop`, `stride` and `flip` as in ``ClipSource``.

    Raises:
        ConfigError: a path holds no video, or a video does not fit the settings.
        VideoError: a video can't be read.
    """
    cache = cache or FrameCache()
    found = {source: None for path in paths for source in find_videos(str(path))}  # a dict keeps the order
    videos = [cache.open(source) for source in found]
    recordings = [recording_of(video, part, shrink) for video in videos]
    return ClipSource("videos", recordings, **settings)


def recording_of(video: CachedVideo, part: tuple[float, float] = (0.0, 1.0), shrink: int = 1) -> Recording:
    """A part of a video, its frames made smaller; arguments as in ``make_source``."""
    first, end = (round(share * video.index.frames) for share in part)
    shots = (range(max(shot.start, first), min(shot.stop, end)) for shot in video.shots())
    height, width = (side // shrink for side in _size(video))
    reader = video.read if shrink == 1 else partial(_shrunk, video.read, shrink)
    return Recording(video.source, (height, width), tuple(shot for shot in shots if len(shot)), {"frames": reader})


def _shrunk(read: Reader, times: int, numbers: Sequence[int], window: Window) -> npt.NDArray[np.float32]:
    """Reads smaller frames, in [0, 1] and not rounded: their noise may be less than a step of 8 bits."""
    rows, columns = (slice(times * side.start, times * side.stop) for side in window)
    pixels = read(numbers, (rows, columns))
    count, height, width, channels = pixels.shape
    squares = pixels.reshape(count, height // times, times, width // times, times, channels)
    small: npt.NDArray[np.float32] = squares.mean(axis=(2, 4), dtype=np.float32) / np.float32(255)
    return small


def pair_source(
    given: str | Path, truth: str | Path, *, cache: FrameCache | None = None, **settings: Any
) -> ClipSource:
    """Clips of frame pairs: key `frames` from the input, `truth` from the same places of the truth.

    Args:
        given: The input: a video, a folder of image frames, or a folder of such videos and folders.
        truth: The same for the truth; names must match, the ending aside.
        cache: Where decoded videos are kept; by default a ``FrameCache()``.
        settings: `length`, `crop`, `stride` and `flip` as in ``ClipSource``.

    Raises:
        ConfigError: names, numbers of frames or sizes of the two don't match, or don't fit the settings.
        VideoError: a video can't be read.
    """
    cache = cache or FrameCache()
    recordings = []
    for name, (left, right) in _matched(find_videos(str(given)), find_videos(str(truth))).items():
        _check_frame_names(left, right)
        inputs, truths = cache.open(left), cache.open(right)
        for what, a, b in (
            ("frames", inputs.index.frames, truths.index.frames),
            ("size", _size(inputs), _size(truths)),
        ):
            if a != b:
                raise ConfigError(f"{name}: the input has {what} {a} and the truth {b}; they must match")
        # The input may be corrupted, so cuts are taken from the truth.
        readers = {"frames": inputs.read, "truth": truths.read}
        recordings.append(Recording(f"{left} -> {right}", _size(truths), truths.shots(), readers))
    return ClipSource("pairs", recordings, **settings)


def find_videos(path: str) -> list[str]:
    """The videos that a path means: itself, or, of a folder or glob, all that is inside, in order of name.

    Raises:
        ConfigError: there are none.
    """
    place = Path(path)
    if any(sign in path for sign in "*?[") and not place.exists():
        matches = sorted(map(Path, glob.glob(path)))  # noqa: PTH207 - Path.glob refuses absolute patterns
        if matches and all(match.suffix.lower() in SUFFIXES for match in matches):
            return [path]
        found = [video for match in matches for video in find_videos(str(match))]
    elif place.is_dir():
        found = _inside(place)
    else:
        found = [path] if place.exists() else []
    if not found:
        raise ConfigError(f"{path}: no videos or images found")
    return found


def _inside(folder: Path) -> list[str]:
    items = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    if any(item.is_file() and item.suffix.lower() in SUFFIXES for item in items):
        return [str(folder)]
    found = []
    for item in items:
        if item.is_dir():
            found += _inside(item)
        elif item.suffix.lower() in VIDEO_SUFFIXES:
            found.append(str(item))
    return found


def _matched(inputs: Sequence[str], truths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Inputs and truths of the same name; a single one of each matches whatever the names."""
    if len(inputs) == len(truths) == 1:
        return {inputs[0]: (inputs[0], truths[0])}
    left, right = ({Path(path).stem: path for path in paths} for paths in (inputs, truths))
    _check_names(left.keys(), right.keys(), "videos")
    return {name: (left[name], right[name]) for name in left}


def _check_frame_names(left: str, right: str) -> None:
    """Of two folders of images, that each frame of one has one of the same name in the other."""
    if Path(left).is_dir() and Path(right).is_dir():
        names = [
            {item.stem for item in Path(folder).iterdir() if item.suffix.lower() in SUFFIXES}
            for folder in (left, right)
        ]
        _check_names(names[0], names[1], f"frames of {left} and {right}")


def _check_names(inputs: Iterable[str], truths: Iterable[str], what: str) -> None:
    for here, there, a, b in ((inputs, truths, "input", "truth"), (truths, inputs, "truth", "input")):
        alone = sorted(set(here) - set(there))
        if alone:
            some = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
            raise ConfigError(f"{what}: in the {a} but not in the {b}: {some}; both need the same names")


def _size(video: CachedVideo) -> tuple[int, int]:
    return video.index.height, video.index.width
