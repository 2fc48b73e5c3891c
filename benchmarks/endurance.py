"""Large frames and long videos: memory and time of an adapter.

    python benchmarks/endurance.py                    both
    python benchmarks/endurance.py --frames 0         frames of 7680×4320 alone

The base passes frames through, so that all that is measured is the adapter's. Large frames: three of seeded noise over
a gradient, each kind in a process of its own; its peak over what it had before. Long video: motion-fixed on the demo's
clip to and fro, 176×144; times and resident memory by thousands.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from itertools import chain, cycle

import torch

import holdsteady as hs
from holdsteady import video, zoo
from holdsteady.allocator import keep_freed_memory

KINDS = ("output-fixed", "live", "motion-fixed", "universal")


def large(kind: str, width: int, height: int) -> None:
    """Print memory and time of a kind on large frames."""
    torch.manual_seed(0)
    begun = _peak()
    across, down = torch.linspace(0, 1, width), torch.linspace(0, 1, height)[:, None]
    clean = torch.stack((across.expand(height, width), down.expand(height, width), across * down))[None]
    steady, seconds = hs.stabilize(torch.nn.Identity(), kind, example=clean), []
    for _ in range(3):
        frame = (clean + 0.05 * torch.randn_like(clean)).clamp_(0, 1)
        start = time.perf_counter()
        output = steady(frame)
        seconds.append(time.perf_counter() - start)
        assert output.shape == frame.shape and bool(output.isfinite().all())
    assert steady.state is not None
    state = steady.state.nbytes / 2**30
    print(f"| {kind} | {seconds[-1]:.1f} | {state:.2f} | {_peak() - begun:.1f} |", flush=True)


def long(frames: int) -> None:
    """Print times and memory of thousands of frames."""
    keep_freed_memory()
    with video.open_video(str(zoo.DEMO_CLIP)) as reader:
        clip = list(video.upright_tensors(reader))
    steady, seconds = hs.stabilize(torch.nn.Identity()), []
    print("| frames | ms a frame, median | resident memory, MB |\n| ---: | ---: | ---: |")
    for number, frame in enumerate(cycle(chain(clip, reversed(clip)))):
        start = time.perf_counter()
        steady(frame)
        seconds.append(time.perf_counter() - start)
        if (number + 1) % 1000 == 0:
            print(f"| {number + 1} | {1000 * statistics.median(seconds):.1f} | {_resident():.0f} |", flush=True)
            seconds.clear()
        if number + 1 == frames:
            return


def _peak() -> float:
    """The most memory that this process has had, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _resident() -> float:
    """The memory of this process, MB; Linux."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000, help="of the long video")
    parser.add_argument("--size", type=int, nargs=2, default=(7680, 4320), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind:
        large(args.kind, *args.size)
        return
    print(f"{torch.get_num_threads()} threads, {args.size[0]}x{args.size[1]}\n")
    print("| kind | s a frame | state, GB | memory above the start, GB |\n| --- | ---: | ---: | ---: |", flush=True)
    for kind in KINDS:
        size = map(str, args.size)
        subprocess.run([sys.executable, __file__, "--kind", kind, "--size", *size], check=False)
    if args.frames:
        print()
        long(args.frames)


if __name__ == "__main__":
    main()
