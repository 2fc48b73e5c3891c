"""What training needs to resume after it was stopped, however it was stopped."""

import shutil
from pathlib import Path
from typing import Any

import torch

from holdsteady.errors import TrainingError, in_one_line

NAME = "checkpoint.pt"
_BLOCK = 1 << 16  # bytes: with less than that a disk is full


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint beside the last one and put it in its place when it is whole.

    Raises:
        TrainingError: it can't be written; the last one is as it was.
    """
    part = folder / f"{NAME}.part"
    try:
        torch.save(state, part)
        part.replace(folder / NAME)
    except (OSError, RuntimeError) as error:  # the second on a full disk, in words of its own
        is_full = shutil.disk_usage(folder).free < _BLOCK
        part.unlink(missing_ok=True)
        why = "No space left on device" if is_full else getattr(error, "strerror", None) or in_one_line(error)
        raise TrainingError(f"can't write a checkpoint to {folder}: {why}") from error


def load_checkpoint(folder: Path, recipe: str) -> dict[str, Any] | None:
    """The checkpoint in a folder; None if there is none. Nothing in it is executed.

    Args:
        folder: where the training writes.
        recipe: the recipe to resume, as YAML.

    Raises:
        TrainingError: it is damaged, or was made by another recipe.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"it holds a {type(state).__name__}")
    except Exception as error:  # torch raises what its parser, zip and pickle readers happen to raise
        raise TrainingError(f"{path} is damaged ({type(error).__name__}); delete it to start over") from error
    if state.get("recipe") != recipe:
        raise TrainingError(
            f"{path} was made by another recipe: resume with {folder / 'recipe.yaml'} --out {folder}, take another "
            "folder, or start over with --overwrite"
        )
    return state
