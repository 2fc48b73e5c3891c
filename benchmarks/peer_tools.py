"""Tools by others, over the outputs of a scenario: filters of FFmpeg, OpenCV's non-local means, vs_temporalfix."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from av.filter import filters_available
from scenarios import Moment
from torch import Tensor, nn

Pixels = npt.NDArray[np.uint16]


def to_pixels(value: Tensor, largest: int = 65535) -> Any:
    """An image (1, 3, H, W) in [0, 1] as RGB (H, W, 3) of 16 bits, or of 8."""
    dtype = np.uint16 if largest > 255 else np.uint8
    return np.ascontiguousarray((value[0].clamp(0, 1) * largest).round().permute(1, 2, 0).numpy().astype(dtype))


def to_tensor(pixels: npt.NDArray[Any]) -> Tensor:
    """The way back."""
    largest = 255 if pixels.dtype == np.uint8 else 65535
    return (torch.from_numpy(pixels.astype(np.float32)) / largest).permute(2, 0, 1)[None]


# --- FFmpeg ---


def ffmpeg(moments: Sequence[Moment], chain: str, ahead: int = 0) -> list[Tensor]:
    """The outputs through a chain of FFmpeg's filters, in 16 bits unless the chain asks for less.

    PyAV's own FFmpeg runs it where that has the filters; the FFmpeg of imageio-ffmpeg where not, for those of the GPL.

    Args:
        moments: a scenario.
        chain: as of ``-vf``.
        ahead: how many frames the filter keeps to itself at either end, which are given twice over.
    """
    pixels = [to_pixels(moment.output) for moment in moments]
    padded = [pixels[0]] * ahead + pixels + [pixels[-1]] * ahead
    names = [part.partition("=")[0] for part in chain.split(",")]
    run = _by_pyav if all(name in filters_available for name in names) else _by_program
    return [to_tensor(one) for one in run(padded, chain)]


def _by_pyav(pixels: Sequence[Pixels], chain: str) -> list[Pixels]:
    height, width = pixels[0].shape[:2]
    graph = av.filter.Graph()
    facts = f"video_size={width}x{height}:pix_fmt=rgb48le:time_base=1/25:frame_rate=25/1:pixel_aspect=1/1"
    last = graph.add("buffer", facts)
    for part in (*chain.split(","), "format=rgb48le", "buffersink"):
        name, _, settings = part.partition("=")
        step = graph.add(name, settings)
        last.link_to(step)
        last = step
    graph.configure()
    found = []
    for number, one in enumerate((*pixels, None)):
        frame = None if one is None else av.VideoFrame.from_ndarray(one, format="rgb48le")
        if frame is not None:
            frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.vpush(frame)
        found += [frame.to_ndarray(format="rgb48le") for frame in _ready(graph)]
    return found


def _ready(graph: Any) -> Iterable[Any]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _by_program(pixels: Sequence[Pixels], chain: str) -> list[Pixels]:
    import imageio_ffmpeg

    height, width = pixels[0].shape[:2]
    form = ["-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *form, "-s", f"{width}x{height}", "-i", "-"]
    work = [*command, "-vf", chain, *form, "-"]
    done = subprocess.run(work, input=b"".join(one.tobytes() for one in pixels), capture_output=True, check=True)
    return list(np.frombuffer(done.stdout, np.uint16).reshape(-1, height, width, 3))


def no_filter(name: str) -> str:
    """Why a filter can't be had; empty if it can."""
    if name in filters_available or importlib.util.find_spec("imageio_ffmpeg") is not None:
        return ""
    return f"PyAV's FFmpeg has no {name}, which is under the GPL: pip install 'holdsteady[peers]'"


# --- OpenCV ---


def non_local_means(moments: Sequence[Moment], strength: float, search: int = 13) -> list[Tensor]:
    """fastNlMeansDenoisingColoredMulti over three frames, in 8 bits; it searches 13 pixels, not 21, to spare time."""
    pixels = [to_pixels(moment.output, 255) for moment in moments]
    padded = [pixels[0], *pixels, pixels[-1]]
    settings = {"h": strength, "hColor": strength, "templateWindowSize": 7, "searchWindowSize": search}
    return [
        to_tensor(cv2.fastNlMeansDenoisingColoredMulti(padded, number + 1, 3, **settings))  # type: ignore[call-overload]
        for number in range(len(pixels))
    ]


# --- vs_temporalfix ---

_FILES = {1: "temporalfix_s1_v1.1.pth", 2: "temporalfix_s2_v1.pth", 3: "temporalfix_s3_v1.pth"}


def temporalfix(moments: Sequence[Moment], strength: int, folder: Path | None = None) -> list[Tensor]:
    """The seven-frame model of vs_temporalfix; it looks three frames ahead and works on multiples of 8 pixels."""
    network = _temporalfix(temporalfix_folder(folder), strength)
    frames = torch.cat([moment.output for moment in moments]).clamp(0, 1)
    height, width = frames.shape[2:]
    frames = nn.functional.pad(frames, (0, -width % 8, 0, -height % 8), mode="replicate")
    around = [*frames[:1].expand(3, -1, -1, -1), *frames, *frames[-1:].expand(3, -1, -1, -1)]
    found = []
    with torch.inference_mode():
        for number in range(len(frames)):
            output: Tensor = network(torch.stack(around[number : number + 7])[None])
            found.append(output[..., :height, :width].clamp(0, 1))
    return found


def temporalfix_folder(folder: Path | None = None) -> Path | None:
    """Where the files of the package are: in a folder that is given, or where pip has put it."""
    if folder is not None:
        return folder if (folder / "temporalfix_arch.py").is_file() else None
    # Found, not imported: importing it takes VapourSynth.
    found = importlib.util.find_spec("vs_temporalfix")
    return None if found is None or found.origin is None else Path(found.origin).parent / "models"


@cache
def _temporalfix(folder: Path, strength: int) -> nn.Module:
    specification = importlib.util.spec_from_file_location("temporalfix_arch", folder / "temporalfix_arch.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    network: nn.Module = module.temporalfix_arch(conf_thresh=0.6, min_support=1, gate_slope=12.0, count_slope=4.0)
    network.load_state_dict(torch.load(folder / _FILES[strength], map_location="cpu", weights_only=True))
    return network.eval()
