"""NumPy frames of several shots: the memory is cleared where a new shot begins.

python examples/shots.py
"""

import argparse
from collections.abc import Iterator

import cv2
import numpy as np

import holdsteady as hs
from holdsteady import zoo

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--frames", type=int, default=20, help="of each shot")
args = parser.parse_args()


def frames() -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8 RGB: a shot of the demo's clip, then the same upside down and in negative."""
    for change in (lambda frame: frame, lambda frame: 255 - frame[::-1]):
        reader = cv2.VideoCapture(str(zoo.DEMO_CLIP))
        for _ in range(args.frames):
            yield change(reader.read()[1][..., ::-1])
        reader.release()


steady = hs.stabilize(hs.load("denoise"))
for number, output in enumerate(steady.stream(frames(), cuts="auto")):
    if number % args.frames == 0:
        print(f"frame {number}: {type(output).__name__} {output.shape} {output.dtype}")
