"""A live loop: one frame in, one frame out, with the state in your hands.

python examples/camera_loop.py --source 0          a camera; Ctrl-C ends it
python examples/camera_loop.py                     the demo's clip stands in for one
"""

import argparse
import time

import cv2

import holdsteady as hs
from holdsteady import zoo

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--source", default=str(zoo.DEMO_CLIP), help="camera number, URL or file")
parser.add_argument("--frames", type=int, default=60, help="0: until the source ends")
args = parser.parse_args()

steady = hs.stabilize(hs.load("denoise"), "nafnet16-noise-motion")
camera = cv2.VideoCapture(int(args.source) if args.source.isdigit() else args.source)

state, shape, seconds, count = None, None, 0.0, 0
try:
    while not args.frames or count < args.frames:
        ok, frame = camera.read()
        if not ok:
            break
        if frame.shape != shape:  # the camera was reconfigured: a state goes with one size
            state, shape = None, frame.shape
        begun = time.perf_counter()
        output, state = steady.step(frame[..., ::-1], state)  # OpenCV's BGR as RGB; the output is RGB too
        seconds += time.perf_counter() - begun
        count += 1
        # cv2.imshow("holdsteady", output[..., ::-1]); cv2.waitKey(1)
except KeyboardInterrupt:
    pass
camera.release()

print(f"{count} frames, {1000 * seconds / max(count, 1):.1f} ms each; the state takes {state.nbytes / 1e6:.1f} MB")
