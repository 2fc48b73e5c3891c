"""Time per frame and peak memory of adapters on several networks, as ratios to the network alone.

    python benchmarks/inference.py [--network nafnet16,hdrnet] [--size 256,480p,720p,2160p] [--only base,paper,motion]
                                   [--compile] [--dtype bfloat16] [--give-back] [--threads 2] [--json figures.json]
    python benchmarks/inference.py --json benchmarks/results/inference.json --docs docs/design.md       the table again

Each contender runs in a process of its own. They have their turns one after the other, round after round; a ratio is
taken within a round, and the median over the rounds counts. Beside it are the least and the largest.

*Controlled*, *light* and *tiny* are at input and output, *paper* at every point inside.

``MiB`` is the rise of the process's peak memory from before the network was made to after the last frame: weights,
state and what is computed with (``workers.py``). With ``--compile`` the compiler's own memory is in it.

The processes keep the memory that they have freed, as ``holdsteady run`` does (``holdsteady.allocator``); with
``--give-back`` they give it back to the system, as Python programs do that say nothing (``allocator.py`` compares).

Weights are random and adapters untrained: neither changes what is computed. ``paper-straightforward`` is the paper's
adapter as one would write it (``straightforward.py``), with the same weights as ``paper``. What fails, or is killed for
want of memory, is reported, and the others go on. The default (small pictures, a few rounds) takes some minutes.
Rows in --json are added to, or replaced; with --docs they are shown in a page, and nothing is measured.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from contenders import NETWORKS, PRESET_NAMES, STRAIGHTFORWARD, attach, build, chosen, parameters, positive
from outcome import Entry, begun, facts, show, write_json
from torch import Tensor
from torch.nn import functional as F
from workers import Result, Unit, race, ratio

from holdsteady import StabilizedModel
from holdsteady.allocator import keep_freed_memory
from holdsteady.report.table import markdown

SIZES = {"256": (256, 256), "480p": (480, 640), "720p": (720, 1280), "2160p": (2160, 3840)}
FIXED = ("output-fixed", "simple-fixed", "live", "motion-fixed")
CONTENDERS = ["base", *FIXED, "universal", "simple-learned", "motion", "controlled", *PRESET_NAMES, STRAIGHTFORWARD]


@dataclass(frozen=True)
class Row:
    """One contender on one network at one size; NaN where it did not get so far.

    Attributes:
        threads, compiled, dtype, gives_back: as of ``Way``.
        milliseconds: a frame, the median over the rounds.
        ratio, least, most: of the time to the base's.
        peak_mib, peak_ratio: memory, and as a ratio to the base's.
        parameters: of the adapters.
        error: why there are no figures.
    """

    network: str
    size: str
    threads: int
    compiled: bool
    dtype: str
    gives_back: bool
    contender: str
    milliseconds: float
    ratio: float
    least: float
    most: float
    peak_mib: float
    peak_ratio: float
    parameters: int
    error: str


@dataclass(frozen=True)
class Way:
    """How the contenders of a table run; attributes as the options of the same names."""

    threads: int
    compiled: bool = False
    dtype: str = "float32"
    gives_back: bool = False


def prepare(network: str, contender: str, size: tuple[int, int], way: Way) -> Unit:
    """One frame of a video that goes on."""
    if not way.gives_back:
        keep_freed_memory()
    torch.set_num_threads(way.threads)
    dtype: torch.dtype = getattr(torch, way.dtype)
    model, number = build(network), 0
    frames = [frame.to(dtype) for frame in moving_frames(size, 4)]
    run: Callable[..., Any] = (model if contender == "base" else attach(model, contender)).to(dtype)
    if way.compiled and isinstance(run, StabilizedModel):
        state, step = run.new_state(frames[0]), _compile(run.step)

        def run(frame: Tensor) -> None:
            nonlocal state
            _, state = step(frame, state)
    elif way.compiled:
        run = _compile(run)

    def unit() -> None:
        nonlocal number
        with torch.inference_mode():
            run(frames[number % len(frames)])
        number += 1

    return unit


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    # In 2.15 the compiler may write over a memory that is handed out, when it reuses buffers in place.
    return torch.compile(function, fullgraph=True, dynamic=False, options={"inplace_buffers": False})


def moving_frames(size: tuple[int, int], count: int) -> list[Tensor]:
    """Frames (1, 3, H, W) in [0, 1] of a smooth texture that moves two pixels a frame, in channels-last memory."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, size[0] // 8, size[1] // 8, generator=generator)
    texture = F.interpolate(coarse, size=size, mode="bilinear")
    return [texture.roll(2 * t, dims=3).contiguous(memory_format=torch.channels_last) for t in range(count)]


def make_rows(network: str, size: str, way: Way, results: dict[str, Result]) -> list[Row]:
    """A row for each contender, in the order of the results."""
    base = results["base"]
    rows = []
    for name, result in results.items():
        milliseconds = 1000 * ratio(result.wall, [1.0] * len(result.wall))[0]
        times = ratio(result.wall, base.wall)
        peak = result.peak / base.peak
        how = (way.threads, way.compiled, way.dtype, way.gives_back)
        size_of_adapters = 0 if result.error else parameters(network, name)
        figures = (milliseconds, *times, result.peak, peak, size_of_adapters)
        rows.append(Row(network, size, *how, name, *figures, result.error))
    return rows


def print_markdown(rows: list[Row]) -> None:
    """A table of contenders on one network at one size."""
    first = rows[0]
    how = ", compiled" * first.compiled + ", memory given back" * first.gives_back
    print(f"\n**{first.network}, {first.size}, {first.dtype}{how}**\n")
    print("| | ms per frame | × base | MiB | × base | parameters, thousands |\n| --- |" + " ---: |" * 5)
    for row in rows:
        if row.error:
            print(f"| {row.contender} | failed: {row.error.replace('|', '/')} | | | | |")
            continue
        span = f"{row.ratio:.2f} ({row.least:.2f} to {row.most:.2f})"
        memory = f"{row.peak_mib:.0f} | {row.peak_ratio:.2f}"
        thousands = f"{row.parameters / 1000:.1f}"
        print(f"| {row.contender} | {row.milliseconds:.1f} | {span} | {memory} | {thousands} |", flush=True)


KEY = ("network", "size", "threads", "compiled", "dtype", "gives_back", "contender")


def added(before: list[Entry], rows: list[Row]) -> list[Entry]:
    """Rows of before with new ones, which stand in for those of the same name; without those that failed."""
    new = [asdict(row) for row in rows if not row.error]
    again = {tuple(entry[name] for name in KEY) for entry in new}
    return [*(entry for entry in before if tuple(entry[name] for name in KEY) not in again), *new]


def tables(rows: list[Entry]) -> str:
    """A table for each size that there are rows of, in Markdown."""
    return "\n\n".join(table(rows, size) for size in SIZES if any(row["size"] == size for row in rows))


def table(rows: list[Entry], size: str) -> str:
    """Time and memory over the network alone at a size, and parameters; eager float32."""
    at = {}
    for row in rows:
        if row["size"] == size and row["dtype"] == "float32" and not (row["compiled"] or row["gives_back"]):
            at[row["contender"], row["network"]] = row
    networks = [name for name in NETWORKS if ("base", name) in at]
    body = []
    for contender in CONTENDERS:
        mine = [at[contender, name] for name in networks if (contender, name) in at]
        if len(mine) == len(networks):
            counts = dict.fromkeys(f"{row['parameters'] / 1000:,.1f}" for row in mine)
            body.append([contender, *(_cell(row) for row in mine), ", ".join(counts)])
    return markdown([f"{size}: time, memory", *networks, "parameters, thousands"], body)


def _cell(row: Entry) -> str:
    if row["contender"] == "base":
        return f"{row['milliseconds']:.0f} ms, {row['peak_mib']:.0f} MiB"
    return f"{row['ratio']:.2f}, {row['peak_ratio']:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=",".join(NETWORKS), help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--size", default="256", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--only", help=f"contenders, of {', '.join(CONTENDERS)}")
    parser.add_argument("--frames", type=positive, default=2, help="in a turn")
    parser.add_argument("--repeats", type=positive, default=3, help="rounds")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1)
    parser.add_argument("--compile", action="store_true", help="compile everything first, the base too")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of weights and frames")
    parser.add_argument("--give-back", action="store_true", help="freed memory goes back to the system")
    parser.add_argument("--json", type=Path, help="the results, which are added to")
    parser.add_argument("--docs", type=Path, help="a page that the table of --json is written into")
    args = parser.parse_args()
    fresh = {**facts(args.threads), "rows": []}
    results = begun(args.json, fresh) if args.json else fresh
    if args.docs:
        show(tables(results["rows"]), "inference.py", args.docs)
        return
    try:
        names = chosen(args.only, CONTENDERS, "base")
        networks = chosen(args.network, list(NETWORKS))
        sizes = chosen(args.size, list(SIZES))
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    print(f"torch {torch.__version__}, {args.threads} threads, {args.repeats} rounds of {args.frames} frames")
    way = Way(args.threads, args.compile, args.dtype, args.give_back)
    for network in networks:
        for size in sizes:
            entries = {name: (network, name, SIZES[size], way) for name in names}
            part = make_rows(network, size, way, race(prepare, entries, args.repeats, args.frames))
            print_markdown(part)
            results["rows"] = added(results["rows"], part)
            if args.json:
                write_json(args.json, results)  # after each part, so that a run that is stopped leaves what it has


if __name__ == "__main__":
    main()
