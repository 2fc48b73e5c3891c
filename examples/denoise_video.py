"""Denoise a video with a model that ships here, held steady by its trained adapter.

python examples/denoise_video.py noisy.mp4 clean.mp4
"""

import argparse

import holdsteady as hs
from holdsteady import zoo

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", nargs="?", default=str(zoo.DEMO_CLIP))
parser.add_argument("sink", nargs="?", default="clean.mp4")
parser.add_argument("--seconds", type=float, default=4.0)
args = parser.parse_args()

model = hs.load("denoise")  # or "my_model.py:build", or any nn.Module
summary = hs.run(args.source, args.sink, model, "nafnet16-light", duration=args.seconds, overwrite=True)
print(f"{summary.frames} frames in {summary.seconds:.1f} s: {args.sink}")
