"""The same frames through the same model under several adapters, as the demo and the benchmarks need it."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdsteady.host.resolve import resolve_ready
from holdsteady.models.runner import FrameRunner
from holdsteady.report.compare import even_times, to_picture
from holdsteady.video import RunOptions, VideoFrame, VideoInfo, open_writer


def add_noise(frame: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """A frame in [0, 1] with Gaussian noise of deviation ``sigma``, clipped as a video is."""
    return (frame + sigma * torch.randn(frame.shape, generator=generator)).clamp(0, 1)


def run_variant(
    model: Callable[..., Any],
    adapter: str,
    frames: Sequence[Tensor],
    *,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Tensor], float]:
    """All frames (1, 3, H, W) through a model and an adapter: the outputs on the CPU, and the median ms per frame."""
    runner = FrameRunner(model, resolve_ready(adapter), device=device)
    outputs, seconds = [], []
    with torch.inference_mode():
        for number, frame in enumerate(frames, start=1):
            begun = time.perf_counter()
            outputs.append(runner.step(frame.to(device)).cpu())
            seconds.append(time.perf_counter() - begun)
            if progress is not None:
                progress(number)
    return outputs, 1000 * statistics.median(seconds)


def save_video(path: Path, frames: Sequence[Tensor], info: VideoInfo) -> None:
    """Frames (1, 3, H, W) in [0, 1] as a video of an even rate."""
    height, width = frames[0].shape[-2:]
    with open_writer(str(path), info, RunOptions(overwrite=True), width=width, height=height) as writer:
        for frame, pts in zip(frames, even_times(info), strict=False):
            writer.write(VideoFrame(to_picture(frame), pts, info.time_base))
