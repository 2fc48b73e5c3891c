"""A run beside other programs: threads that sleep while they wait, as in all commands, over threads that spin.

    python benchmarks/busy.py [--others 2] [--frames 60] [--repeats 3]

The demo's clip through the shipped denoiser and motion-fixed by `holdsteady run`, while so many programs keep a core
busy each; 0 for an idle machine. Both have their turns, round after round, and the median of the ratios counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contenders import positive

from holdsteady.zoo import DEMO_CLIP


@contextmanager
def busy(programs: int) -> Iterator[None]:
    """So many programs that do nothing but count."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        yield
    finally:
        for one in running:
            one.kill()


def seconds(policy: str, frames: int, folder: Path) -> float:
    """Time of a run, by the clock."""
    command = [sys.executable, "-m", "holdsteady", "run", str(DEMO_CLIP), str(folder / "out.mp4"), "--overwrite"]
    command += ["--model", "denoise", "--device", "cpu", "--duration", str(frames / 30)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_WAIT_POLICY": policy}, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", type=int, default=2, help="programs beside it")
    parser.add_argument("--frames", type=positive, default=60)
    parser.add_argument("--repeats", type=positive, default=3)
    args = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder, busy(args.others):
        for _ in range(args.repeats):
            asleep, spinning = (seconds(policy, args.frames, Path(folder)) for policy in ("PASSIVE", "ACTIVE"))
            print(f"asleep {asleep:.1f} s, spinning {spinning:.1f} s", flush=True)
            ratios.append(asleep / spinning)
    print(f"{os.cpu_count()} CPUs, {args.others} busy programs: {statistics.median(ratios):.2f} of the time")


if __name__ == "__main__":
    main()
