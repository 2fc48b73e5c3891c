"""What *universal* does for networks and disturbances that it was not trained on.

    python benchmarks/leave_one_out.py --footage footage --json FILE [--work runs/leave-one-out]
    python benchmarks/leave_one_out.py --json benchmarks/results/leave_one_out.json --docs docs/results.md

For each row recipes/universal.py trains anew, without one family of networks or one disturbance, for --steps steps, by
default a thirtieth of what the adapter that ships had; beside it stands one that was trained as briefly on all. Both
are tested on examples of that very family, made from carphone and cup, which nothing is trained on. Gains are over
frame by frame, means over the examples; flicker is a ratio, the geometric mean. Classes and masks have no row, since
universal fuses them by formulas. What --json holds already is not trained again.
"""

import importlib.util
import math
import statistics
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from measuring import Recorded
from outcome import arguments, begun, facts, show, write_json
from torch import Tensor

from holdsteady import stabilize
from holdsteady.allocator import keep_freed_memory
from holdsteady.data import Mixture, make_source
from holdsteady.report.table import markdown
from holdsteady.training.synthesis.clips import PICTURES, SEVERAL, SINGLES
from holdsteady.training.synthesis.disturbances import OF_INPUT
from holdsteady.training.synthesis.operators import OF_PICTURES

RECIPE = Path(__file__).parents[1] / "recipes" / "universal.py"
SORTS = {*PICTURES, *SINGLES, *SEVERAL}
NOISES = {"white_noise", "sensor_noise", "correlated_noise", "half_colour_noise"}
TESTED = ("motion-fixed", "all", "without it")


@dataclass(frozen=True)
class Row:
    """What is left out of a training, and what is tested.

    Attributes:
        names: sorts, operators and disturbances that are left out.
        sorts: the sorts of examples that are tested.
        operators, disturbances: those of the tests; none given: all.
    """

    names: frozenset[str]
    sorts: frozenset[str]
    operators: frozenset[str] = frozenset()
    disturbances: frozenset[str] = frozenset()

    @property
    def left_out_of_tests(self) -> frozenset[str]:
        others = SORTS - self.sorts
        if self.operators:
            others |= {maker.__name__ for maker in OF_PICTURES} - self.operators
        if self.disturbances:
            others |= {maker.__name__ for maker in OF_INPUT} - self.disturbances
        return frozenset(others)


def row(names: Collection[str], sorts: Collection[str], **tests: Collection[str]) -> Row:
    return Row(frozenset(names), frozenset(sorts), **{key: frozenset(value) for key, value in tests.items()})


ROWS = {
    "networks for low light": row({"brighten"}, {"noise"}, operators={"brighten"}),
    "wide flicker": row({"wide", "mixed"}, {"wide"}),
    "super-resolution": row({"enlarged", "resample"}, {"enlarged"}),
    "textures": row({"texture", "mixed"}, {"texture"}),
    "styles": row({"random_network", "posterize"}, {"noise"}, operators={"random_network", "posterize"}),
    "noise of sensors": row(NOISES, {"noise"}, disturbances=NOISES),
    "denoisers": row({"denoised", "smooth"}, {"denoised"}),
    "JPEG": row({"jpeg"}, {"noise"}, disturbances={"jpeg"}),
    "drift of depth": row({"scale_and_shift"}, {"depth"}),
}


def recipe() -> ModuleType:
    """recipes/universal.py as a module."""
    spec = importlib.util.spec_from_file_location("universal_recipe", RECIPE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def train(footage: Path, work: Path, names: Collection[str], steps: int, batches: int) -> Path:
    """The folder of an adapter trained without what is named; one that is there is taken as it is."""
    out = work / ("-".join(sorted(names)) or "all")
    if not (out / "training.json").is_file():
        command = [sys.executable, str(RECIPE), "--footage", str(footage), "--out", str(out), "--steps", str(steps)]
        command += ["--batches", str(batches), "--examples", str(work / "examples"), "--without", ",".join(names)]
        command += ["--rate", "4e-3", "--caution", "1"]  # so brief a training is timid enough
        with (work / f"{out.name}.log").open("w") as log:
            subprocess.run(command, check=True, stdout=log)
    return out


def test(footage: Path, one: Row, adapters: dict[str, str | Path], batches: int) -> dict[str, dict[str, float]]:
    """Gain in dB and ratio of flicker of each adapter on examples of a row."""
    made = recipe()
    paths = [footage / "carphone_pristine.mp4", footage / "cup.mp4"]
    clips = Mixture([make_source("videos", paths, length=10, crop=128)], seed=1, size=12 * batches)
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in adapters}
    for number in range(batches):
        batch = made.make_batch(clips, 1, number, 6, one.left_out_of_tests)
        base = _errors(batch["output"], batch["truth"])
        for name, adapter in adapters.items():
            shown = _shown(batch["input"], batch["output"], adapter)
            for (wrong, unsteady), (was_wrong, was_unsteady) in zip(_errors(shown, batch["truth"]), base, strict=True):
                if was_wrong > 1e-4:  # else there is nothing to gain
                    gains[name].append((20 * math.log10(was_wrong / wrong), math.log(unsteady / was_unsteady)))
    return {
        name: {
            "gain": statistics.fmean(gain for gain, _ in found),
            "ratio": math.exp(statistics.fmean(ratio for _, ratio in found)),
            "examples": len(found),
        }
        for name, found in gains.items()
    }


@torch.inference_mode()
def _shown(frames: Tensor, outputs: Tensor, adapter: str | Path) -> Tensor:
    model = Recorded()
    steady, shown = stabilize(model, adapter), []
    for frame, output in zip(frames.unbind(1), outputs.unbind(1), strict=True):
        model.output = output
        shown.append(steady(frame))
    return torch.stack(shown, dim=1)


def _errors(outputs: Tensor, truth: Tensor) -> list[tuple[float, float]]:
    """RMS error after the first frame and flicker error of each clip of (B, T, C, H, W)."""
    error = (outputs - truth)[:, 1:]
    flicker = error.diff(dim=1)
    pairs = zip(
        *((one.square().flatten(1).mean(dim=1).sqrt() + 1e-6).tolist() for one in (error, flicker)), strict=True
    )
    return list(pairs)


def table(results: dict[str, Any]) -> str:
    """In Markdown."""
    rows = [
        [name, *(f"{of[one]['gain']:+.2f} dB, {of[one]['ratio']:.2f}×" for one in TESTED)]
        for name, of in results["rows"].items()
    ]
    return markdown(["left out, and tested", "motion-fixed", "trained on all, as briefly", "without it"], rows)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/leave-one-out"), help="folder of examples and adapters")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batches", type=int, default=28, help="batches of six examples to train on")
    parser.add_argument("--tests", type=int, default=8, help="batches of six examples to test on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = begun(args.json, {**facts(1), "steps": args.steps, "rows": {}})
    if args.footage and ROWS.keys() - results["rows"].keys():
        args.work.mkdir(parents=True, exist_ok=True)
        on_all = train(args.footage, args.work, (), args.steps, args.batches)
        for name, one in ROWS.items():
            if name in results["rows"]:
                continue
            without = train(args.footage, args.work, one.names, args.steps, args.batches)
            adapters = dict(zip(TESTED, ("motion-fixed", on_all, without), strict=True))
            results["rows"][name] = test(args.footage, one, adapters, args.tests)
            print(name, results["rows"][name], flush=True)
            write_json(args.json, results)
    show(table(results), "leave_one_out.py", args.docs)


if __name__ == "__main__":
    main()
