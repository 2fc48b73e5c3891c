"""What bars.py and peers.py run on: clips with everything random drawn from a seed, and recorded outputs of networks.

A scenario is a function that plays it from the start, frame by frame; playing it twice gives the same frames.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady import video, zoo
from holdsteady.corruptions import make_corruption
from holdsteady.data.dataset import item_generator
from holdsteady.errors import VideoError


class Moment(NamedTuple):
    """One frame of a scenario.

    Attributes:
        frame: what the network sees, (1, 3, H, W) in [0, 1].
        output: what it gives frame by frame, (1, C, h, w).
        truth: what it should give, likewise; or classes (1, H, W); None if that is not known.
        is_blind: nothing is known of what it saw: ``frame`` is the output again.
    """

    frame: Tensor
    output: Tensor
    truth: Tensor | None
    is_blind: bool = False


@dataclass(frozen=True)
class Scenario:
    """A clip by name; ``play()`` gives its frames from the start."""

    name: str
    play: Callable[[], Iterator[Moment]]

    def blind(self) -> "Scenario":
        """The same where nothing is known of the input: the outputs are all there is, as in a processed video."""
        return Scenario(f"{self.name}, blind", lambda: (Moment(m.output, m.output, m.truth, True) for m in self.play()))


@dataclass(frozen=True)
class Clip:
    """A part of a video.

    Attributes:
        start, count, stride: the first frame, how many, and how many of the video's frames each is from the last.
        half: shrink to half the size.
        crop: the part of 240×320 pixels in the middle.
    """

    path: Path
    start: int = 0
    count: int = 16
    stride: int = 1
    half: bool = False
    crop: bool = False

    def frames(self) -> Iterator[Tensor]:
        """(1, 3, H, W) in [0, 1], one by one. Raises VideoError if the video ends before."""
        remaining, stop = self.count, self.start + self.count * self.stride
        with video.open_video(str(self.path)) as reader:
            for frame in islice(reader, self.start, stop, self.stride):
                value = video.upright_tensor(frame, reader.info).contiguous()
                if self.half:
                    value = F.interpolate(value, scale_factor=0.5, mode="bilinear", antialias=True)
                if self.crop:
                    top, left = (
                        max(0, side - part) // 2 for side, part in zip(value.shape[2:], (240, 320), strict=True)
                    )
                    value = value[..., top : top + 240, left : left + 320]
                yield value
                remaining -= 1
        if remaining:
            raise VideoError(
                f"{self.path} ends {remaining} frames before the {self.count} that are taken from {self.start} on"
            )


# --- Recorded networks ---


def replay(folder: Path, name: str, count: int = 16) -> Scenario:
    """A recorded network: what it saw, what it gave, and what it gives on the clean clip, if that is there."""

    def play() -> Iterator[Moment]:
        files = [folder / f"{name}.{part}.mkv" for part in ("input", "base", "truth")]
        frames, outputs = (Clip(file, count=count).frames() for file in files[:2])
        truths = Clip(files[2], count=count).frames() if files[2].is_file() else iter([None] * count)
        yield from map(Moment, frames, outputs, truths)

    return Scenario(name, play)


def one_channel(scenario: Scenario) -> Scenario:
    """The same with the first channel of the outputs alone, as a mask has one."""
    return Scenario(
        f"{scenario.name}, one channel", lambda: (Moment(m.frame, m.output[:, :1], m.truth) for m in scenario.play())
    )


def recorded_logits(folder: Path, name: str, count: int = 16) -> Scenario:
    """Logits kept as bytes between ``low`` and ``high``, and as truth the classes that the clean clip gives."""

    def play() -> Iterator[Moment]:
        kept = np.load(folder / f"{name}.npz")
        low, high = float(kept["low"]), float(kept["high"])
        logits = torch.from_numpy(kept["logits"]).float() * ((high - low) / 255) + low
        classes = torch.from_numpy(kept["classes_on_clean"]).long()
        frames = Clip(folder / f"{name}.input.mkv", count=count).frames()
        for number, frame in enumerate(frames):
            yield Moment(frame, logits[number : number + 1], classes[number : number + 1])

    return Scenario(name, play)


# --- Networks that run here ---


def clean(name: str, clip: Clip) -> Scenario:
    """An identity network on a clean clip: whatever an adapter does here is damage."""
    return Scenario(name, lambda: (Moment(frame, frame, frame) for frame in clip.frames()))


def denoised(name: str, clip: Clip, number: int, seed: int = 0) -> Scenario:
    """The shipped denoiser on Gaussian noise of σ = 50/255.

    Args:
        name, clip: what it is called, and made of.
        number: of the clip in a call of ``holdsteady eval``, which draws the same noise for it.
        seed: as of that call.
    """

    def play() -> Iterator[Moment]:
        network = zoo.load("denoise").to(memory_format=torch.channels_last)
        corrupt = make_corruption(f"gaussian:sigma={50 / 255:.8f}").start(item_generator(seed, number))
        for frame in clip.frames():
            noisy = corrupt(frame)
            with torch.inference_mode():
                output = network(noisy)
            yield Moment(noisy, output.clone(), frame)

    return Scenario(name, play)


def noisy(name: str, clip: Clip, sigma: float, seed: int = 0) -> Scenario:
    """An identity network on Gaussian noise, clipped to [0, 1]."""

    def play() -> Iterator[Moment]:
        generator = torch.Generator().manual_seed(seed)
        for frame in clip.frames():
            value = (frame + sigma * torch.randn(frame.shape, generator=generator)).clamp(0, 1)
            yield Moment(value, value, frame)

    return Scenario(name, play)


def raw(name: str, clip: Clip, sigma: float, gain: float, seed: int = 0) -> Scenario:
    """A model that passes frames through, which a sensor has given its noise before gamma: it is strongest in shadows.

    Args:
        name, clip: what it is called, and made of.
        sigma, gain: of noise with the variance σ² + gain·x in linear light.
        seed: of the noise.
    """

    def play() -> Iterator[Moment]:
        generator = torch.Generator().manual_seed(seed)
        for frame in clip.frames():
            light = frame**2.2
            noise = (sigma**2 + gain * light).sqrt() * torch.randn(light.shape, generator=generator)
            seen = (255 * (light + noise).clamp(0, 1) ** (1 / 2.2)).round() / 255
            yield Moment(seen, seen, frame)

    return Scenario(name, play)


# --- Shots that end and lights that switch, unannounced ---


def cut(name: str, first: Clip, second: Clip, after: int = 6) -> Scenario:
    """An identity network on so many frames of one clip, then on another. Both clips are of one size."""

    def play() -> Iterator[Moment]:
        for frame in (*islice(first.frames(), after), *islice(second.frames(), 2)):
            yield Moment(frame, frame, frame)

    return Scenario(name, play)


def light_switch(name: str, clip: Clip, dark: float = 0.3, after: int = 6) -> Scenario:
    """An identity network on so many frames times ``dark``, then on the clip as it is."""

    def play() -> Iterator[Moment]:
        for number, frame in enumerate(islice(clip.frames(), after + 2)):
            value = frame * dark if number < after else frame
            yield Moment(value, value, value)

    return Scenario(name, play)


# --- Wide flicker, of a network that is otherwise steady ---

WHITE_BALANCE = 0.06  # standard deviations of logarithms: of each channel's gain,
GAMMA = 0.12  # of the exponent,
FIELD = 0.10  # of the gains at 4×4 places, between which the field is bicubic,
EXPOSURE = 0.10  # and of the gain of all, where it wanders
WIDE = ("white balance", "gamma", "field", "mixed")


def operator(frame: Tensor) -> Tensor:
    """A steady look: more saturation by 1.2, then a tone curve of exponent 0.85."""
    grey = frame.mean(dim=1, keepdim=True)
    return (grey + 1.2 * (frame - grey)).clamp(0, 1) ** 0.85


def flicker(value: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """A picture (1, 3, H, W) in [0, 1] under one draw of wide flicker; ``mixed`` is all three, one after the other."""
    if kind in ("white balance", "mixed"):
        value = value * torch.exp(WHITE_BALANCE * torch.randn(1, 3, 1, 1, generator=generator))
    if kind in ("gamma", "mixed"):
        value = value.clamp(1e-4, 1) ** torch.exp(GAMMA * torch.randn((), generator=generator))
    if kind in ("field", "mixed"):
        places = FIELD * torch.randn(1, 1, 4, 4, generator=generator)
        value = value * torch.exp(F.interpolate(places, size=value.shape[2:], mode="bicubic", align_corners=False))
    return value.clamp(0, 1)


def wide_flicker(name: str, clip: Clip, kind: str, seed: int = 0) -> Scenario:
    """The operator's output, with flicker that is drawn for each frame; the input is steady."""

    def play() -> Iterator[Moment]:
        generator = torch.Generator().manual_seed(seed)
        for frame in clip.frames():
            steady = operator(frame)
            yield Moment(frame, flicker(steady, kind, generator), steady)

    return Scenario(name, play)


def drift(name: str, clip: Clip, keeps: float, seed: int = 0) -> Scenario:
    """The operator's output in slow flicker: its exposure wanders about the right one; the input is steady.

    Args:
        name, clip: what it is called, and made of.
        keeps: correlation of the exposures of neighbouring frames.
        seed: of the exposures.
    """

    def play() -> Iterator[Moment]:
        generator = torch.Generator().manual_seed(seed)
        exposure = EXPOSURE * torch.randn((), generator=generator)
        for frame in clip.frames():
            truth = operator(frame)
            yield Moment(frame, (truth * exposure.exp()).clamp(0, 1), truth)
            step = EXPOSURE * torch.randn((), generator=generator)
            exposure = keeps * exposure + math.sqrt(1 - keeps**2) * step

    return Scenario(name, play)


def fade(name: str, clip: Clip, sigma: float = 0.0, lowest: float = 0.25, seed: int = 0) -> Scenario:
    """A true fade: the input's light falls in even steps from 1 to ``lowest``, and the operator's output with it.

    Args:
        name, clip: what it is called, and made of.
        sigma: standard deviation of the noise that the output has on top, which is not clipped.
        lowest: the light of the last frame.
        seed: of the noise.
    """

    def play() -> Iterator[Moment]:
        generator = torch.Generator().manual_seed(seed)
        for frame, light in zip(clip.frames(), torch.linspace(1, lowest, clip.count), strict=False):
            truth = operator(frame * light)
            yield Moment(frame * light, truth + sigma * torch.randn(truth.shape, generator=generator), truth)

    return Scenario(name, play)


# --- All of them, in groups ---

REPLAYS = ("sci-cup", "animevideo-box", "aod-bikes")


def recordings(folder: Path, count: int = 16) -> list[Scenario]:
    """The recorded networks whose truth is a picture."""
    return [replay(folder, name, count) for name in REPLAYS]


def unannounced(footage: Path) -> tuple[list[Scenario], list[Scenario]]:
    """Cuts and light switches, of parts of 240×320 pixels."""
    parts = {
        "bikes": Clip(footage / "bikes.mp4", 31, 8, crop=True),
        "box": Clip(footage / "box.mp4", 100, 8, half=True, crop=True),
        "vtest": Clip(footage / "vtest.avi", 0, 8, crop=True),
    }
    pairs = (("bikes", "box"), ("box", "bikes"), ("vtest", "bikes"))
    cuts = [cut(f"cut, {one} to {other}", parts[one], parts[other]) for one, other in pairs]
    return cuts, [light_switch(f"light, {one}", clip) for one, clip in parts.items()]


def _two(footage: Path, count: int) -> dict[str, Clip]:
    """A clip that is followed and one that is held in the hand."""
    box = Clip(footage / "box.mp4", 100, count, half=True)
    return {"bikes": Clip(footage / "bikes.mp4", 31, count), "box": box}


def drifting(footage: Path, keeps: float) -> list[Scenario]:
    """Slow flicker on both."""
    clips = _two(footage, 40).items()
    return [drift(f"slow flicker {keeps:g}, {name}", clip, keeps, seed) for seed, (name, clip) in enumerate(clips)]


def flickering(footage: Path, count: int = 20) -> tuple[dict[str, list[Scenario]], dict[str, list[Scenario]]]:
    """Wide flicker of each kind, and fades without and with noise, each on bikes and on box."""
    clips = _two(footage, count)

    def on_both(what: str, make: Callable[[str, Clip], Scenario]) -> list[Scenario]:
        return [make(f"{what}, {name}", clip) for name, clip in clips.items()]

    wide = {kind: on_both(kind, partial(wide_flicker, kind=kind)) for kind in WIDE}
    fades = {what: on_both(what, partial(fade, sigma=s)) for what, s in (("fade", 0.0), ("fade with noise", 0.02))}
    return wide, fades
