"""Train the adapter that ships as universal: one for every model.

    python recipes/get_footage.py
    python recipes/universal.py --out runs/universal --minutes 30        (on one core of a CPU)

Examples are made from clean footage by `holdsteady.training.synthesis` and kept in a folder: making them takes longer
than learning from them. The adapter as it is runs over them, and what it meets is recorded: the candidates, what the
head sees of them, and the truth. It learns from windows of the last recordings, so that thousands of small steps cost
little; gradients stay within a frame.
"""

import argparse
import json
import math
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from holdsteady import zoo
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.files import load_adapter, save_adapter
from holdsteady.adapters.universal import Universal
from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source
from holdsteady.data.dataset import item_generator
from holdsteady.data.sample import pick
from holdsteady.training.records import Record, loss_of, record, windows
from holdsteady.training.schedule import averaged, make_average, make_scheduler
from holdsteady.training.synthesis.clips import PICTURES, SEVERAL, SINGLES, Example, make_example
from holdsteady.training.synthesis.draws import choose

SIDE = 96
LARGE = ("bikes.mp4", "bigbuckbunny.mp4", "box.mp4", "vtest.avi", "ferris.mp4")
SMALL = ("tree.avi", "nasa.mp4")
#: Sides of crops, all shrunk to SIDE, and their share: the noise and the blur of footage go with it.
CROPS = {96: 0.2, 192: 0.4, 264: 0.25}


def clean_clips(footage: Path, length: int, seed: int, size: int) -> Mixture:
    """Clean clips of three sizes from the footage and from stills in made-up motion."""
    sources, weights = [], []
    for crop, weight in CROPS.items():
        names = [name for name in (LARGE if crop > SIDE else (*LARGE, *SMALL)) if (footage / name).is_file()]
        paths = [footage / name for name in names]
        sources.append(make_source("videos", paths, length=length, crop=crop, stride=(1, 1, 1, 2)))
        weights.append(weight)
    if (footage / "stills").is_dir():
        sources.append(make_source("stills", footage / "stills", length=length, crop=SIDE))
        weights.append(0.15)
    return Mixture(sources, weights, seed=seed, size=size)


def make_batch(clips: Mixture, seed: int, number: int, count: int, left_out: Collection[str] = ()) -> Example:
    """Batch ``number`` of examples of equal channels, (B, T, C, H, W) each; the same for the same seed.

    Sorts, operators and disturbances may be left out, by name.
    """
    random = item_generator(seed + 2**33, number)
    several = choose(random, (2, 5, 8))
    groups = [
        ({sort: share for sort, share in sorts.items() if sort not in left_out}, channels, weight)
        for sorts, channels, weight in ((PICTURES, 3, 0.8), (SINGLES, 1, 0.13), (SEVERAL, several, 0.07))
    ]
    groups = [group for group in groups if group[0]]
    sorts, channels, _ = choose(random, groups, [weight for *_, weight in groups])
    denoiser = zoo.load("denoise")
    examples = []
    for item in range(count):
        pair = [clips[2 * (number * count + item) + i]["frames"] for i in (0, 1)]
        frames, other = (F.interpolate(clip, size=(SIDE, SIDE), mode="area") for clip in pair)
        sort = choose(random, tuple(sorts), tuple(sorts.values()))
        own = item_generator(seed + 2**34, number * count + item)
        with torch.inference_mode():
            example = make_example(frames, other, sort, channels, own, denoiser, left_out)
        if example["input"].shape[1] != 3:
            example["input"] = example["input"].expand(-1, 3, -1, -1) if channels != 1 else example["input"]
        examples.append(example)
    if channels == 1:  # grey frames and frames of colour in one batch
        for example in examples:
            example["input"] = example["input"].expand(-1, 3, -1, -1)
    return {key: torch.stack([example[key] for example in examples]) for key in examples[0]}


def batch_at(
    folder: Path, clips: Mixture, seed: int, number: int, count: int, left_out: Collection[str] = ()
) -> Example:
    """A batch from the folder, made if it is not there."""
    file = folder / f"{'-'.join((str(seed), f'{number:05}', *sorted(left_out)))}.pt"
    if not file.is_file():
        made = {key: value.half() for key, value in make_batch(clips, seed, number, count, left_out).items()}
        torch.save(made, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    return {key: value.float() for key, value in torch.load(file, weights_only=True).items()}


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path, default=Path("footage"))
    parser.add_argument(
        "--examples", type=Path, default=Path("runs/universal-examples"), help="folder, filled as needed"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the adapter")
    parser.add_argument("--begin", type=Path, help="folder of an adapter to go on from")
    parser.add_argument("--batches", type=int, default=84, help="batches that are made, then used again")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--batch", type=int, default=6, help="examples that are made together")
    parser.add_argument("--kept", type=int, default=60, help="recordings of equal channels that are learned from")
    parser.add_argument("--updates", type=int, default=30, help="steps for each recording")
    parser.add_argument("--share", type=int, default=12, help="windows in a step")
    parser.add_argument("--window", type=int, default=32, help="side of a window, in pixels of half the size")
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--stability", type=float, default=0.0)
    parser.add_argument("--least", type=float, default=0.08, help="error that counts as none, of the truth's deviation")
    parser.add_argument("--caution", type=float, default=0.5, help="part of the learned logits that is kept in the end")
    parser.add_argument("--steps", type=int, help="stop after so many; the learning rate falls with them")
    parser.add_argument("--without", default="", help="sorts, operators and disturbances to leave out: brighten,jpeg")
    parser.add_argument("--only-make", action="store_true", help="make the examples and stop")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    args.examples.mkdir(parents=True, exist_ok=True)
    left_out = frozenset(name for name in args.without.split(",") if name)
    clips = clean_clips(args.footage, args.length, args.seed, 2 * args.batch * args.batches)
    if args.only_make:
        for number in range(args.batches):
            batch_at(args.examples, clips, args.seed, number, args.batch, left_out)
            if number % 10 == 0:
                print(number, flush=True)
        return
    adapter = load_adapter(args.begin) if args.begin else Adapter(make_config("universal"), [Point("output")])
    adapter.train()
    cell = next(iter(adapter.cells.values()))
    assert isinstance(cell, Universal)
    parameters = list(adapter.parameters())
    optimizer = torch.optim.Adam(parameters, lr=args.rate, betas=(0.9, 0.99))
    begun = time.monotonic()
    step, number, mean = 0, 0, 0.0

    def spent() -> float:
        return step / args.steps if args.steps else (time.monotonic() - begun) / 60 / args.minutes

    scheduler = make_scheduler(optimizer, "cosine", 200, spent)
    average = make_average(parameters, 0.995)
    random = item_generator(args.seed + 2**35, 0)
    records: dict[int, deque[Record]] = {}
    while spent() < 1:
        which = number if number < args.batches else pick(random, args.batches)
        made, _ = record(cell, batch_at(args.examples, clips, args.seed, which, args.batch, left_out), args.least)
        records.setdefault(made.truth.shape[1], deque(maxlen=args.kept)).append(made)
        number += 1
        for _ in range(args.updates if number >= 8 else 0):
            pools = tuple(records.values())
            pool = choose(random, pools, [float(len(one) * (2 + (one[0].truth.shape[1] == 3))) for one in pools])
            loss = loss_of(cell, windows(pool, args.share, args.window, random), args.stability)
            if not math.isfinite(loss.item()):
                raise SystemExit(f"the loss is {loss.item()} after {step} steps")
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            scheduler.step()
            average.update_parameters(torch.nn.ParameterList(parameters))
            step += 1
            mean += (loss.item() - mean) / min(step, 200)
        print(f"{(time.monotonic() - begun) / 60:.1f} min, {number} batches, step {step}: {mean:.3f}", flush=True)
        if number % 20 == 0:
            with averaged(parameters, average):
                save_adapter(adapter, args.out)
    adapter.provenance = {"recipe": "recipes/universal.py", "steps": str(step), "seed": str(args.seed)}
    with averaged(parameters, average), torch.no_grad():
        for parameter in cell.head.logits.parameters():
            parameter.mul_(args.caution)
        save_adapter(adapter, args.out)
    described: list[Any] = clips.describe()
    files = sorted({str(Path(file).relative_to(args.footage)) for source in described for file in source["files"]})
    facts = {
        "steps": step,
        "loss": round(mean, 4),
        "files": files,
        "arguments": {k: str(v) for k, v in vars(args).items()},
    }
    (args.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
