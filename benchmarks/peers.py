"""What else steadies a video, against ours, each at its best setting.

    python benchmarks/peers.py --footage footage --replays FOLDER --json benchmarks/results/peers.json
    python benchmarks/peers.py --json benchmarks/results/peers.json                 the tables of docs/peers.md again
    python benchmarks/peers.py --footage footage --json peers.json --only hqdn3d,tmix --quick

Every peer runs over the outputs of the same scenarios (scenarios.py, seed 0), at 240 to 272 lines. Its settings are a
small grid; for each group of scenarios that one is kept for which the gain in PSNR and the drop of flicker error, both
in dB, have the largest sum over the group's clips. That favours the peers: ours have one setting for all. The kept
settings then run over carphone and cup, where nothing was chosen.

What --json holds already is not measured again. `pip install 'holdsteady[peers]'` brings an FFmpeg with filters under
the GPL. vs_temporalfix takes Python 3.12: `pip install vs_temporalfix`, or --temporalfix with the folder `models` of
its wheel; VapourSynth is not needed. LPIPS is measured where torch's hub folder has the weights of SqueezeNet 1.1.
"""

import argparse
import json
import resource
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

import scenarios
import torch
from measuring import Figures, PictureScore, Runner, against
from outcome import facts, write_into, write_json
from peer_formulas import degrain, guided_deflicker, recursive_degrain, steady_statistics
from peer_tools import ffmpeg, no_filter, non_local_means, temporalfix, temporalfix_folder
from scenarios import Clip, Moment, Scenario
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import SqueezeNet1_1_Weights

from holdsteady.allocator import keep_freed_memory
from holdsteady.host.resolve import resolve_ready
from holdsteady.report.table import markdown

Method = Callable[[Sequence[Moment]], list[Tensor]]


@dataclass(frozen=True)
class Peer:
    """A way of steadying outputs.

    Attributes:
        ahead: how many frames it waits for.
        settings: what is tried, by the name that the table gives it.
        missing: why it can't be run; empty if it can.
    """

    ahead: str
    settings: Mapping[str, Method]
    missing: str = ""


def ours(adapter: str) -> Method:
    """Output adapters, causal."""

    def run(moments: Sequence[Moment]) -> list[Tensor]:
        runner = Runner(adapter)
        return [runner.step(moment) for moment in moments]

    return run


def chains(template: str, values: Sequence[Any], ahead: int = 0) -> dict[str, Method]:
    """A chain of FFmpeg's filters for each value; the last filter is what is tried."""
    texts = {value: template.format(value) for value in values}
    return {text.rpartition(",")[2]: partial(ffmpeg, chain=text, ahead=ahead) for text in texts.values()}


def peers(adapters: Sequence[str], folder: Path | None = None) -> dict[str, Peer]:
    """Everyone who takes part, ours last."""
    averaged = "format=gbrp16le,atadenoise=0a={0}:0b={1}:1a={0}:1b={1}:2a={0}:2b={1}"
    adaptive = {f"a={a}": partial(ffmpeg, chain=averaged.format(a, 2 * a)) for a in (0.02, 0.05, 0.1, 0.3)}
    median = {
        f"radius={radius}": partial(ffmpeg, chain=f"format=gbrp16le,tmedian=radius={radius}", ahead=radius)
        for radius in (1, 2, 3)
    }
    fixed = [f"output-fixed:{beta}" for beta in (0.9, 0.8, 0.6, 0.4)]
    gaussian = [f"output-gaussian:{sigma}" for sigma in (0.5, 1, 2)]
    deflickers = {
        f"strength={s}, {way}": partial(guided_deflicker, strength=s, both=way == "both ways")
        for s in (1, 3, 10)
        for way in ("both ways", "forward")
    }
    along = {f"radius={r}, T={t}": partial(degrain, radius=r, threshold=t) for r in (1, 2) for t in (0.1, 0.3)}
    deep = "format=yuv444p16le,"
    return {
        "hqdn3d": Peer(
            "–",
            chains(
                deep + "hqdn3d={}", ["4:3:6:4.5", "2:1.5:12:12", "0:0:12:12", "0:0:24:24", "0:0:48:48", "0:0:96:96"]
            ),
            no_filter("hqdn3d"),
        ),
        "atadenoise": Peer("4", adaptive),
        "tmix": Peer("–", chains("format=gbrp16le,tmix=frames={}", [2, 3, 5])),
        "tmedian": Peer("1 to 3", median),
        "deflicker": Peer("4 to 8", chains(deep + "deflicker=size={}:mode=am", [5, 9])),
        "nlmeans": Peer("–", chains("format=gbrp,nlmeans=s={}:p=7:r=9", [3, 6, 12, 20])),
        "OpenCV non-local means": Peer("1", {f"h={h}": partial(non_local_means, strength=h) for h in (3, 8)}),
        "MDegrain": Peer("1 or 2", along),
        "recursive MDegrain": Peer("–", {f"T={t}": partial(recursive_degrain, threshold=t) for t in (0.03, 0.1, 0.3)}),
        "VideoDeflicker": Peer("the whole clip, or –", deflickers),
        "statistics EMA": Peer("–", {f"β={b}": partial(steady_statistics, present=b) for b in (0.3, 0.1, 0.05)}),
        "vs_temporalfix": Peer(
            "3",
            {f"strength={s}": partial(temporalfix, strength=s, folder=folder) for s in (1, 2, 3)},
            "" if temporalfix_folder(folder) else "vs_temporalfix is not installed: see --temporalfix",
        ),
        "output EMA": Peer("–", {one: ours(one) for one in fixed}),
        "output Gaussian": Peer("–", {one: ours(one) for one in gaussian}),
        **{adapter: Peer("–", {adapter: ours(adapter)}) for adapter in adapters},
    }


# --- What they run on ---

WIDE = (*scenarios.WIDE, "fade with noise")
#: Groups of scenarios that share a setting.
GROUPS = ("replays", "noise", "wide", "fix")


def choosing(footage: Path, replays: Path | None) -> dict[str, list[Scenario]]:
    """The scenarios of each group on which settings are chosen."""
    bikes = Clip(footage / "bikes.mp4", 31, 16, half=True)
    box = Clip(footage / "box.mp4", 100, 16, half=True)
    vtest = Clip(footage / "vtest.avi", 0, 10, crop=True)
    noise = {"bikes": replace(bikes, count=10), "box": replace(box, count=10), "vtest": vtest}
    if (footage / "nasa.mp4").is_file():
        noise["nasa"] = Clip(footage / "nasa.mp4", 200, 10)
    wide = {"white balance": bikes, "gamma": box, "field": bikes, "mixed": box}
    return {
        "replays": [] if replays is None else scenarios.recordings(replays, 12),
        "noise": [scenarios.denoised(f"noise, {name}", clip, 0) for name, clip in noise.items()],
        "wide": [
            *(scenarios.wide_flicker(f"{kind}, {clip.path.stem}", clip, kind) for kind, clip in wide.items()),
            scenarios.fade("fade with noise, box", box, 0.02),
        ],
        "fix": [
            scenarios.wide_flicker("mixed, vtest", replace(vtest, count=16), "mixed").blind(),
            scenarios.denoised("noise, box", noise["box"], 1).blind(),
        ],
    }


def reporting(footage: Path) -> dict[str, list[Scenario]]:
    """The same of carphone and cup, on which nothing is chosen."""
    clips = {
        "carphone": Clip(footage / "carphone_pristine.mp4", 0, 24),
        "cup": Clip(footage / "cup.mp4", 60, 12, half=True),
    }
    noise = [scenarios.denoised(f"noise, {name}", clip, number) for number, (name, clip) in enumerate(clips.items())]
    wide = [scenarios.wide_flicker(f"{kind}, {n}", clip, kind) for kind in scenarios.WIDE for n, clip in clips.items()]
    fades = [scenarios.fade(f"fade with noise, {name}", clip, 0.02) for name, clip in clips.items()]
    return {"noise": noise, "wide": [*wide, *fades], "fix": [one.blind() for one in (*noise, *wide[-2:])]}


# --- How they are measured ---


class Judge:
    """Figures of outputs on a scenario; with LPIPS where the weights are."""

    def __init__(self) -> None:
        file = Path(torch.hub.get_dir(), "checkpoints", Path(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name)
        self.without = "" if file.is_file() else f"LPIPS is not measured: torch's hub folder lacks {file.name}"
        self._lpips = None if self.without else LearnedPerceptualImagePatchSimilarity("squeeze", normalize=True)

    def __call__(self, moments: Sequence[Moment], outputs: Sequence[Tensor]) -> Figures:
        score = PictureScore()
        for moment, output in zip(moments, outputs, strict=True):
            score.update(moment, output)
        return score.compute() | self._perceptual(moments, outputs)

    def _perceptual(self, moments: Sequence[Moment], outputs: Sequence[Tensor]) -> Figures:
        if self._lpips is None:
            return {}
        with torch.inference_mode():
            for moment, output in zip(moments, outputs, strict=True):
                assert moment.truth is not None
                self._lpips.update(output.clamp(0, 1), moment.truth.clamp(0, 1))
            value = self._lpips.compute().item()
        self._lpips.reset()
        return {"lpips": value}


def merit(figures: Sequence[Figures]) -> float:
    """What settings are chosen by: gain in PSNR and drop of flicker error, in dB, means over the clips."""
    return statistics.fmean(one["gain"] - 20 * log10(max(one["ratio"], 1e-6)) for one in figures)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Time of all threads and processes of a work; unlike that of a clock it is hardly moved by other programs."""
    begun = _used()
    work()
    return _used() - begun


def _used() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, whose))


class Played(NamedTuple):
    """A scenario's frames, and the figures of its outputs as they are."""

    moments: list[Moment]
    base: Figures


def play(groups: dict[str, list[Scenario]], frames: int | None, judge: Judge) -> dict[str, dict[str, Played]]:
    """Every scenario, played once for all peers. A file that is missing raises VideoError."""

    def one(scenario: Scenario) -> Played:
        moments = list(islice(scenario.play(), frames))
        return Played(moments, judge(moments, [moment.output for moment in moments]))

    return {group: {scenario.name: one(scenario) for scenario in several} for group, several in groups.items()}


def measure(
    peer: Peer, chosen_on: dict[str, dict[str, Played]], reported_on: dict[str, dict[str, Played]], judge: Judge
) -> dict[str, Any]:
    """The setting that is kept for each group, with its figures for each scenario, there and on what is reported."""
    found: dict[str, Any] = {"ahead": peer.ahead, "settings": {}, "chosen": {}, "reported": {}}
    for group, clips in chosen_on.items():
        if not clips:
            continue
        tried = {name: _figures(method, clips, judge) for name, method in peer.settings.items()}
        best = max(tried, key=lambda name: merit(list(tried[name].values())))
        found["settings"][group], found["chosen"][group] = best, tried[best]
        found["reported"][group] = _figures(peer.settings[best], reported_on.get(group, {}), judge)
    return found


def _figures(method: Method, clips: dict[str, Played], judge: Judge) -> dict[str, Figures]:
    found = {}
    for name, clip in clips.items():
        figures = judge(clip.moments, method(clip.moments))
        found[name] = figures | against(figures, clip.base)
    return found


def time_of(peer: Peer, setting: str, clip: list[Moment], reference: Method) -> Figures:
    """CPU milliseconds per frame, and over those of a reference that runs before and after."""
    own = partial(reference, clip)
    before = cpu_seconds(own)
    taken = cpu_seconds(partial(peer.settings[setting], clip))
    after = cpu_seconds(own)
    return {"ms": 1000 * taken / len(clip), "over ours": 2 * taken / (before + after)}


# --- The tables ---


def tables(results: dict[str, Any]) -> str:
    """Three tables in Markdown: on what settings were chosen, on carphone and cup, and the settings."""
    rows = results["peers"]
    parts = [
        ("Where settings were chosen", _table(rows, "chosen", ("replays", "noise", *WIDE, "fix"))),
        ("On carphone and cup", _table(rows, "reported", ("noise", *WIDE, "fix"))),
        ("The settings", _settings(rows)),
    ]
    notes = [f"* {note}" for note in results["notes"]]
    return "\n\n".join([*(f"### {title}\n\n{text}" for title, text in parts), *(["\n".join(notes)] if notes else [])])


def _table(rows: dict[str, Any], what: str, columns: Sequence[str]) -> str:
    body = []
    for name, row in rows.items():
        clips = {f"{group}: {clip}": figures for group, of in row[what].items() for clip, figures in of.items()}
        cells = [_cell([figures for clip, figures in clips.items() if _is_in(clip, column)]) for column in columns]
        least = min((figures["gain"] for figures in clips.values()), default=None)
        times = [f"{row['time']['over ours']:.3g}"] if what == "chosen" else []
        body.append([name, row["ahead"], *times, *cells, "–" if least is None else f"{least:+.2f}"])
    shown = {"replays": "recorded networks"}
    times = ["time, ours = 1"] if what == "chosen" else []
    return markdown(["", "frames ahead", *times, *(shown.get(one, one) for one in columns), "worst clip, dB"], body)


def _is_in(clip: str, column: str) -> bool:
    """Whether a clip, named by its group and what it is, belongs to a column."""
    group, _, name = clip.partition(": ")
    return name.startswith(f"{column}, ") if group == "wide" else group == column


def _cell(figures: Sequence[Figures]) -> str:
    """Gain in PSNR and ratio of flicker errors, means over the clips; and LPIPS over that of the base."""
    if not figures:
        return "–"
    gain, ratio = (statistics.fmean(one[key] for one in figures) for key in ("gain", "ratio"))
    perceptual = [one["lpips"] for one in figures if "lpips" in one]
    more = f" / {statistics.fmean(perceptual):.3f}" if perceptual else ""
    return f"{gain:+.2f} / {ratio:.2f}{more}"


def _settings(rows: dict[str, Any]) -> str:
    groups = [group for group in GROUPS if any(group in row["settings"] for row in rows.values())]
    body = [[name, *(row["settings"].get(group, "–") for group in groups)] for name, row in rows.items()]
    return markdown(["", *groups], body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path, help="as recipes/get_footage.py fills it; nasa.mp4 too, if you have it")
    parser.add_argument("--replays", type=Path, help="recorded networks, as for bars.py")
    parser.add_argument("--json", type=Path, required=True, help="the results, which are added to")
    parser.add_argument("--docs", type=Path, help="a page that the tables are written into")
    parser.add_argument("--adapter", action="append", help="ours; may be given several times")
    parser.add_argument("--only", help="peers, with commas between them")
    parser.add_argument("--temporalfix", type=Path, help="folder with temporalfix_arch.py and its weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--times", action="store_true", help="measure the times of all rows again")
    parser.add_argument("--quick", action="store_true", help="six frames of each clip: a smoke test, not a result")
    args = parser.parse_args()
    results: dict[str, Any] = {"command": "benchmarks/peers.py", "quick": args.quick, **facts(args.threads)}
    if args.json.is_file():
        results = json.loads(args.json.read_text(encoding="utf-8"))
        if args.footage is not None and results["quick"] != args.quick:
            parser.error(f"{args.json} holds results {'with' if results['quick'] else 'without'} --quick")
    if args.footage is not None:
        adapters = args.adapter or ["motion-fixed"]
        everyone = peers([str(one) for one in adapters if resolve_ready(one)], args.temporalfix)
        wanted = args.only.split(",") if args.only else list(everyone)
        unknown = sorted({*wanted} - {*everyone})
        if unknown:
            parser.error(f"no {', '.join(unknown)}; available: {', '.join(everyone)}")
        keep_freed_memory()  # as all commands do
        torch.set_num_threads(args.threads)
        run({name: everyone[name] for name in wanted}, args, results)
    elif not args.json.is_file():
        parser.error(f"{args.json} does not exist; pass --footage to make it")
    print(tables(results))
    if args.docs is not None:
        write_into(args.docs, "peers.py", tables(results))


def run(chosen: dict[str, Peer], args: argparse.Namespace, results: dict[str, Any]) -> None:
    """Measure whom the results lack; they are written after each."""
    judge, frames = Judge(), 6 if args.quick else None
    chosen_on = play(choosing(args.footage, args.replays), frames, judge)
    reported_on = play(reporting(args.footage), frames, judge)
    large = list(scenarios.noisy("640×480", Clip(args.footage / "box.mp4", 100, 6), 0.03).play())
    rows = results.setdefault("peers", {})
    notes = {judge.without} - {""}
    for name, peer in chosen.items():
        if name in rows and (peer.missing or not args.times):
            continue
        if peer.missing:
            notes.add(f"{name} is left out: {peer.missing}")
            continue
        row = rows[name] if name in rows else measure(peer, chosen_on, reported_on, judge)
        # Of the setting for noise: few change the time.
        row["time"] = time_of(peer, row["settings"]["noise"], large, ours("motion-fixed"))
        rows[name] = row
        print(f"{name}: {row['settings']}, {row['time']['over ours']:.2f} times ours", flush=True)
        write_json(args.json, results | {"notes": sorted(notes)})
    results["notes"] = sorted(notes)
    write_json(args.json, results)


if __name__ == "__main__":
    main()
