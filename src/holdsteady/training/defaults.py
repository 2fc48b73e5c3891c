"""A recipe from a model and videos alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from holdsteady import video
from holdsteady.adapters.presets import DEFAULT_KIND, DEFAULT_PRESET
from holdsteady.data.sources import find_videos, make_source
from holdsteady.errors import ConfigError
from holdsteady.host.mirror import can_mirror
from holdsteady.loading import load
from holdsteady.models.card import ModelCard
from holdsteady.models.model import card_of
from holdsteady.models.sizes import try_model
from holdsteady.models.values import image_of

#: Moderate noise, compression and flickering light, one or two of them a clip.
CORRUPTION = "mix2(gaussian:2|jpeg:2|flicker:3)"
_CROPS = (128, 96, 64)
_KINDS = {DEFAULT_KIND: f"{DEFAULT_KIND} ({DEFAULT_PRESET}) at input and output", "motion": "motion at the output"}
_LENGTH = 8  # frames of a clip, as in the paper


def default_recipe(
    model: str,
    videos: Sequence[str],
    weights: Path | None = None,
    card: ModelCard | None = None,
    trust: bool = False,
    inside: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """A recipe of plain data, and what was picked in sentences for the user.

    Self-distillation on the videos: on corrupted frames, the adapter learns to give what the model gives on the clean
    ones. Where there are several videos, the last is kept for validation.

    Raises:
        ConfigError: no videos, or all are too small.
        ModelError, VideoError: the model or a video can't be used.
    """
    found = [path for place in videos for path in find_videos(place)]
    card = card or ModelCard()
    loaded = load(model, weights, card=card, trust=trust, inside=inside)
    output, stride, kind = _try(loaded, found[0])
    sides = {path: _smallest_side(path) for path in found}
    crops = [crop for crop in _CROPS if crop % stride == 0]
    # The crop that most of the videos hold; those that are smaller, or have no shot of a clip's length, are left out.
    crop = next((crop for crop in crops if 2 * sum(side >= crop for side in sides.values()) >= len(found)), crops[-1])
    fitting = [path for path in found if sides[path] >= crop and _holds_a_clip(path, crop)]
    if not fitting:
        raise ConfigError(
            f"no video holds a clip: clips need shots of {_LENGTH} frames of at least {crop}x{crop} pixels; "
            f"the smallest sides are {', '.join(str(side) for side in sides.values())}"
        )
    train_on, watch_on = (fitting[:-1], fitting[-1:]) if len(fitting) > 1 else (fitting, fitting)
    logits = card_of(loaded).kind in ("classes", "labels") or output.shape[1] > 3
    recipe = {
        "model": model,
        "weights": None if weights is None else str(weights),
        "card": card.model_dump(mode="json", exclude_unset=True),
        "trust": trust,
        "inside": inside,
        "adapter": {"kind": kind},
        "corruption": CORRUPTION,
        "objective": {"target": "self", "distance": "cross-entropy" if logits else "rmse", "stability": 0.4},
        "data": {"sources": [{"kind": "videos", "paths": train_on}], "length": _LENGTH, "crop": crop},
        "validation": {"sources": [{"kind": "videos", "paths": watch_on}], "length": _LENGTH, "crop": crop},
    }
    kept = f"{Path(watch_on[0]).name} kept for validation" if len(fitting) > 1 else "the same video for validation"
    notes = [
        f"adapter: {_KINDS[kind]}, {'cross-entropy on class logits' if logits else 'RMSE'}, λ = 0.4",
        f"targets: what {model} gives on the clean frames",
        f"corruption: {CORRUPTION}",
        f"clips: {_LENGTH} frames of {crop}x{crop} from {len(train_on)} video(s), {kept}",
    ]
    left_out = [Path(path).name for path in found if path not in fitting]
    if left_out:
        notes.append(f"left out, too small or without a shot of {_LENGTH} frames: {', '.join(left_out)}")
    return recipe, notes


def _try(loaded: Callable[..., Any], path: str) -> tuple[torch.Tensor, int, str]:
    """The output on a part of a video's first frame, the model's stride, and the kind of adapter that suits it."""
    with video.open_video(path) as reader:
        frame = next(video.upright_tensors(reader), None)
    if frame is None:
        raise ConfigError(f"{path} has no frames")
    trial = try_model(loaded, frame, card_of(loaded))
    # An adapter at the input learns through the model, which a black box does not let it.
    return image_of(trial.output), trial.multiple, DEFAULT_KIND if can_mirror(loaded) else "motion"


def _smallest_side(path: str) -> int:
    with video.open_video(path) as reader:
        frame = next(iter(reader), None)
    return 0 if frame is None else min(frame.pixels.shape[:2])


def _holds_a_clip(path: str, crop: int) -> bool:
    try:
        make_source("videos", path, length=_LENGTH, crop=crop)
    except ConfigError:
        return False
    return True
