"""A rendered animation: OIDN image by image, and held steady with motion searched or taken from the renderer.

python benchmarks/render.py

A plane that pans with another in front of it, whose motion is exact; 24 frames of 160×120 in linear light up to 4, each
pixel the mean of four samples whose brightness is exponential, as Monte Carlo noise is wide. Takes pyoidn and OpenEXR.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np

from holdsteady.data.render import Layer, render

Array = Any
PLUGIN = Path(__file__).parents[1] / "integrations" / "blender_oidn" / "steady_render.py"
SIZE, BRIGHTEST, SAMPLES = (120, 160), 4.0, 4


class Animation(NamedTuple):
    """Frames (T, H, W, 3) in linear light, and Blender's vectors (T, H, W, 2), NaN where they are not known."""

    clean: Array
    noisy: Array
    vector: Array


def plugin() -> ModuleType:
    """The script of integrations/blender_oidn."""
    spec = importlib.util.spec_from_file_location("steady_render", PLUGIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def animation(length: int, seed: int = 0) -> Animation:
    """A pan with something that crosses it."""
    random, times = np.random.default_rng(seed), np.arange(length)
    wall, piece = _texture(random, (480, 640)), _texture(random, (96, 96))
    piece = np.dstack((piece, np.full(piece.shape[:2], 255, np.uint8)))
    layers = [
        Layer((wall,), _places(-1.3 * times - 20, 0.4 * times - 30), 0, True),
        Layer((piece,), _places(3.0 * times + 20, 1.0 * times + 30), 1),
    ]
    scene = render(layers, SIZE)
    clean = BRIGHTEST * scene["frames"].permute(0, 2, 3, 1).numpy() ** 2.2
    noise = random.gamma(SAMPLES, 1 / SAMPLES, (*clean.shape[:3], 1))
    vector = np.full((length, *SIZE, 2), np.nan, np.float32)
    vector[1:] = scene["flow"].permute(0, 2, 3, 1).numpy() * (1, -1)  # up, as Blender has it
    return Animation(clean, (clean * noise).astype(np.float32), vector)


def scores(clean: Array, shown: Array) -> tuple[float, float]:
    """PSNR in dB and flicker error ×100 from the fifth frame on, of linear light to the power 1/2.2."""
    shown, clean = ((np.clip(frames, 0, None) / BRIGHTEST) ** (1 / 2.2) for frames in (shown, clean))
    error = (shown - clean)[4:]
    return float(-10 * np.log10((error**2).mean())), float(100 * np.sqrt((np.diff(error, axis=0) ** 2).mean()))


def _texture(random: np.random.Generator, size: tuple[int, int]) -> Array:
    height, width = size
    coarse, fine = (random.integers(0, 256, (height // n, width // n, 3), dtype=np.uint8) for n in (12, 4))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.addWeighted(coarse, 0.7, fine, 0.3, 0)


def _places(x: Array, y: Array) -> Array:
    """Homographies (T, 3, 3) of a texture with two texels a pixel, at places in pixels."""
    matrices = np.tile(np.diag([0.5, 0.5, 1.0]), (len(x), 1, 1))
    matrices[:, 0, 2], matrices[:, 1, 2] = x, y
    return matrices


def main() -> None:
    """Print the table."""
    script, scene = plugin(), animation(24)
    passes = [script.Passes(*pair) for pair in zip(scene.noisy, scene.vector, strict=True)]
    rows = {
        "OIDN": [script.denoised(one) for one in passes],
        "with motion-fixed, motion searched": list(script.steady_frames(passes, vectors=False)),
        "with motion-fixed, the renderer's vectors": list(script.steady_frames(passes)),
    }
    print("| | PSNR dB ↑ | flicker error ×100 ↓ |\n| --- | ---: | ---: |")
    for name, shown in rows.items():
        psnr, flicker = scores(scene.clean, np.stack(shown))
        print(f"| {name} | {psnr:.2f} | {flicker:.2f} |")


if __name__ == "__main__":
    main()
