"""Time of the whole `run` against its bare model loop, at 480p, interleaved in one process.

    python benchmarks/pipeline.py [--frames 40] [--repeats 5]

The bare loop calls the network, alone or held steady with motion fixed, on frames that are already decoded, and does
nothing else; its weights lie in channels-last order, as in a run. The run decodes, looks for cuts, encodes and writes
as well. The ratio is taken pair by pair; the median counts.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import torch

from holdsteady import stabilize, video, zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.host.resolve import resolve_ready
from holdsteady.models.runner import FrameRunner

WIDTH, HEIGHT = 640, 480


def make_clip(path: Path, frames: int) -> list[torch.Tensor]:
    """The demo clip enlarged to 480p as a file, and as frames (1, 3, H, W) in [0, 1]."""
    with video.open_video(str(zoo.DEMO_CLIP)) as reader:
        info = replace(reader.info, frames=frames)
        tick = round(1 / (info.rate * info.time_base))
        with video.open_writer(str(path), info, width=WIDTH, height=HEIGHT) as writer:
            for number, frame in zip(range(frames), reader, strict=False):
                pixels = cv2.resize(frame.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
                writer.write(video.VideoFrame(pixels, number * tick, info.time_base))  # type: ignore[arg-type]
    with video.open_video(str(path)) as reader:
        return list(video.upright_tensors(reader))


def time_run(adapter: str, source: Path, sink: Path) -> float:
    """Seconds per frame of a whole run."""
    runner = FrameRunner(zoo.load("denoise"), resolve_ready(adapter))
    summary = video.run(str(source), str(sink), runner.step, video.RunOptions(overwrite=True), on_cut=runner.reset)
    return summary.seconds / summary.frames


def time_bare(adapter: str, frames: list[torch.Tensor]) -> float:
    """Seconds per frame of the network, with its adapter if there is one, and of nothing else."""
    model = zoo.load("denoise").to(memory_format=torch.channels_last)
    if adapter != "none":
        model = stabilize(model, adapter)
    begun = time.monotonic()
    with torch.inference_mode():
        for frame in frames:
            model(frame)
    return (time.monotonic() - begun) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    keep_freed_memory()  # as `holdsteady run` does
    with tempfile.TemporaryDirectory() as folder:
        source, sink = Path(folder, "in.mp4"), Path(folder, "out.mp4")
        frames = make_clip(source, args.frames)
        rows = []
        for _ in range(args.repeats):
            row = {
                "bare": time_bare("none", frames),
                "run": time_run("none", source, sink),
                "bare, motion fixed": time_bare("motion-fixed", frames),
                "run, motion fixed": time_run("motion-fixed", source, sink),
            }
            rows.append(row)
            print(", ".join(f"{label} {1000 * seconds:.0f} ms" for label, seconds in row.items()), flush=True)
    for label, loop in (("run", "bare"), ("run, motion fixed", "bare, motion fixed"), ("run, motion fixed", "bare")):
        ratios = [row[label] / row[loop] for row in rows]
        print(f"({label}) / ({loop}): median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
