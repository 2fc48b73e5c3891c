"""What `holdsteady check` says of clips, with noise of 8/255 and blurred: blur must not make a video come out steadier.

    python benchmarks/check_blur.py footage/carphone_pristine.mp4 footage/cup.mp4 --frames 8

A column for each clip; clips are shrunk to 288 lines first. Seed 0.
"""

import argparse
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from holdsteady import video
from holdsteady.check.check import Frame, check
from holdsteady.report.table import markdown

NOISE = 8


def load(path: Path, frames: int) -> tuple[list[np.ndarray], Fraction]:
    """The first frames of a clip as floats (H, W, 3) in 0..255, and its rate."""
    with video.open_video(str(path)) as reader:
        clip = [frame.pixels.astype(float) for frame in islice(reader, frames)]
        height, width = clip[0].shape[:2]
        if height > 288:
            size = (round(width * 288 / height), 288)
            clip = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip]
        return clip, reader.info.rate


def blurred(sigma: float) -> Callable[[np.ndarray], np.ndarray]:
    """A Gaussian blur."""
    return lambda frame: cv2.GaussianBlur(frame, (0, 0), sigma)


def score(frames: list[np.ndarray], rate: Fraction) -> float:
    """What `check` says of a clip, in 8 bits."""
    rounded = (Frame(frame.round().astype(np.uint8), number / rate) for number, frame in enumerate(frames))
    return check(rounded, rate).whole.score


def main() -> None:
    """Print a table of scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    given = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    for path in given.clips:
        clip, rate = load(path, given.frames)
        random = np.random.default_rng(0)
        noisy = [np.clip(frame + random.normal(0, NOISE, frame.shape), 0, 255) for frame in clip]
        versions = {
            "as it is": clip,
            "blurred by 2": list(map(blurred(2), clip)),
            "noisy": noisy,
            "noisy, blurred by 1": list(map(blurred(1), noisy)),
            "noisy, blurred by 2": list(map(blurred(2), noisy)),
        }
        columns[path.stem] = {label: f"{score(frames, rate):.2f}" for label, frames in versions.items()}
    rows = [[label, *(column[label] for column in columns.values())] for label in next(iter(columns.values()))]
    print(markdown(["", *columns], rows))


if __name__ == "__main__":
    main()
