"""The picture of a page: time slices of the demo's clip, which is noisy, before and after."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdsteady import zoo
from holdsteady.adapters.adapter import Adapter
from holdsteady.errors import extra
from holdsteady.exports.runner import ExportRunner
from holdsteady.loading import load
from holdsteady.models.runner import FrameRunner

FRAMES, SIGMA, SEED = 48, 0.1, 0


def base_for(adapter: Adapter, model: str | Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The model that an adapter is shown with: the one given, or the one that it was made for where that ships here."""
    name = adapter.provenance.get("model") if model is None else model
    if isinstance(name, str):
        return load(name) if model is not None or name in zoo.NAMES else None
    return name


def draw_adapter(base: Callable[..., Any], adapter: Adapter, path: Path) -> None:
    """Frame by frame and with the adapter, as PNG."""
    frames = _frames()
    steps = {"frame by frame": FrameRunner(base, ()).step, "holdsteady": FrameRunner(base, adapter).step}
    _draw({"input": frames} | {name: [step(frame.clone()) for frame in frames] for name, step in steps.items()}, path)


def draw_export(folder: Path, path: Path) -> None:
    """The input and what the export makes of it, as PNG."""
    frames, runner = _frames(), ExportRunner(folder)
    _draw({"input": frames, "holdsteady": [torch.from_numpy(runner.step(frame.numpy())) for frame in frames]}, path)


def _frames() -> list[Tensor]:
    """Frames (1, 3, H, W) in [0, 1], with noise."""
    with extra("video", "the picture of the page"):
        from holdsteady.video import open_video, upright_tensors
    generator = torch.Generator().manual_seed(SEED)
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = list(islice(upright_tensors(reader), FRAMES))
    return [(frame + SIGMA * torch.randn(frame.shape, generator=generator)).clamp(0, 1) for frame in clean]


def _draw(videos: Mapping[str, Sequence[Tensor]], path: Path) -> None:
    with extra("report", "the picture of the page"):
        from holdsteady.report.compare import to_picture
        from holdsteady.report.pictures import save_time_slice
    columns = {
        name: [to_picture(frame.expand(-1, 3, -1, -1))[:, frame.shape[-1] // 2] for frame in frames]
        for name, frames in videos.items()
    }
    save_time_slice(columns, path)
