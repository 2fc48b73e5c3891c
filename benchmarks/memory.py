"""Peak memory of `holdsteady run` for a short and a long video of the same size; it should not grow with the length.

    python benchmarks/memory.py [--frames 200 2000]

Each video is made from the demo clip, played to and fro. Every run is a process of its own; the peak is what the
operating system counted. Exits with 1 if the long one needs over 5% more.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from holdsteady import zoo
from holdsteady.video import VideoFrame, open_video, open_writer

_CHILD = "import sys; from holdsteady.cli import main; main()"
_MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


def make_video(path: Path, frames: int) -> None:
    """A video of so many frames from the demo clip, forwards and backwards in turn."""
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        info = reader.info
        pixels = [frame.pixels for frame in reader]
    order = [*range(len(pixels)), *reversed(range(len(pixels)))]
    tick = round(1 / (info.rate * info.time_base))
    plain = replace(info, frames=frames)
    with open_writer(str(path), plain, width=info.width, height=info.height) as writer:
        for number in range(frames):
            writer.write(VideoFrame(pixels[order[number % len(order)]], number * tick, info.time_base))


def peak(source: Path, sink: Path) -> float:
    """MiB that the run needed at its peak."""
    command = [sys.executable, "-c", _CHILD, "run", str(source), str(sink), "--model", "denoise"]
    result = subprocess.run([sys.executable, "-c", _MEASURE, *command], check=True, stdout=subprocess.PIPE, text=True)
    return int(result.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs=2, default=(200, 2000))
    args = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in args.frames:
            source = Path(folder, f"{count}.mp4")
            make_video(source, count)
            peaks.append(peak(source, Path(folder, f"{count}-steady.mp4")))
            print(f"{count} frames: peak {peaks[-1]:.1f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")
    sys.exit(peaks[1] > 1.05 * peaks[0])


if __name__ == "__main__":
    main()
