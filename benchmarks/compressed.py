"""Denoising of files as they are met: noise, then 4:2:0 and H.264; the shipped denoisers and FFmpeg's filters.

    python benchmarks/compressed.py --footage footage --json benchmarks/results/compressed.json
    python benchmarks/compressed.py --json benchmarks/results/compressed.json --docs docs/results.md   the table again

Carphone and cup with Gaussian noise of σ = 50/255 (seed 0), encoded by libx264 at CRF 23 as `holdsteady corrupt` does.
Of each filter all settings run, and for each clip that one is kept for which PSNR is best, which favours the filters.
`pip install 'holdsteady[peers]'` brings an FFmpeg with filters under the GPL. What --json holds already is not measured
again.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import PictureScore
from outcome import arguments, begun, facts, show, write_json
from peer_tools import ffmpeg, no_filter
from scenarios import Clip, Moment
from torch import Tensor

from holdsteady import stabilize, video, zoo
from holdsteady.allocator import keep_freed_memory
from holdsteady.corruptions import make_corruption
from holdsteady.report.table import markdown

CLIPS = {"carphone": Clip(Path("carphone_pristine.mp4"), 0, 60), "cup": Clip(Path("cup.mp4"), 60, 24)}
NOISE, CRF = "gaussian:sigma=0.19607843", 23
_AVERAGED = "format=yuv420p16le,atadenoise=0a={0}:0b={1}:1a={0}:1b={1}:2a={0}:2b={1}:s={2}"
_STRENGTHS = ("4:3:6:4.5", "8:6:12:9", "16:12:24:18", "24:18:36:27", "40:30:60:45", "60:45:60:45", "100:75:100:75")
#: Chains of filters, with their settings.
CHAINS: dict[str, list[str]] = {
    "hqdn3d": [f"format=yuv420p,hqdn3d={strength}" for strength in _STRENGTHS],
    "atadenoise": [_AVERAGED.format(a, 2 * a, s) for a in (0.05, 0.1, 0.3) for s in (5, 9)],
    "nlmeans": [f"format=yuv420p,nlmeans=s={strength}:p=7:r=11" for strength in (4, 8, 12, 20, 30)],
}

Method = Callable[[Sequence[Moment]], list[Tensor]]


def noisy_file(clip: Clip, folder: Path) -> Path:
    """The clip with noise, as a file of H.264."""
    sink, stream = folder / "noisy.mp4", make_corruption(NOISE).start(torch.Generator().manual_seed(0))
    with video.open_video(str(clip.path)) as reader:
        seconds = float((clip.start + clip.count) / reader.info.rate)
    how = video.RunOptions(crf=CRF, cuts="off", overwrite=True, duration=seconds)
    video.run(str(clip.path), str(sink), stream, how, on_cut=lambda: None)
    return sink


def moments(clip: Clip, folder: Path) -> list[Moment]:
    """Frames of the file, with their truth."""
    noisy = replace(clip, path=noisy_file(clip, folder))
    return [Moment(frame, frame, truth) for frame, truth in zip(noisy.frames(), clip.frames(), strict=True)]


def methods() -> Iterator[tuple[str, dict[str, Method]]]:
    """Everyone who takes part, with settings by name."""
    yield "the noisy file", {"": lambda frames: [one.frame for one in frames]}
    for name, texts in CHAINS.items():
        if no_filter(name):
            print(f"left out: {no_filter(name)}")
            continue
        yield name, {text.rpartition(",")[2]: partial(ffmpeg, chain=text) for text in texts}
    for model in ("denoise", "denoise-video"):
        adapters = ("none", "motion-fixed", "universal", *(one.name for one in zoo.adapters() if one.model == model))
        for adapter in adapters:
            label = model if adapter == "none" else f"{model} + {adapter}"
            yield label, {"": partial(ours, model=model, adapter=adapter)}


def ours(frames: Sequence[Moment], model: str, adapter: str) -> list[Tensor]:
    steady = stabilize(zoo.load(model), adapter)
    with torch.inference_mode():
        return [steady(one.frame) for one in frames]


def best(settings: dict[str, Method], frames: Sequence[Moment]) -> dict[str, Any]:
    """Figures of the setting with the best PSNR, with 95 % intervals."""
    found: list[dict[str, Any]] = []
    for name, method in settings.items():
        score = PictureScore()
        for moment, output in zip(frames, method(frames), strict=True):
            score.update(moment, output)
        found.append({"setting": name, **score.compute(), "intervals": score.intervals()})
    return max(found, key=lambda one: one["psnr"])


def table(results: dict[str, Any]) -> str:
    """PSNR and flicker error of each clip, in Markdown."""
    rows = [[name, *(_cell(of[clip]) for clip in CLIPS)] for name, of in results["rows"].items()]
    return markdown(["", *CLIPS], rows)


def _cell(figures: dict[str, Any]) -> str:
    return f"{figures['psnr']:.2f} / {figures['flicker']:.2f}"


def main() -> None:
    keep_freed_memory()
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = begun(args.json, {**facts(args.threads), "rows": {}})
    if args.footage:
        clips = {name: replace(clip, path=args.footage / clip.path) for name, clip in CLIPS.items()}
        with tempfile.TemporaryDirectory() as folder:
            played = {name: moments(clip, Path(folder)) for name, clip in clips.items()}
        before, results["rows"] = results["rows"], {}
        for label, settings in methods():
            row = before.pop(label, None) or {name: best(settings, frames) for name, frames in played.items()}
            results["rows"][label] = row
            print(label, *map(_cell, row.values()), sep="  ", flush=True)
            write_json(args.json, {**results, "rows": results["rows"] | before})
        results["rows"] |= before  # of filters that this machine lacks
    show(table(results), "compressed.py", args.docs)


if __name__ == "__main__":
    main()
