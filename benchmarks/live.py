"""Latency of a live run: whether delay grows, and what 95 % of the frames stay under.

    python benchmarks/live.py [--seconds 180] [--model denoise] [--adapter motion-fixed] [--size 320x240] [--rate 25]

A clip that ships here is played in a loop at its rate, as a camera would, into a file. Printed are, for each tenth of
the run, the median and the 95 % quantile of the latency, and for the whole the ratio of that quantile to the model's
time for a frame; the bar is 1.5 where the model is slower than the source.
"""

import argparse
import statistics
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from contenders import positive

from holdsteady.allocator import keep_freed_memory
from holdsteady.host.resolve import resolve_ready
from holdsteady.live.run import Strength, run
from holdsteady.live.stats import Stats
from holdsteady.loading import load
from holdsteady.models.runner import FrameRunner
from holdsteady.video import RunOptions
from holdsteady.video.tensors import Tensors
from holdsteady.zoo import DEMO_CLIP


def played(folder: Path, size: str, rate: int, seconds: float) -> str:
    """The clip of the demo, there and back until the time is over."""
    width, height = (int(side) for side in size.split("x"))
    with av.open(str(DEMO_CLIP)) as clip:
        frames = [frame.reformat(width, height) for frame in clip.decode(video=0)]
    path = str(folder / "source.mkv")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(seconds * rate)):
            place = number % (2 * len(frames) - 2)
            frame = frames[min(place, 2 * len(frames) - 2 - place)]
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--model", default="denoise")
    parser.add_argument("--adapter", default="motion-fixed")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--rate", type=positive, default=25)
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    runner = FrameRunner(load(args.model), resolve_ready(args.adapter))
    seen: list[tuple[float, float, float]] = []

    def note(stats: Stats) -> None:
        seen.append((stats.seconds, stats.last_latency, stats.last_work))

    with tempfile.TemporaryDirectory() as folder:
        source = played(Path(folder), args.size, args.rate, args.seconds)
        stats = run(
            source,
            str(Path(folder) / "sink.mkv"),
            runner.step,
            Tensors("cpu", "float32"),
            RunOptions(),
            on_cut=runner.reset,
            strength=Strength(1.0, None),
            status=note,
        )
    begin = seen[0][0]
    span = (seen[-1][0] - begin) / 10 or 1.0
    print(f"{args.model} {args.adapter} {args.size} at {args.rate} fps, {args.threads} threads")
    for part in range(10):
        late = [latency for moment, latency, _ in seen if part <= (moment - begin) / span < part + 1] or [0.0]
        middle, high = 1000 * statistics.median(late), 1000 * float(np.quantile(late, 0.95))
        print(f"{part * span:5.0f} s: latency {middle:.0f} ms, 95 %: {high:.0f} ms, {len(late)} frames")
    steady = seen[5:]  # the first ones prepare the model
    work = statistics.median(work for _, _, work in steady)
    high = float(np.quantile([latency for _, latency, _ in steady], 0.95))
    print(f"{stats.frames} frames shown, {stats.dropped} dropped; model {1000 * work:.0f} ms, 95 % of latencies under")
    print(f"{1000 * high:.0f} ms: {high / work:.2f} of the model's time")


if __name__ == "__main__":
    main()
