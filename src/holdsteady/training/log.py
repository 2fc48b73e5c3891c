"""The log of a training run: ``log.csv``, TensorBoard and example frames. Rank 0 alone has one."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

_COLUMNS = (
    "step",
    "minutes",
    "learning_rate",
    "loss",
    "accuracy",
    "stability",
    "gradient_norm",
    "psnr",
    "flicker_error",
    "validation_loss",
    "validation_psnr",
    "validation_flicker_error",
)


class Log:
    """One training's log.

    Args:
        folder: of the training.
        step: steps already done: rows after it are of a run that was stopped, and are dropped.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self._examples = folder / "examples"
        self._path = folder / "log.csv"
        kept = [row for row in _rows(self._path) if int(row["step"]) <= step]
        part = self._path.with_suffix(".csv.part")
        self._file = part.open("w", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, _COLUMNS, restval="")
        try:
            self._csv.writeheader()
            self._csv.writerows(kept)
            self._file.flush()
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def row(self, step: int, values: dict[str, float]) -> None:
        """Figures of one step."""
        self._csv.writerow({"step": step, **{name: f"{value:.6g}" for name, value in values.items()}})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name.replace("validation_", "validation/"), value, step)

    def example(self, step: int, frames: list[Tensor]) -> None:
        """Pictures (3, H, W) or (1, H, W) in [0, 1] of one moment beside each other."""
        pixels = [_pixels(frame) for frame in frames]
        # A model may give another size than it takes.
        size = (pixels[0].shape[1], pixels[0].shape[0])
        row = np.concatenate([cv2.resize(p, size, interpolation=cv2.INTER_NEAREST) for p in pixels], axis=1)
        self._examples.mkdir(exist_ok=True)
        cv2.imwrite(str(self._examples / f"step-{step:06d}.png"), row[..., ::-1])
        self._board.add_image("example", row, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is pending."""
        self._file.close()
        self._board.close()


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        # The last row may have been cut off.
        return [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]


def _pixels(frame: Tensor) -> Any:
    picture = frame.detach().float().clamp(0, 1).mul(255).round().byte().cpu().expand(3, -1, -1)
    return picture.permute(1, 2, 0).numpy()
