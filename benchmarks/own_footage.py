"""`holdsteady train` without a recipe, on footage as a user has it: what ten minutes are worth on clips never seen.

    python benchmarks/own_footage.py --footage footage --sci sci-medium.pt --work runs/own --json FILE
    python benchmarks/own_footage.py --json benchmarks/results/own_footage.json --docs docs/results.md   the table again

For each network the very command runs, `holdsteady train --model … --videos …`, on clips made from --footage (as
recipes/get_footage.py fills it, and ferris.mp4 where it is there). The budget is in steps, so as not to hang on what
else the machine does; the results say what CPU time they took, less than the ten minutes that the command takes by
itself. Tested are carphone and cup, which nothing is trained on, against the network's output on the clean clip.

* SCI, a network for low light by other authors: clips made dark (× 0.38) with noise of 4/255, seed 0, as PNG. Left out
  without --sci, the file of its weights.
* enhance, which ships: the clips as they are, then H.264 at CRF 30.

What --json holds already is not trained again.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from measuring import BASE, PictureScore, against
from outcome import arguments, begun, facts, show, write_json
from scenarios import Clip, Moment
from torch import Tensor

from holdsteady import load, stabilize, video
from holdsteady.allocator import keep_freed_memory
from holdsteady.corruptions import make_corruption
from holdsteady.report.table import markdown

HERE = Path(__file__).parent
TRAINED_ON = {"bikes.mp4": 250, "box.mp4": 200, "vtest.avi": 200, "bigbuckbunny.mp4": 132, "ferris.mp4": 60}
TESTS = {
    "carphone": Clip(Path("carphone_pristine.mp4"), 0, 60),
    "cup": Clip(Path("cup.mp4"), 60, 40, half=True),
}
ADAPTERS = ("motion-fixed", "universal")


@dataclass(frozen=True)
class Trial:
    """A network and what its footage suffers.

    Attributes:
        model: as --model takes it.
        steps: of training.
        spoil: from the footage to what the user has: a stream over frames (1, 3, H, W).
        options: how that is written to a file.
        ending: of these files; / for folders of PNG.
        dark: what the clean clip is multiplied with.
    """

    model: str
    steps: int
    spoil: Callable[[], Callable[[Tensor], Tensor]]
    options: video.RunOptions
    ending: str
    dark: float = 1.0


def _dark_and_noisy() -> Callable[[Tensor], Tensor]:
    noise = make_corruption(f"gaussian:sigma={4 / 255}").start(torch.Generator().manual_seed(0))
    return lambda frame: noise(0.38 * frame)


TRIALS = {
    "SCI, dark with noise": Trial(f"{HERE / 'sci.py'}:build", 120, _dark_and_noisy, video.RunOptions(), "/", 0.38),
    "enhance, H.264": Trial("enhance", 40, lambda: lambda frame: frame, video.RunOptions(crf=30), ".mp4"),
}


def spoil(trial: Trial, source: Path, sink: Path, frames: int) -> Path:
    """A file as the user has it."""
    if not sink.exists():
        sink.parent.mkdir(parents=True, exist_ok=True)
        with video.open_video(str(source)) as reader:
            seconds = float(frames / reader.info.rate)
        how = replace(trial.options, cuts="off", overwrite=True, duration=seconds)
        target = f"{sink}/" if trial.ending == "/" else str(sink)
        video.run(str(source), target, trial.spoil(), how, on_cut=lambda: None)
    return sink


def train(name: str, trial: Trial, footage: Path, work: Path) -> Path:
    """Run the command; the folder of the adapter."""
    folder, out = work / name.partition(",")[0] / "footage", work / name.partition(",")[0] / "adapter"
    for file, frames in TRAINED_ON.items():
        if not (footage / file).is_file():
            print(f"without {file}, which is not in {footage}", flush=True)
            continue
        spoil(trial, footage / file, folder / f"{Path(file).stem}{trial.ending}", frames)
    command = [sys.executable, "-m", "holdsteady", "train", "--model", trial.model, "--videos", str(folder)]
    command += ["--set", f"steps={trial.steps}", "--set", "minutes=600"]
    command += ["--out", str(out), "--device", "cpu"]
    subprocess.run(command, check=True)
    return out


def moments(trial: Trial, clip: Clip, model: Callable[[Tensor], Tensor], work: Path) -> Iterator[Moment]:
    """What is tested: the frames that the network sees, what it gives, and what it gives on the clean ones."""
    whole = clip.start + clip.count
    if trial.ending == "/":
        # Made dark and noisy after it was shrunk: the noise of a sensor of that size.
        stream = trial.spoil()
        seen = [(255 * stream(frame)).round() / 255 for frame in clip.frames()]
    else:
        file = spoil(trial, clip.path, work / f"{clip.path.stem}{trial.ending}", whole)
        seen = list(replace(clip, path=file).frames())
    for frame, clean in zip(seen, clip.frames(), strict=True):
        yield Moment(frame, model(frame), model(trial.dark * clean))


@torch.inference_mode()
def test(trial: Trial, clip: Clip, adapter: Path, work: Path) -> dict[str, Any]:
    """Figures of the network alone and with each adapter."""
    model = load(trial.model)
    steady = {name: stabilize(model, name) for name in ADAPTERS} | {"trained": stabilize(model, adapter)}
    scores = {name: PictureScore() for name in (BASE, *steady)}
    for moment in moments(trial, clip, model, work):
        scores[BASE].update(moment, moment.output)
        for name, one in steady.items():
            scores[name].update(moment, one(moment.frame))
    found = {name: score.compute() for name, score in scores.items()}
    return {
        name: {**figures, **against(figures, found[BASE]), "intervals": scores[name].intervals()}
        for name, figures in found.items()
    }


def table(results: dict[str, Any]) -> str:
    """PSNR and flicker error ×100, in Markdown."""
    columns = (BASE, *ADAPTERS, "trained")
    rows = [
        [f"{name}: {clip}", *(f"{of[one]['psnr']:.2f} / {of[one]['flicker']:.2f}" for one in columns), _kept(trial)]
        for name, trial in results["trials"].items()
        for clip, of in trial["tests"].items()
    ]
    return markdown(["", *columns, "kept"], rows)


def _kept(trial: dict[str, Any]) -> str:
    step = trial["training"]["kept step"]
    return f"step {step} of {trial['training']['steps']}" if step else "universal"


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--sci", type=Path, help="sci-medium.pt")
    parser.add_argument("--work", type=Path, default=Path("runs/own-footage"), help="folder of files and adapters")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = begun(args.json, {**facts(1), "trials": {}})
    if args.sci:
        os.environ["SCI_WEIGHTS"] = str(args.sci)
    for name, trial in TRIALS.items() if args.footage else ():
        if name in results["trials"]:
            continue
        if "sci.py" in trial.model and not args.sci:
            print(f"{name}: left out, --sci names no weights")
            continue
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = train(name, trial, args.footage, args.work)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
        clips = {name: replace(clip, path=args.footage / clip.path) for name, clip in TESTS.items()}
        tests = {clip: test(trial, one, out, args.work) for clip, one in clips.items()}
        training = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        results["trials"][name] = {"CPU minutes": round(minutes, 1), "training": training, "tests": tests}
        write_json(args.json, results)
    show(table(results), "own_footage.py", args.docs)


if __name__ == "__main__":
    main()
