"""Throughput of a batch whose files go through the model several at a time, over one at a time.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/batch.py [--size 96x64] [--frames 120] [--streams 2] [--rounds 3]

As many noisy made-up files as streams, of one size; both ways have their turns, round after round, and the median of
the ratios within a round counts. Reading, writing and keeping results for a resumption are in it. Threads wait as in
`holdsteady batch` with that environment; without it they spin.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import torch
from contenders import positive

from holdsteady.allocator import keep_freed_memory
from holdsteady.jobs.batch import batch
from holdsteady.jobs.work import Order


def write_noise(path: Path, seed: int, size: tuple[int, int], frames: int) -> None:
    """A moving texture under noise, as H.264."""
    random = np.random.default_rng(seed)
    width, height = size
    texture = np.kron(random.integers(0, 255, (height // 8 + 1, width, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t in range(frames):
            start = 2 * t % (texture.shape[1] - width)
            noise = random.normal(0, 20, (height, width, 3))
            shown = (texture[:height, start : start + width] + noise).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="denoise")
    parser.add_argument("--adapter", default="motion-fixed")
    parser.add_argument("--size", default="96x64", help="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=positive, default=120, help="of a file")
    parser.add_argument("--streams", type=positive, default=2)
    parser.add_argument("--rounds", type=positive, default=3)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    keep_freed_memory()
    order = Order(args.model, args.adapter)
    machine = f"torch {torch.__version__}, {os.cpu_count()} CPUs, {torch.get_num_threads()} threads"
    print(f"{machine}, {args.model}, {args.size}")
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder, "clips")
        clips.mkdir()
        for number in range(args.streams):
            write_noise(clips / f"{number}.mp4", number, (width, height), args.frames)
        ratios = []
        for turn in range(args.rounds):
            seconds = {}
            for streams in (1, args.streams):
                begun = time.perf_counter()
                report = batch([clips], Path(folder, f"{turn}-{streams}"), order, streams=streams)
                seconds[streams] = time.perf_counter() - begun
                assert len(report.done) == args.streams, report
            ratios.append(seconds[1] / seconds[args.streams])
            rates = {streams: args.streams * args.frames / taken for streams, taken in seconds.items()}
            print("  ".join(f"{streams} at a time: {rate:.1f} frames/s" for streams, rate in rates.items()))
    print(f"throughput {statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
