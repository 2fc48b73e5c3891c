"""The folder of a training run."""

import json
import math
from pathlib import Path
from typing import Any

from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME
from holdsteady.errors import ConfigError
from holdsteady.training.checkpoint import NAME as CHECKPOINT_NAME
from holdsteady.training.recipe import Recipe

BASE_NAME, RECIPE_NAME, DATA_NAME = "base.safetensors", "recipe.yaml", "data.json"
_RESULTS = (WEIGHTS_NAME, CONFIG_NAME, BASE_NAME, "metrics.json")
_FILES = (*_RESULTS, CHECKPOINT_NAME, RECIPE_NAME, DATA_NAME, "log.csv", "examples", "tensorboard")


def prepare(out: Path, recipe: Recipe, data: dict[str, Any], *, begin: bool, overwrite: bool) -> None:
    """Make the folder of a training run, with its recipe and list of data in it.

    Args:
        out: the folder.
        recipe: what is trained.
        data: what is read for it.
        begin: whether the training starts, rather than resumes.
        overwrite: whether an earlier run in the folder may be replaced.

    Raises:
        ConfigError: the folder holds a finished training, or files that are not of a training and would be
            overwritten; or it can't be written.
    """
    is_training = (out / DATA_NAME).is_file() and (out / RECIPE_NAME).is_file()
    theirs = [name for name in _FILES if (out / name).exists()]
    if theirs and not is_training:
        raise ConfigError(f"{out} holds {theirs[0]}, and is not the folder of a training run; use another one (--out)")
    if begin and any((out / name).exists() for name in _RESULTS) and not overwrite:
        raise ConfigError(f"{out} holds a finished training; take another folder (--out), or --overwrite")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if begin:
            _clear(out)
        (out / RECIPE_NAME).write_text(recipe.to_yaml(), encoding="utf-8")
        write_json(out / DATA_NAME, data)
    except OSError as error:
        raise ConfigError(f"can't write to the folder {out}: {error.strerror}") from error


def _clear(out: Path) -> None:
    """Remove what an earlier training wrote, and nothing else."""
    logs = [*out.glob("examples/step-*.png"), *out.glob("tensorboard/events.out.tfevents.*")]
    for path in (*logs, *(out / name for name in (*_RESULTS, CHECKPOINT_NAME, "log.csv"))):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """A JSON file in which numbers that JSON does not have are null."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # as JSON writes what is no text


def _finite(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _finite(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_finite(value) for value in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing
