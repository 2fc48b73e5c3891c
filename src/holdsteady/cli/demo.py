"""``holdsteady demo``: the whole idea on one real clip, with nothing to prepare."""

import os
import platform
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from holdsteady import video, zoo
from holdsteady.cli import options
from holdsteady.device import pick_device
from holdsteady.errors import VideoError

_MODEL = "denoise"
_ADAPTER = "nafnet16-noise-motion"
_VARIANTS = {
    "frame by frame": "none",
    "output-fixed:0.6": "output-fixed:0.6",
    "motion-fixed": "motion-fixed",
    "motion (trained)": _ADAPTER,
}
_FILE_NAMES = str.maketrans({" ": "-", ":": "-", "(": None, ")": None})
_TITLE = "holdsteady demo"  # tells its videos from others
_VIDEOS = [f"{label.translate(_FILE_NAMES)}.mp4" for label in ("clean", "noisy", *_VARIANTS)]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    sigma: Annotated[float, typer.Option(min=0, max=255, help="Standard deviation of the noise, out of 255.")] = 50.0,
    frames: Annotated[int, typer.Option(min=2, help="How many frames of the clip.")] = 120,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Denoise a real clip with a small real network: frame by frame, smoothed, and held steady along the motion.

    Gaussian noise is added to a clean clip that ships with the package, so that there is a truth to measure against.

    Example:

        holdsteady demo --out demo
    """
    # Here, not above: torchmetrics and matplotlib take seconds to load, and the other commands don't need them.
    from holdsteady.report.compare import compare
    from holdsteady.report.table import rich_table
    from holdsteady.report.variants import add_noise, run_variant, save_video

    picked = pick_device(device)
    _check_folder(out)
    with options.results_in(out):
        with video.open_video(str(zoo.DEMO_CLIP)) as reader:
            info = reader.info
            clean = [frame for frame, _ in zip(video.upright_tensors(reader), range(frames), strict=False)]
        generator = torch.Generator().manual_seed(seed)
        noisy = [add_noise(frame, sigma / 255, generator) for frame in clean]
        model = zoo.load(_MODEL)
        results, times = {"noisy": noisy}, {}
        with options.frame_progress("denoising") as progress:
            for number, (label, adapter) in enumerate(_VARIANTS.items()):
                before = number * len(clean)

                def move(done: int, before: int = before) -> None:
                    progress(before + done, len(_VARIANTS) * len(clean))

                results[label], milliseconds = run_variant(model, adapter, noisy, device=picked, progress=move)
                times[label] = {"ms_per_frame": milliseconds}
        # Times start at zero and the shape is that of the pixels: these are new videos, not versions of the clip.
        plain = replace(info, metadata={"title": _TITLE}, stream_metadata={})
        for label, pictures in {"clean": clean, **results}.items():
            save_video(out / f"{label.translate(_FILE_NAMES)}.mp4", pictures, plain)
        result = compare(results, out, plain, truth=clean, extra=times)
    console = Console()
    title = f"{_MODEL}, carphone, Gaussian noise σ = {sigma:g}/255, seed {seed}, {result.frames} frames"
    console.print(rich_table(result.scores, title))
    console.print(f"on {os.cpu_count()} CPUs ({platform.machine()}), device {picked}, torch {torch.__version__}")
    console.print(f"Look at {out}/side-by-side.mp4, {out}/time-slice.png and {out}/flicker.png.", soft_wrap=True)


def _check_folder(out: Path) -> None:
    """Refuse a folder with videos of the demo's names that no demo made."""
    video.check_folder(out, ())
    for name in (*_VIDEOS, "side-by-side.mp4"):
        path = out / name
        if not path.exists():
            continue
        with suppress(VideoError), video.open_video(str(path)) as reader:
            if reader.info.metadata.get("title") == _TITLE:
                continue
        raise VideoError(f"{path}: exists already, and no demo made it; choose another folder with --out")
