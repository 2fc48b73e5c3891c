"""A recipe from a model and videos alone: it begins at *universal* and never ends below it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from holdsteady import video
from holdsteady.adapters.classes import read
from holdsteady.adapters.presets import DEFAULT_KIND, DEFAULT_PRESET
from holdsteady.data.sources import find_videos, make_source
from holdsteady.errors import ConfigError
from holdsteady.host.mirror import can_mirror
from holdsteady.loading import load
from holdsteady.models.card import ModelCard
from holdsteady.models.model import card_of
from holdsteady.models.sizes import try_model
from holdsteady.models.values import image_of
from holdsteady.training.footage import look_at, mixture

T = TypeVar("T")

START = "universal"
_MINUTES = 10
_UPDATES = 20  # steps for each batch
_ADAPTERS = {
    START: f"begins at {START}",
    DEFAULT_KIND: f"{DEFAULT_KIND} ({DEFAULT_PRESET}) at input and output, since these are classes or masks",
    "motion": "motion at the output, since these are classes or masks of a black box",
}
_CROPS = (128, 96, 64)
_LENGTH = 8  # frames of a clip, as in the paper
_WATCHED_LENGTH = 12  # of the validation: what is remembered settles within ten
_PART = 0.8  # of a video is trained on, where the rest is kept for validation
_WATCHED = 6  # videos of the validation
_LOOKED_AT = 5  # videos that are measured
_NOISY = 1.5 / 255  # noise that a truth must not have: frames of half the size have half of it


@dataclass(frozen=True)
class _Video:
    path: str
    shrink: int
    part: tuple[float, float] = (0.0, 1.0)

    def holds(self, length: int, crop: int) -> bool:
        """Whether a clip of so many frames is in it."""
        try:
            make_source("videos", self.path, length=length, crop=crop, shrink=self.shrink, part=self.part)
        except ConfigError:
            return False
        return True


def default_recipe(
    model: str,
    videos: Sequence[str],
    weights: Path | None = None,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """A recipe of plain data, and what was found and picked in sentences for the user.

    Self-distillation on the videos: where frames are disturbed as the footage is found to be, the adapter learns to
    give what the model gives on those that are not. It begins at *universal*, but for classes and masks; weights that
    are worse than that in any clip of the validation don't count. The end of each video is kept for the validation.

    Raises:
        ConfigError: no videos, or all are too small.
        ModelError, VideoError: the model or a video can't be used.
    """
    paths = [path for place in videos for path in find_videos(place)]
    card = card or ModelCard()
    loaded = load(model, weights, card=card, trust=trust, inside=inside)
    output, stride = _try(loaded, paths[0])
    sides = {path: _smallest_side(path) for path in paths}
    crops = [crop for crop in _CROPS if crop % stride == 0] or [stride * max(1, round(96 / stride))]
    # The crop that most of the videos hold; those that are smaller, or have no shot of a clip's length, are left out.
    crop = _crop(crops, list(sides.values()))
    fitting = [path for path in paths if sides[path] >= crop and _Video(path, 1).holds(_LENGTH, crop)]
    if not fitting:
        raise ConfigError(
            f"no video holds a clip: clips need shots of {_LENGTH} frames of at least {crop}x{crop} pixels; "
            f"the smallest sides are {', '.join(str(side) for side in sides.values())}"
        )
    found = [look_at(path) for path in _spread(fitting, _LOOKED_AT)]
    corruption, in_words = mixture(found)
    is_noisy = float(np.median([one.level for one in found])) >= _NOISY
    crop, footage = _shrunk(fitting, sides, crops, crop) if is_noisy else (crop, [_Video(one, 1) for one in fitting])
    train_on, watch_on, kept = _apart(footage, crop)
    kind = card_of(loaded).kind
    logits = kind in ("classes", "labels") or output.shape[1] > 3
    # Of classes and masks universal fuses probabilities by formulas, in which there is nothing to learn.
    learns = not logits and kind != "mask" and set(read(output, output, "auto")) == {"values"}
    adapter = START if learns else DEFAULT_KIND if can_mirror(loaded) else "motion"
    optimizer = {"learning_rate": 3e-3, "warmup": 5, "ema": 0.99} if learns else {}
    recipe = {
        "model": model,
        "weights": None if weights is None else str(weights),
        "card": card.model_dump(mode="json", exclude_unset=True),
        "trust": trust,
        "inside": inside,
        "adapter": adapter,
        "recorded": _UPDATES if adapter == START else 0,
        "corruption": corruption,
        "objective": {
            "target": "self",
            "distance": "cross-entropy" if logits else "rmse",
            "stability": 0.0 if learns else 0.4,
        },
        "data": {"sources": _sources(train_on), "length": _LENGTH, "crop": crop, "steadied": is_noisy},
        "validation": {
            "sources": [source for one in watch_on for source in _sources([one])],
            "clips": max(4, 2 * len(watch_on)),
            "length": _WATCHED_LENGTH if all(one.holds(_WATCHED_LENGTH, crop) for one in watch_on) else _LENGTH,
            "crop": crop,
            "every": 25,
            "hold": START,
        },
        "optimizer": optimizer,
        "steps": 10_000,
        "minutes": _MINUTES,
        "checkpoint_every": 50,
    }
    smaller = sum(one.shrink > 1 for one in footage)
    cleaned = f", steadied, and {smaller} of {len(footage)} at half their size, for less noise" if is_noisy else ""
    notes = [
        f"found in {len(found)} of {len(fitting)} video(s): {in_words}",
        f"adds the like: {corruption}",
        f"adapter: {_ADAPTERS[adapter]}, {_MINUTES} minutes; what is worse than {START} in any validation clip "
        "does not count",
        f"targets: what {model} gives on the frames before{cleaned}",
        f"clips: {_LENGTH} frames of {crop}x{crop} from {len(train_on)} video(s); for validation {kept}",
    ]
    left_out = [Path(path).name for path in paths if path not in fitting]
    if left_out:
        notes.append(f"left out, too small or without a shot of {_LENGTH} frames: {', '.join(left_out)}")
    return recipe, notes


def _try(loaded: Callable[..., Any], path: str) -> tuple[torch.Tensor, int]:
    """The output on a part of a video's first frame, and the model's stride."""
    with video.open_video(path) as reader:
        frame = next(video.upright_tensors(reader), None)
    if frame is None:
        raise ConfigError(f"{path} has no frames")
    trial = try_model(loaded, frame, card_of(loaded))
    return image_of(trial.output), trial.multiple


def _smallest_side(path: str) -> int:
    with video.open_video(path) as reader:
        frame = next(iter(reader), None)
    return 0 if frame is None else min(frame.pixels.shape[:2])


def _crop(crops: Sequence[int], sides: Sequence[int]) -> int:
    """The largest crop that half of the videos hold, else the smallest."""
    return next((crop for crop in crops if 2 * sum(side >= crop for side in sides) >= len(sides)), crops[-1])


def _shrunk(paths: Sequence[str], sides: dict[str, int], crops: Sequence[int], crop: int) -> tuple[int, list[_Video]]:
    """Noisy footage at half its size, where it still holds the crop, which may become smaller for it."""
    crop = _crop([one for one in crops if one <= crop], [sides[path] // 2 for path in paths])
    return crop, [_Video(path, 2 if sides[path] // 2 >= crop else 1) for path in paths]


def _apart(footage: Sequence[_Video], crop: int) -> tuple[list[_Video], list[_Video], str]:
    """What to train on, what to validate on, and the latter in words."""
    halves = [
        (_Video(one.path, one.shrink, (0.0, _PART)), _Video(one.path, one.shrink, (_PART, 1.0))) for one in footage
    ]
    both = [(left, right) for left, right in halves if left.holds(_LENGTH, crop) and right.holds(_LENGTH, crop)]
    if both:
        chosen = dict(_spread(both, _WATCHED))
        by_path = {left.path: left for left in chosen}
        train_on = [by_path.get(one.path, one) for one in footage]
        return train_on, list(chosen.values()), f"the last fifth of {len(chosen)} of them"
    if len(footage) > 1:
        # Too short to be parted: every third, from the end.
        watched = list(footage[::-1][:: 3 if len(footage) > 3 else len(footage)])[:_WATCHED]
        names = ", ".join(Path(one.path).name for one in watched)
        return [one for one in footage if one not in watched], watched, names
    return list(footage), list(footage), "the same video"


def _sources(videos: Sequence[_Video]) -> list[dict[str, Any]]:
    """As a recipe has them, videos of equal settings together."""

    def settings(one: _Video) -> tuple[int, tuple[float, float]]:
        return one.shrink, one.part

    groups = [(key, [one.path for one in group]) for key, group in groupby(sorted(videos, key=settings), settings)]
    return [
        {"kind": "videos", "paths": paths, "weight": len(paths), "shrink": shrink, "part": list(part)}
        for (shrink, part), paths in groups
    ]


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many, evenly from all."""
    return [items[place * len(items) // most] for place in range(most)] if len(items) > most else list(items)
