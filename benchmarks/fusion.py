"""Spatial fusion on our path against the straightforward way (unfold, softmax, sum), alone and interleaved.

    python benchmarks/fusion.py [--channels 32] [--size 480x640] [--repeats 5]

Time of the fusion, and of forward and backward together; the most memory that is held at once on top of the arguments,
as torch's profiler counts its allocations. Ratios of medians; both ways are checked to give the same.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import straightforward
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from holdsteady.adapters.fast import window

WAYS: dict[str, Callable[..., Tensor]] = {"straightforward": straightforward.spatial, "ours": window.spatial}


def peak(work: Callable[[], object]) -> float:
    """MiB held at once above what is held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    held = most = 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--size", default="480x640", help="height x width")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    height, width = (int(side) for side in args.size.split("x"))
    torch.manual_seed(0)
    shapes = [(1, channels, height, width) for channels in (args.channels, args.channels, 9 * args.channels)]
    values = [torch.randn(shape) for shape in shapes]
    print("| | ms, straightforward | ms, ours | ratio | MiB, straightforward | MiB, ours | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, order in (("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last)):
        maps = [value.contiguous(memory_format=order) for value in values]
        torch.testing.assert_close(forward("ours", maps), forward("straightforward", maps), rtol=1e-5, atol=1e-5)
        for what, work in (("fusion", forward), ("forward and backward", both)):
            print(f"| {what}, {name} | {' | '.join(compare(work, maps, args.repeats))} |", flush=True)


def forward(way: str, maps: list[Tensor]) -> Tensor:
    """The fusion alone."""
    with torch.no_grad():
        return WAYS[way](*maps, 3)


def both(way: str, maps: list[Tensor]) -> Tensor:
    """Forward and backward pass of the fusion."""
    leaves = [value.detach().requires_grad_() for value in maps]
    total = WAYS[way](*leaves, 3).sum()
    total.backward()
    return total


def compare(work: Callable[[str, list[Tensor]], Tensor], maps: list[Tensor], repeats: int) -> list[str]:
    """Times, memory and their ratios, as cells of the table."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, taken in times.items():
            begun = time.perf_counter()
            work(way, maps)
            taken.append(1000 * (time.perf_counter() - begun))
    slow, fast = (statistics.median(times[way]) for way in WAYS)
    large, small = (peak(partial(work, way, maps)) for way in WAYS)
    return [f"{slow:.0f}", f"{fast:.0f}", f"{fast / slow:.2f}", f"{large:.0f}", f"{small:.0f}", f"{small / large:.2f}"]


if __name__ == "__main__":
    main()
