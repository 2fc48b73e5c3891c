"""Tiny models to give to the command line, and clips read by holdsteady's reader and made with plain PyAV."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from holdsteady.video import VideoInfo, open_video

Picture = npt.NDArray[Any]

MODELS = '''
from __future__ import annotations

import time

import torch
from torch import nn
from torch.nn import functional as F


class Identity(nn.Module):
    def forward(self, frame):
        return frame


class Blur(nn.Module):
    def __init__(self, wide: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, groups=1 if wide else 3, bias=False)
        nn.init.constant_(self.conv.weight, 1 / (27 if wide else 9))

    def forward(self, frame):
        return self.conv(frame)


class WideBlur(Blur):
    def __init__(self):
        super().__init__(wide=True)


class Stride16(Identity):
    def forward(self, frame):
        assert not (frame.shape[-1] % 16 or frame.shape[-2] % 16), "sides have to be multiples of 16"
        return frame


class Double(nn.Module):
    def forward(self, frame):
        return F.interpolate(frame, scale_factor=2)


class Depth(nn.Module):
    def forward(self, frame):
        return 5 + 20 * frame.mean(dim=1)


class Logits(nn.Module):
    """Class 2 left of the middle, class 1 right of it."""

    def forward(self, frame):
        logits = torch.zeros(frame.shape[0], 5, *frame.shape[-2:])
        logits[:, 1] = 1
        logits[:, 2, :, : frame.shape[-1] // 2] = 2
        return logits


class Classes(nn.Module):
    def forward(self, frame):
        return frame.mean(dim=1).long()


class Counting(nn.Module):
    """Knows how many whole frames of the clip it has seen, beside parts of the first and the first more than once."""

    def __init__(self):
        super().__init__()
        self.last, self.frames = None, -1

    def forward(self, frame):
        if self.last is None or frame.shape != self.last.shape:
            self.last, self.frames = frame.clone(), 0
        elif not torch.equal(frame, self.last):
            self.last, self.frames = frame.clone(), self.frames + 1
        return frame


class Flicker(Counting):
    def forward(self, frame):
        return super().forward(frame) * (0.8 if self.frames % 2 else 1.0)


class RaisesAt3(Counting):
    def forward(self, frame):
        super().forward(frame)
        if self.frames == 3:
            return {}["gone"]
        return frame


class NanAt2(Counting):
    def forward(self, frame):
        out = super().forward(frame).clone()
        if self.frames == 2:
            out[..., :10, :10] = torch.nan
        return out


class Slow(nn.Module):
    def forward(self, frame):
        time.sleep(0.15)
        return frame


def make_blur():
    return Blur()


def invert(frame):
    return 1 - frame
'''


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The line of the error; there is one, and no traceback."""
        assert "Traceback" not in self.err + self.out
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip().endswith(lines[0]), "the error is the last word"
        return lines[0].removeprefix("error: ")


Cli = Callable[..., Done]


def info_of(source: str | Path) -> VideoInfo:
    """The facts of a video."""
    with open_video(str(source)) as reader:
        return reader.info


def frames_of(source: str | Path) -> list[Picture]:
    """The frames of a video as RGB (H, W, 3), as stored."""
    with open_video(str(source)) as reader:
        return [frame.pixels for frame in reader]


def times_of(source: str | Path) -> list[Fraction]:
    """The times of a video's frames in seconds."""
    with open_video(str(source)) as reader:
        return [frame.pts * frame.time_base for frame in reader if frame.pts is not None]


def difference(a: Picture, b: Picture) -> float:
    """Mean absolute difference of two pictures, in levels of 255."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def texture(count: int, height: int = 48, width: int = 64) -> list[Picture]:
    """Smooth pictures that move by a pixel a frame."""
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack([128 + 80 * np.sin((x + t) / 6), 128 + 80 * np.cos(y / 5), 128 + 60 * np.sin((x + y + t) / 9)], axis=2)
        .round()
        .astype(np.uint8)
        for t in range(count)
    ]


def write_clip(
    path: Path,
    pictures: Iterable[Picture],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: list[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    faststart: bool = False,
    rate: int = 25,
) -> str:
    """A video by plain PyAV, without holdsteady's writer."""
    stream = None
    with av.open(str(path), "w", container_options={"movflags": "faststart"} if faststart else {}) as container:
        for number, picture in enumerate(pictures):
            if stream is None:
                height, width = picture.shape[:2]
                options = {"crf": "4"} if options is None else options
                stream = container.add_stream(codec, rate=rate, width=width, height=height, options=options)
                stream.pix_fmt = pix_fmt
                stream.codec_context.time_base = Fraction(1, rate)
                if rotation:
                    stream.set_display_rotation(rotation)
            form = "rgb24" if picture.dtype == np.uint8 else "rgb48le"
            frame = av.VideoFrame.from_ndarray(picture, format=form).reformat(format=pix_fmt)
            frame.pts, frame.time_base = times[number] if times else number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode())
    return str(path)
