"""Exports beside PyTorch: time of a frame, how far they differ, and what a flow inside the graph costs in quality.

    python benchmarks/export.py [--model denoise] [--kinds motion-fixed,universal] [--flows host,inside]
                                [--clip in.mp4] [--frames 30] [--noise 0.1] [--threads 1] [--out figures.json]

A clean clip gets noise with seed 0. The export and eager PyTorch take turns frame by frame, with the same number of
threads and states of their own; times are medians, and so is the ratio of a frame's two times. ``difference`` is the
largest one of all values in [0, 1] against PyTorch with the same flow method (for ``inside``, PyTorch is given
``PyramidFlow``); searches of the host amplify last digits. PSNR and flicker error are against the clean clip.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from contenders import output_file, positive
from torch import Tensor

import holdsteady as hs
from holdsteady.allocator import keep_freed_memory
from holdsteady.exports.step import OnnxStep
from holdsteady.flow.dis import DISFlow
from holdsteady.flow.pyramid import PyramidFlow
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.video import open_video, upright_tensors
from holdsteady.zoo import DEMO_CLIP


def frames_of(clip: str, count: int) -> list[Tensor]:
    """The first frames, cut to sides that 16 divides."""
    with open_video(clip) as reader:
        found = [frame for _, frame in zip(range(count), upright_tensors(reader), strict=False)]
    height, width = (side // 16 * 16 for side in found[0].shape[-2:])
    return [frame[..., :height, :width] for frame in found]


def with_flow_inside(steady: StabilizedModel, height: int) -> None:
    """PyTorch searching as the export does."""
    for module in steady.adapters.modules():
        flow = vars(module).get("flow")
        if isinstance(flow, DISFlow):
            module.flow = PyramidFlow.like(flow, height)  # type: ignore[assignment]


def measure(model: str, kind: str, flow: str, clean: list[Tensor], noise: float, threads: int) -> dict[str, Any]:
    """One row."""
    generator = torch.Generator().manual_seed(0)
    noisy = [frame + noise * torch.randn(frame.shape, generator=generator) for frame in clean]
    steady = hs.stabilize(hs.load(model), kind)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        hs.export(steady, noisy[0], folder, flow=flow)  # type: ignore[arg-type]
        exporting = time.perf_counter() - begun
        step = OnnxStep(folder, threads=threads)
    if flow == "inside":
        with_flow_inside(steady, clean[0].shape[-2])
    held, state, times, outputs, difference = step.new_state(*clean[0].shape), None, [], [], 0.0
    for frame in noisy:
        begun = time.perf_counter()
        given, held = step(frame.numpy(), held)
        between = time.perf_counter()
        with torch.inference_mode():
            expected, state = steady.step(frame, state)
        times.append((between - begun, time.perf_counter() - between))
        output = torch.from_numpy(given)
        outputs.append(output)
        difference = max(difference, float((output - expected).abs().max()))
    later = times[3:]  # the first ones warm up
    return {
        "kind": kind,
        "flow": flow,
        "export_s": round(exporting, 1),
        "onnxruntime_ms": round(1000 * statistics.median(one for one, _ in later), 1),
        "eager_ms": round(1000 * statistics.median(other for _, other in later), 1),
        "ratio": round(statistics.median(one / other for one, other in later), 3),
        "difference": difference,
        "psnr_db": round(psnr(outputs, clean), 2),
        "flicker": round(flicker(outputs, clean), 5),
    }


def psnr(outputs: list[Tensor], clean: list[Tensor]) -> float:
    """Mean over frames, in dB."""
    errors = [(one - other).square().mean() for one, other in zip(outputs, clean, strict=True)]
    return statistics.mean(float(-10 * error.log10()) for error in errors)


def flicker(outputs: list[Tensor], clean: list[Tensor]) -> float:
    """Flicker error: RMS of the change between frames that the clean clip has not."""
    changes = [(outputs[t] - outputs[t - 1]) - (clean[t] - clean[t - 1]) for t in range(1, len(outputs))]
    return statistics.mean(float(change.square().mean().sqrt()) for change in changes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="denoise")
    parser.add_argument("--kinds", default="motion-fixed,universal")
    parser.add_argument("--flows", default="host,inside")
    parser.add_argument("--clip", default=str(DEMO_CLIP))
    parser.add_argument("--frames", type=positive, default=30)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=output_file, help="a .json for the figures")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    clean = frames_of(args.clip, args.frames)
    size = f"{clean[0].shape[-1]}x{clean[0].shape[-2]}"
    print(f"torch {torch.__version__}, {args.model}, {Path(args.clip).name} {size}, {args.threads} threads")
    rows = []
    for kind in args.kinds.split(","):
        for flow in args.flows.split(","):
            rows.append(measure(args.model, kind, flow, clean, args.noise, args.threads))
            print(json.dumps(rows[-1]), flush=True)
            if args.out:
                args.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
