"""CPU time of one training step of each trained kind on the shipped denoiser: two clips of eight 96×96 frames.

    python benchmarks/training.py [--repeats 3]

On one thread, as CPU time, so that other work on the machine counts little.
"""

import argparse
import statistics
import time

import torch

from holdsteady import stabilize, zoo
from holdsteady.training.unroll import Objective, Unroll

# The widths of recipes/nafnet16-noise-features.yaml.
THIN = {"backbone_width": 16, "backbone_layers": 2, "head_width": 8, "head_layers": 1}
KINDS: dict[str, dict[str, int]] = {"motion": {}, "controlled": THIN, "spatial": THIN}


def time_step(kind: str, settings: dict[str, int], repeats: int) -> float:
    """CPU seconds of a forward and a backward pass."""
    model = zoo.load("nafnet16-denoise").to(memory_format=torch.channels_last).requires_grad_(False)
    steady = stabilize(model, kind, example=torch.rand(1, 3, 96, 96), **settings)
    unroll = Unroll(steady, Objective(target="frames"), model)
    frames = torch.rand(2, 8, 3, 96, 96)
    seconds = []
    for _ in range(repeats + 1):
        begun = time.process_time()
        unroll({"frames": frames, "corrupted": frames}).terms.total.backward()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    times = {kind: time_step(kind, settings, args.repeats) for kind, settings in KINDS.items()}
    for kind, seconds in times.items():
        print(f"{kind}: {seconds:.2f} s of CPU time a step, {seconds / times['motion']:.1f} times motion's")


if __name__ == "__main__":
    main()
