"""What an evaluation runs over: videos, and clips drawn from the sources of a recipe."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from holdsteady import video
from holdsteady.data import Mixture
from holdsteady.data.cache import FrameCache
from holdsteady.data.sources import find_videos, recording_of
from holdsteady.errors import ConfigError, printable
from holdsteady.training.clips import VALIDATION_SEED, open_sources
from holdsteady.training.recipe import Recipe
from holdsteady.video.orientation import upright
from holdsteady.video.tensors import to_tensor


class Moment(NamedTuple):
    """One frame of some footage.

    Attributes:
        clean: (1, 3, H, W) in [0, 1].
        truth: what the model should give, if the footage knows it.
        is_cut: whether a new shot begins.
    """

    clean: Tensor
    truth: Tensor | None
    is_cut: bool


@dataclass(frozen=True)
class Footage:
    """A clip by name; calling ``play`` gives its frames from the start."""

    name: str
    play: Callable[[], Iterator[Moment]]


class _Piece(NamedTuple):
    """A part of a video, its frames so many times smaller."""

    path: str
    part: tuple[float, float] = (0.0, 1.0)
    shrink: int = 1

    def moments(self) -> Iterator[Moment]:
        """Its frames, in order."""
        return _frames(self.path) if self == _Piece(self.path) else _frames_of_part(*self)

    def names(self) -> tuple[str, str, str]:
        """What it may be called, the shortest first."""
        first, end = self.part
        path = printable(self.path)
        return Path(path).stem, path, f"{path} from {first:g} to {end:g} in 1/{self.shrink}"


def video_footage(path: str, frames: int | None = None, *, bounce: bool = False) -> Footage:
    """A video, or a folder of frames.

    Args:
        path: where it lies.
        frames: how many frames; None for all.
        bounce: play the first shot back and forth until there are so many frames.

    Raises:
        ConfigError: bounce without a number of frames.
    """
    return _footage([_Piece(path)], frames, bounce)[0]


def videos(paths: Sequence[str], frames: int | None = None, *, bounce: bool = False) -> list[Footage]:
    """Videos, or folders of them, each under its file name, or its whole path where names repeat.

    Raises:
        ConfigError: there are none, or see ``video_footage``.
        VideoError: one can't be read.
    """
    return _footage([_Piece(video) for path in paths for video in find_videos(path)], frames, bounce)


def _footage(pieces: Sequence[_Piece], frames: int | None, bounce: bool) -> list[Footage]:
    if bounce and frames is None:
        raise ConfigError("bounce plays clips back and forth up to a number of frames; give that number")

    def play(piece: _Piece) -> Iterator[Moment]:
        return _bounced(piece, frames) if bounce and frames is not None else islice(piece.moments(), frames)

    once = dict[_Piece, _Piece]()
    for piece in pieces:
        once.setdefault(piece._replace(path=str(Path(piece.path).resolve())), piece)
    found = list(once.values())
    taken = Counter(name for piece in found for name in {*piece.names()})
    return [Footage(next(n for n in piece.names() if taken[n] == 1), partial(play, piece)) for piece in found]


def recipe_footage(recipe: Recipe, frames: int | None = None, *, bounce: bool = False) -> list[Footage]:
    """What a recipe validates on: its videos, or the parts of them, or clips drawn from its other sources, with their
    truth.

    Raises:
        ConfigError: the sources don't know the truth that the objective names; or clips that are drawn were to have
            another length.
    """
    watch, target = recipe.validation, recipe.objective.target
    recipes = watch.sources or recipe.data.sources
    if target in ("self", "frames") and all(source.kind == "videos" for source in recipes):
        pieces = [_Piece(one, s.part, s.shrink) for s in recipes for path in s.paths for one in find_videos(path)]
        return _footage(pieces, frames, bounce)
    if frames is not None or bounce:
        raise ConfigError("clips that are drawn from a recipe's sources have its validation.length; leave --frames out")
    sources = open_sources(recipes, length=watch.length, crop=watch.crop, flip=False)
    # Never the clips of the training.
    seed = recipe.seed + VALIDATION_SEED
    mixture = Mixture(sources, [s.weight for s in recipes], seed=seed, size=watch.clips)
    if target not in mixture.keys | {"self"}:
        raise ConfigError(f"objective.target = '{target}': the sources give {', '.join(sorted(mixture.keys))} only")

    def play(index: int) -> Iterator[Moment]:
        sample = mixture[index]
        for number, frame in enumerate(sample["frames"]):
            yield Moment(frame[None], None if target == "self" else sample[target][number][None], False)

    return [Footage(f"clip {index}", partial(play, index)) for index in range(watch.clips)]


def _frames(path: str) -> Iterator[Moment]:
    is_new_shot = video.open_cuts("auto")
    with video.open_video(path) as reader:
        for number, frame in enumerate(reader):
            picture = upright(frame.pixels, reader.info)
            yield Moment(to_tensor(picture, "cpu", torch.float32), None, is_new_shot(number, picture) and number > 0)


def _frames_of_part(path: str, part: tuple[float, float], shrink: int) -> Iterator[Moment]:
    """The frames that a training with these settings sees, whole."""
    recording = recording_of(FrameCache().open(path), part, shrink)
    height, width = recording.size
    for number, is_first in ((n, n == shot.start) for shot in recording.shots for n in shot):
        (picture,) = recording.readers["frames"]([number], (slice(0, height), slice(0, width)))
        values = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        clean = values / 255 if picture.dtype == np.uint8 else values
        yield Moment(clean, None, is_first and number != recording.shots[0].start)


def _bounced(piece: _Piece, frames: int) -> Iterator[Moment]:
    """The first shot of a video, forth and back. It is kept in memory, in 8 bits."""
    shot: list[Tensor] = []
    for moment in islice(piece.moments(), frames):
        if moment.is_cut:
            break
        shot.append((moment.clean * 255).round().byte())
    order = [*range(len(shot)), *range(len(shot) - 2, 0, -1)]
    for number in range(frames):
        yield Moment(shot[order[number % len(order)]].float() / 255, None, False)
