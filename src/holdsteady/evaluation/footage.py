"""What an evaluation runs over: videos, and clips drawn from the sources of a recipe."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from holdsteady import video
from holdsteady.data import Mixture
from holdsteady.data.sources import find_videos
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


def video_footage(path: str, frames: int | None = None, *, bounce: bool = False) -> Footage:
    """A video, or a folder of frames.

    Args:
        path: where it lies.
        frames: how many frames; None for all.
        bounce: play the first shot back and forth until there are so many frames.

    Raises:
        ConfigError: bounce without a number of frames.
    """
    if bounce and frames is None:
        raise ConfigError("bounce plays clips back and forth up to a number of frames; give that number")

    def play() -> Iterator[Moment]:
        return _bounced(path, frames) if bounce and frames is not None else _frames(path, frames)

    return Footage(printable(Path(path).stem), play)


def videos(paths: Sequence[str], frames: int | None = None, *, bounce: bool = False) -> list[Footage]:
    """Videos, or folders of them, each under its file name, or its whole path where names repeat.

    Raises:
        ConfigError: there are none, or see ``video_footage``.
        VideoError: one can't be read.
    """
    found = list(dict.fromkeys(video for path in paths for video in find_videos(path)))
    stems = [printable(Path(path).stem) for path in found]
    clips = [video_footage(path, frames, bounce=bounce) for path in found]
    return [
        Footage(printable(path) if stems.count(stem) > 1 else stem, clip.play)
        for path, stem, clip in zip(found, stems, clips, strict=True)
    ]


def recipe_footage(recipe: Recipe, frames: int | None = None, *, bounce: bool = False) -> list[Footage]:
    """What a recipe validates on: its videos, whole, or clips drawn from its other sources, with their truth.

    Raises:
        ConfigError: the sources don't know the truth that the objective names; or clips that are drawn were to have
            another length.
    """
    watch, target = recipe.validation, recipe.objective.target
    recipes = watch.sources or recipe.data.sources
    if target in ("self", "frames") and all(source.kind == "videos" for source in recipes):
        return videos([path for source in recipes for path in source.paths], frames, bounce=bounce)
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


def _frames(path: str, limit: int | None) -> Iterator[Moment]:
    is_new_shot = video.open_cuts("auto")
    with video.open_video(path) as reader:
        for number, frame in enumerate(reader):
            if number == limit:
                return
            picture = upright(frame.pixels, reader.info)
            yield Moment(to_tensor(picture, "cpu", torch.float32), None, is_new_shot(number, picture) and number > 0)


def _bounced(path: str, frames: int) -> Iterator[Moment]:
    """The first shot of a video, forth and back. It is kept in memory, in 8 bits."""
    shot: list[Tensor] = []
    for moment in _frames(path, frames):
        if moment.is_cut:
            break
        shot.append((moment.clean * 255).round().byte())
    order = [*range(len(shot)), *range(len(shot) - 2, 0, -1)]
    for number in range(frames):
        yield Moment(shot[order[number % len(order)]].float() / 255, None, False)
