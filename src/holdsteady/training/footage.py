"""What videos are disturbed by, found in their own frames, and the corruption to train with for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from holdsteady.check.check import Frame, check
from holdsteady.corruptions.noise import Grain
from holdsteady.data.cache import CachedVideo, FrameCache
from holdsteady.training.noise import measure_noise

_PAIRS = 4  # pairs of frames whose noise is measured, spread over a video
_LARGEST = (720, 1280)  # of what is looked at, from the middle of a frame
_CHECKED = 24  # frames that are checked for wide flicker
_FAINT = 0.7 / 255  # noise that is as good as none: rounding alone makes 0.3
_BLOCKY = 1.06  # steps between the blocks of a codec, over those within
_UNSTEADY = 0.03  # flicker of the light, as a share of it: plain to see, which true changes of light seldom are
_ALIKE = 1.4  # strengths of noise less far apart than this are one


@dataclass(frozen=True)
class Found:
    """What was found in a video.

    Attributes:
        noise: as the corruption that adds the like; None where nothing could be told.
        level: its standard deviation at the mean brightness.
        blocks: steps between the 8×8 blocks of a codec over those within; 1 without.
        wide: flicker of the light as a share of it.
    """

    noise: Grain | None
    level: float
    blocks: float
    wide: float


def look_at(path: str) -> Found:
    """What is found in a video, which is decoded into the cache for training.

    Raises:
        VideoError: it can't be read.
    """
    video = FrameCache().open(path)
    pairs = [(both[1], both[0]) for both in map(_reader(video), _neighbours(video))]
    noise = measure_noise(pairs)
    frames = [pair[0] for pair in pairs]
    mean = float(np.mean([frame.mean() for frame in frames])) / 255 if frames else 0.5
    level = 0.0 if noise is None else float(np.sqrt(noise.sigma**2 + noise.gain * mean))
    return Found(noise, level, float(np.mean([blocking(frame) for frame in frames] or [1.0])), _wide(video))


def blocking(pixels: npt.NDArray[np.uint8]) -> float:
    """Steps of the brightness across the borders of 8×8 blocks over those elsewhere, where they are most."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    ratios = []
    for steps in (np.abs(np.diff(grey, axis=0)).mean(axis=1), np.abs(np.diff(grey, axis=1)).mean(axis=0)):
        by_place = [steps[place::8].mean() for place in range(8) if len(steps) >= 16]
        ratios += [8 * max(by_place) / max(sum(by_place), 1e-6)] if by_place else []
    return float(np.mean(ratios or [1.0]))


def mixture(found: Sequence[Found]) -> tuple[str, str]:
    """The corruption to train with, as its spec, and what was found, in words."""
    noisy = sorted((one for one in found if one.level >= _FAINT), key=lambda one: one.level)
    kinds = list[Found]()
    for one in noisy:
        if not kinds or one.level > _ALIKE * kinds[-1].level:
            kinds.append(one)
    grains = [str(one.noise) for one in (kinds if len(kinds) < 4 else [kinds[0], kinds[len(kinds) // 2], kinds[-1]])]
    if kinds and kinds[0].noise is not None:
        weak = kinds[0].noise
        grains.append(str(weak.model_copy(update={"sigma": weak.sigma / 2, "gain": weak.gain / 4})))
    blocks, wide = max(one.blocks for one in found), max(one.wide for one in found)
    choices = grains or ["grain:sigma=0.005,gain=0"]
    if blocks >= _BLOCKY or not grains:
        quality = round(float(np.interp(blocks, (_BLOCKY, 1.5), (60, 20))))
        choices.append(f"jpeg:quality={quality}" if not grains else f"{grains[-1]}+jpeg:quality={quality}")
    if wide >= _UNSTEADY:
        choices.append(f"{choices[0]}+flicker:sigma={round(wide, 3)}")
    return f"mix({'|'.join(choices)})", _in_words(noisy, blocks, wide)


def _in_words(noisy: Sequence[Found], blocks: float, wide: float) -> str:
    if noisy:
        low, high = (f"{255 * one.level:.1f}" for one in (noisy[0], noisy[-1]))
        strength = f"noise of {low if low == high else f'{low} to {high}'}/255"
        grain = noisy[len(noisy) // 2].noise
        strength += f", grain of {grain.size:g} px" if grain is not None and grain.size >= 0.5 else ""
    else:
        strength = "hardly any noise"
    steps = f"blocks of a codec ({100 * (blocks - 1):.0f} % steeper)" if blocks >= _BLOCKY else "no blocks"
    light = f"light that flickers by {100 * wide:.1f} %" if wide >= _UNSTEADY else "steady light"
    return f"{strength}, {steps}, {light}"


def _neighbours(video: CachedVideo) -> list[tuple[int, int]]:
    """Numbers of neighbours within shots."""
    numbers = [(n - 1, n) for shot in video.shots() for n in shot[1:]]
    if len(numbers) <= _PAIRS:
        return numbers
    return [numbers[place * (len(numbers) - 1) // (_PAIRS - 1)] for place in range(_PAIRS)]


def _middle(size: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(0, (side - most) // 2), max(0, (side - most) // 2) + most)
        for side, most in zip(size, _LARGEST, strict=True)
    )
    return rows, columns


def _reader(video: CachedVideo) -> Callable[[Sequence[int]], npt.NDArray[np.uint8]]:
    window = _middle((video.index.height, video.index.width))
    return lambda numbers: video.read(numbers, window)


def _wide(video: CachedVideo) -> float:
    shot = max(video.shots(), key=len)
    count, times = min(len(shot), _CHECKED), video.index.times
    if count < 8:
        return 0.0
    numbers = shot[:count]
    rate = 25.0 if times is None else (count - 1) / max(times[numbers[-1]] - times[numbers[0]], 1e-3)
    whole = (slice(0, video.index.height), slice(0, video.index.width))
    exact = Fraction(rate).limit_denominator(1000)
    frames = (Frame(video.read([n], whole)[0], Fraction(place) / exact) for place, n in enumerate(numbers))
    return check(frames, exact).whole.wide
