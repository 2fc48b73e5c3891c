"""Hold a function steady that maps BGR arrays of 8 bits to BGR arrays, such as one of OpenCV's.

python examples/opencv_function.py in.mp4 out.avi
"""

import argparse

import cv2
import numpy as np

import holdsteady as hs
from holdsteady import zoo

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", nargs="?", default=str(zoo.DEMO_CLIP))
parser.add_argument("sink", nargs="?", default="enhanced.avi")
parser.add_argument("--frames", type=int, default=60)
args = parser.parse_args()


def enhance(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → (H, W, 3) uint8: local contrast, which amplifies whatever flickers."""
    return cv2.detailEnhance(frame, sigma_s=10, sigma_r=0.3)


steady = hs.stabilize(enhance)  # outputs are arrays of 8 bits again

reader = cv2.VideoCapture(args.source)
size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
writer = cv2.VideoWriter(args.sink, cv2.VideoWriter.fourcc(*"MJPG"), reader.get(cv2.CAP_PROP_FPS), size)
count = 0
while count < args.frames:
    ok, frame = reader.read()
    if not ok:
        break
    writer.write(steady(frame))
    count += 1
writer.release()
reader.release()
print(f"{count} frames: {args.sink}")
