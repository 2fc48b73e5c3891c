"""Classes of street scenes on real footage: ESPNet, a network of other authors, alone and held steady.

    python benchmarks/espnet.py --weights espnet_p_2_q_8.pth --footage footage --json benchmarks/results/espnet.json
    python benchmarks/espnet.py --json benchmarks/results/espnet.json --docs docs/results.md     the table again

The network and where its weights are: examples/espnet.py. 24 frames of vtest, halved, and of bikes, clean, with noise
of σ = 5/255 and with JPEG (seed 0). Nobody knows the true classes: the network's own on the clean clip stand in, which
are as unsteady as it is. Mean IoU is over the classes that these have; flips are changes of class along the clean
clip's motion. What --json holds already is not measured again.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from measuring import BASE, Recorded
from outcome import arguments, begun, facts, show, write_json
from scenarios import Clip
from torch import Tensor
from torchmetrics.functional.segmentation import mean_iou

import holdsteady as hs
from holdsteady.allocator import keep_freed_memory
from holdsteady.corruptions import make_corruption
from holdsteady.evaluation.intervals import bootstrap_interval
from holdsteady.evaluation.scoring import both_flows
from holdsteady.metrics import class_flips
from holdsteady.report.table import markdown

CLIPS = {"vtest": Clip(Path("vtest.avi"), 0, 24, half=True), "bikes": Clip(Path("bikes.mp4"), 31, 24)}
CORRUPTIONS = {"clean": "", "noise": f"gaussian:sigma={5 / 255:.5f}", "JPEG": "jpeg"}
ADAPTERS = ("motion-fixed", "universal", "motion-fixed@input", "motion-fixed@input+motion-fixed")


@dataclass(frozen=True)
class Known:
    """What all rows of a clip share.

    Attributes:
        frames: the clean ones.
        classes: the network's on them, (1, H, W) each.
        flows: the motion from each frame but the first to the last one, and back.
    """

    frames: list[Tensor]
    classes: list[Tensor]
    flows: list[tuple[Tensor, Tensor]]


def known(model: torch.nn.Module, clip: Clip) -> Known:
    frames = list(clip.frames())
    with torch.inference_mode():
        classes = [model(frame).argmax(dim=1) for frame in frames]
    return Known(frames, classes, [both_flows(*pair) for pair in zip(frames[1:], frames, strict=False)])


def measure(
    adapter: str, model: torch.nn.Module, seen: list[Tensor], outputs: list[Tensor], clip: Known
) -> dict[str, Any]:
    """Mean IoU with the classes on the clean frames, and flips, of the network's outputs, held steady.

    In %, with 95 % intervals. Outputs on the frames as they are seen are computed once for all.
    """
    recorded = Recorded()
    base = model if "@input" in adapter else recorded
    steady = base if adapter == BASE else hs.stabilize(base, adapter)
    hits, flips, before = [], [], None
    for number, (frame, output, truth) in enumerate(zip(seen, outputs, clip.classes, strict=True)):
        recorded.output = output
        with torch.inference_mode():
            scores = steady(frame)
        each = mean_iou(scores.argmax(dim=1), truth, scores.shape[1], per_class=True, input_format="index")[0]
        hits.append(100 * each[truth.flatten().unique()].mean().item())
        if before is not None:
            flips.append(100 * class_flips(scores, before, *clip.flows[number - 1]).item())
        before = scores
    series = {"miou": hits, "flips": flips}
    intervals = {name: list(bootstrap_interval([values])) for name, values in series.items()}
    return {**{name: fmean(values) for name, values in series.items()}, "intervals": intervals}


def table(results: dict[str, Any]) -> str:
    """Rows of methods, columns of clips and corruptions: mean IoU / flips."""
    columns = [(clip, name) for clip in CLIPS for name in CORRUPTIONS]
    rows = []
    for method in (BASE, *ADAPTERS):
        cells = [results["clips"][clip][name][method] for clip, name in columns]
        rows.append([method, *(f"{cell['miou']:.1f} / {cell['flips']:.2f}" for cell in cells)])
    return markdown(["", *(f"{clip}, {name}" for clip, name in columns)], rows)


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "clips": {}})
    if args.weights:
        sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
        from espnet import build

        model = build(args.weights)
        for name, part in CLIPS.items():
            clip = known(model, replace(part, path=args.footage / part.path))
            done = results["clips"].setdefault(name, {})
            for corruption, spec in CORRUPTIONS.items():
                measured = done.setdefault(corruption, {})
                missing = [adapter for adapter in (BASE, *ADAPTERS) if adapter not in measured]
                if not missing:
                    continue
                seen = clip.frames
                if spec:
                    stream = make_corruption(spec).start(torch.Generator().manual_seed(0))
                    seen = [stream(frame) for frame in seen]
                with torch.inference_mode():
                    outputs = [model(frame) for frame in seen]
                measured |= {adapter: measure(adapter, model, seen, outputs, clip) for adapter in missing}
                print(name, corruption, measured, flush=True)
                write_json(args.json, results)
    show(table(results), "espnet.py", args.docs)


if __name__ == "__main__":
    main()
