"""An export of holdsteady in 40 lines of Python, without PyTorch and without holdsteady: NumPy and ONNX Runtime.

holdsteady export out/ --model denoise --flow inside
python examples/onnx_numpy.py out/ in.mp4 out.mp4
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

folder, source, sink = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
about = json.loads((folder / "holdsteady.json").read_text())
assert not about["flows"], "export it with --flow inside, or see docs/export.md for what to search between the parts"
session = onnxruntime.InferenceSession(str(folder / about["parts"][0]["file"]))


def size(axis, height, width):
    """An axis of a tensor, as 3, "batch", "height" or "width/8"."""
    if isinstance(axis, int):
        return axis
    name, _, over = axis.partition("/")
    name, _, times = name.partition("*")
    return {"batch": 1, "height": height, "width": width}[name] * int(times or 1) // int(over or 1)


video = cv2.VideoCapture(source)
rate, state, writer = video.get(cv2.CAP_PROP_FPS), None, None
while True:
    there, picture = video.read()
    if not there:
        break
    height, width = picture.shape[:2]
    bottom, right = (-side % multiple for side, multiple in zip((height, width), about["multiple"], strict=True))
    padded = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
    frame = padded[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    if state is None:  # NaN: nothing is remembered
        sizes = {one["name"]: [size(axis, *padded.shape[:2]) for axis in one["shape"]] for one in about["state"]}
        state = {name: np.full(shape, np.nan, np.float32) for name, shape in sizes.items()}
    names = ["output", *(one["next"] for one in about["state"])]
    output, *after = session.run(names, {"frame": frame, **state})
    state = dict(zip(state, after, strict=True))
    shown = (output[0].transpose(1, 2, 0)[:height, :width, ::-1] * 255).round().clip(0, 255).astype(np.uint8)
    if writer is None:
        writer = cv2.VideoWriter(sink, cv2.VideoWriter_fourcc(*"mp4v"), rate, (shown.shape[1], shown.shape[0]))
    writer.write(shown)
if writer is not None:
    writer.release()
