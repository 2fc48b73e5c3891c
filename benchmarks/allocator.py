"""What keeping freed memory is worth: a frame in a process that gives it back, and in one that keeps it as a run does.

    python benchmarks/allocator.py [--network nafnet32] [--size 480p] [--only base,light] [--threads 2]

Both have their turns one after the other, round after round; a ratio is taken within a round, and the median counts.
Beside it are the least and the largest. Memory as in ``inference.py``.
"""

import argparse
import os

from contenders import NETWORKS, chosen, positive
from inference import CONTENDERS, SIZES, Way, prepare
from workers import race, ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="nafnet16", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--size", default="480p", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--only", default="base,light", help=f"contenders, of {', '.join(CONTENDERS)}")
    parser.add_argument("--frames", type=positive, default=2, help="in a turn")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1)
    args = parser.parse_args()
    try:
        networks, names = chosen(args.network, list(NETWORKS)), chosen(args.only, CONTENDERS)
        sizes = chosen(args.size, list(SIZES))
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    print("| | ms, given back | ms, kept | ratio | MiB, given back | MiB, kept |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    ways = {gives_back: Way(args.threads, gives_back=gives_back) for gives_back in (True, False)}
    for network, size, name in ((n, s, c) for n in networks for s in sizes for c in names):
        entries = {str(gives_back): (network, name, SIZES[size], way) for gives_back, way in ways.items()}
        back, kept = race(prepare, entries, args.repeats, args.frames).values()
        if back.error or kept.error:
            print(f"| {network}, {size}, {name} | failed: {back.error or kept.error} | | | | |", flush=True)
            continue
        times = [f"{1000 * ratio(one.wall, [1.0] * len(one.wall))[0]:.0f}" for one in (back, kept)]
        median, least, most = ratio(kept.wall, back.wall)
        peaks = f"{back.peak:.0f} | {kept.peak:.0f}"
        span = f"{median:.2f} ({least:.2f} to {most:.2f})"
        print(f"| {network}, {size}, {name} | {' | '.join(times)} | {span} | {peaks} |", flush=True)


if __name__ == "__main__":
    main()
