"""Time and peak memory of one training step of each adapter: a forward and a backward pass over clips of eight frames.

    python benchmarks/training.py [--network nafnet16,nafnet32] [--only motion,paper,spatial-thin] [--repeats 3]

On one thread, and as CPU time, so that other work on the machine counts little. Each contender runs in a process of its
own and has its turn in every round (``workers.py``); ratios are taken within a round, and their median counts. ``base``
is the network trained by itself, without an adapter: forward and backward through all frames. ``motion`` is the
adapter that all others are compared with.

The fusion of our own path is computed again in the backward pass. ``paper-straightforward`` keeps it, and
``paper-straightforward-recomputed`` is the same with recomputation, as the paper has it; ``…-thin`` are the heads of
recipes/nafnet16-noise-features.yaml. Weights are random, which does not change what a step costs.
"""

import argparse
import math

import torch
from contenders import NETWORKS, PRESET_NAMES, RECOMPUTED, STRAIGHTFORWARD, THIN, attach, build, chosen, positive
from workers import Result, Unit, race, ratio

from holdsteady.allocator import keep_freed_memory
from holdsteady.training.unroll import Objective, Unroll

CONTENDERS = ["base", "motion", STRAIGHTFORWARD, RECOMPUTED, *PRESET_NAMES, *THIN]
LENGTH = 8  # frames of a clip


def prepare(network: str, contender: str, clips: int, crop: int) -> Unit:
    """One step: the loss of a batch of clips, and its gradients."""
    keep_freed_memory()  # as `holdsteady train` does
    torch.set_num_threads(1)
    alone = contender == "base"
    model = build(network).requires_grad_(alone)
    unroll = Unroll(attach(model, contender), Objective(target="frames"), model, trains_base=alone)
    frames = torch.rand(clips, LENGTH, 3, crop, crop, generator=torch.Generator().manual_seed(0))

    def unit() -> None:
        unroll.zero_grad()
        unroll({"frames": frames, "corrupted": frames}).terms.total.backward()

    return unit


def print_markdown(title: str, results: dict[str, Result]) -> None:
    """A table of contenders on one network; a ratio to what was not measured is left out."""
    print(f"\n**{title}**\n")
    print("| | CPU s a step | × motion | × base | MiB | × motion | × base |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    others = [results.get(name, Result()) for name in ("motion", "base")]
    for name, result in results.items():
        if result.error:
            print(f"| {name} | failed: {result.error.replace('|', '/')} | | | | | |")
            continue
        seconds = ratio(result.cpu, [1.0] * len(result.cpu))[0]
        times = [_shown(ratio(result.cpu, other.cpu)[0]) for other in others]
        sizes = [_shown(result.peak / other.peak) for other in others]
        print(f"| {name} | {seconds:.2f} | {' | '.join(times)} | {result.peak:.0f} | {' | '.join(sizes)} |", flush=True)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="nafnet16", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--only", help=f"contenders, of {', '.join(CONTENDERS)}")
    parser.add_argument("--clips", type=positive, default=2, help="in a batch")
    parser.add_argument("--crop", type=positive, default=96, help="side of the frames, in pixels")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds")
    args = parser.parse_args()
    try:
        names = chosen(args.only, CONTENDERS)
        networks = chosen(args.network, list(NETWORKS))
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    for network in networks:
        entries = {name: (network, name, args.clips, args.crop) for name in names}
        title = f"{network}, {args.clips} clips of {LENGTH} frames {args.crop}×{args.crop}"
        print_markdown(title, race(prepare, entries, args.repeats, 1))


if __name__ == "__main__":
    main()
