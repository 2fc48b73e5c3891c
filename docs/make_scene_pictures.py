"""Makes docs/pictures/scenes.jpg: three made-up scenes with their depth, classes and flow.

python docs/make_scene_pictures.py FOLDER_OF_STILLS
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from holdsteady.data import CLASSES, make_source

SEEDS = (2, 9, 5)
SIZE = 192, 256
FASTEST = 6.0  # pixels a frame that are drawn in full colour


def painted(values: np.ndarray, palette: int) -> np.ndarray:
    """Values (H, W) in [0, 1] as BGR."""
    return cv2.applyColorMap((255 * values).round().astype(np.uint8), palette)


def strip(sample: dict[str, torch.Tensor], t: int) -> np.ndarray:
    """Two frames, and depth, classes and flow of the second, beside each other, BGR."""
    frames = (255 * sample["frames"].permute(0, 2, 3, 1)).round().byte().numpy()[..., ::-1]
    near = 1 / sample["depth"][t, 0].numpy()
    x, y = sample["flow"][t - 1].numpy()
    angle = (np.arctan2(y, x) / (2 * np.pi) % 1) * 179
    colour = np.dstack((angle, np.clip(np.hypot(x, y) / FASTEST, 0, 1) * 255, np.full_like(x, 255))).astype(np.uint8)
    parts = (
        frames[0],
        frames[t],
        painted(near / near.max(), cv2.COLORMAP_MAGMA),
        painted(sample["classes"][t].numpy() / (len(CLASSES) - 1), cv2.COLORMAP_VIRIDIS),
        cv2.cvtColor(colour, cv2.COLOR_HSV2BGR),
    )
    return np.concatenate(parts, axis=1)


def main() -> None:
    source = make_source("scenes", sys.argv[1], crop=SIZE)
    samples = [source.draw(torch.Generator().manual_seed(seed)) for seed in SEEDS]
    path = Path(__file__).parent / "pictures" / "scenes.jpg"
    path.parent.mkdir(exist_ok=True)
    picture = np.concatenate([strip(sample, 7) for sample in samples])
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise OSError(f"{path} can't be written")


if __name__ == "__main__":
    main()
