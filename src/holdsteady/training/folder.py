"""The folder of a training run."""

import json
import math
import os
from pathlib import Path
from typing import Any

from holdsteady.adapters.files import CONFIG_NAME, WEIGHTS_NAME
from holdsteady.errors import ConfigError, printable
from holdsteady.folders import made_folder, write_whole
from holdsteady.training.checkpoint import NAME as CHECKPOINT_NAME
from holdsteady.training.recipe import Recipe

BASE_NAME, RECIPE_NAME, DATA_NAME = "base.safetensors", "recipe.yaml", "data.json"
_RESULTS = (WEIGHTS_NAME, CONFIG_NAME, BASE_NAME, "metrics.json")


def check(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a training may not write to.

    Args:
        out: the folder; need not exist.
        overwrite: whether an earlier training in the folder may be replaced.

    Raises:
        ConfigError: it is a file, can't be written, holds a finished training, or something that is of no training.
    """
    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{printable(str(out))}: this name is no UTF-8, which TensorBoard's log needs (--out)"
        ) from None
    try:
        if not out.exists():
            return
        if not out.is_dir():
            raise ConfigError(f"{out} is a file, and a training needs a folder; take another one (--out)")
        inside = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"can't write to the folder {out}: {error.strerror}") from error
    if not os.access(out, os.W_OK):
        raise ConfigError(f"no permission to write in the folder {out}; take another one (--out)")
    is_begun = CHECKPOINT_NAME in inside
    if inside and not is_begun and not {RECIPE_NAME, DATA_NAME} <= {*inside}:
        held = inside[0] if len(inside) == 1 else f"{inside[0]} and {len(inside) - 1} more"
        raise ConfigError(f"{out} holds {held}, and is not the folder of a training; take a new one (--out)")
    if not (is_begun or overwrite) and any(name in inside for name in _RESULTS):
        raise ConfigError(f"{out} holds a finished training; take another folder (--out), or --overwrite")


def prepare(out: Path, recipe: Recipe, data: dict[str, Any], *, begin: bool, overwrite: bool) -> None:
    """Make the folder of a training run, with its recipe and list of data in it.

    Args:
        out: the folder.
        recipe: what is trained.
        data: what is read for it.
        begin: whether the training starts, rather than resumes.
        overwrite: whether an earlier training in the folder may be replaced.

    Raises:
        ConfigError: see :func:`check`; or the training resumes and its data are no longer the same.
    """
    check(out, overwrite=overwrite)
    if not begin:
        _check_data(out / DATA_NAME, data)
        return
    try:
        with made_folder(out):
            _clear(out)
            try:
                write_whole(out / RECIPE_NAME, recipe.to_yaml())
                write_json(out / DATA_NAME, data)
            except OSError:
                for name in (RECIPE_NAME, DATA_NAME):
                    (out / name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ConfigError(f"can't write to the folder {out}: {error.strerror}") from error


def _check_data(path: Path, data: dict[str, Any]) -> None:
    """Make sure that a training resumes with the data that it began with: it would end at other weights."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    now = json.loads(_as_json(data))
    if before != now:
        gone, new = (sorted(_files(one) - _files(other)) for one, other in ((before, now), (now, before)))
        words = [f"{word} {', '.join(files)}" for word, files in (("without", gone), ("with", new)) if files]
        raise ConfigError(
            f"the data are not those that the training in {path.parent} began with"
            f"{': now ' if words else ''}{' and '.join(words)}; put them back, or start over with --overwrite"
        )


def _files(data: dict[str, Any]) -> set[str]:
    return {file for sources in data.values() for source in sources for file in source.get("files", ())}


def _clear(out: Path) -> None:
    """Remove what an earlier training wrote, and nothing else."""
    logs = [*out.glob("examples/step-*.png"), *out.glob("tensorboard/events.out.tfevents.*")]
    for path in (*logs, *(out / name for name in (*_RESULTS, CHECKPOINT_NAME, "log.csv"))):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """A JSON file in which numbers that JSON does not have are null."""
    write_whole(path, _as_json(content) + "\n")


def _as_json(content: Any) -> str:
    return json.dumps(_finite(content), indent=1, ensure_ascii=False)


def _finite(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _finite(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_finite(value) for value in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing
