"""How unsteady a video is: flicker of known size, noise of known size, and what is no flicker."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from conftest import CLIPS

from holdsteady import video
from holdsteady.check.advice import advise
from holdsteady.check.check import Check, Frame, check
from holdsteady.errors import VideoError

Picture = npt.NDArray[np.uint8]
RATE = Fraction(25)


def rounded(values: npt.NDArray[np.float64]) -> Picture:
    return np.clip(values.round(), 0, 255).astype(np.uint8)


def scene(count: int, shift: tuple[float, float] = (1.5, 0.75), seed: int = 0) -> list[npt.NDArray[np.float64]]:
    """A textured picture under a moving window: (80, 112, 3) in 30..210."""
    random = np.random.default_rng(seed)
    whole = sum(
        cv2.resize(random.normal(size=(400 // cell, 400 // cell, 3)), (400, 400), interpolation=cv2.INTER_CUBIC)
        for cell in (40, 16, 6, 3)
    )
    whole = 120 + 25 * np.asarray(whole)
    frames = []
    for number in range(count):
        move = np.float32([[1, 0, 20 + shift[0] * number], [0, 1, 20 + shift[1] * number]])
        moved = cv2.warpAffine(whole, move, (112, 80), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        frames.append(np.clip(moved, 30, 210))
    return frames


def look(
    frames: Sequence[npt.NDArray[np.float64] | Picture],
    original: Sequence[npt.NDArray[np.float64]] | None = None,
    cuts: tuple[int, ...] = (),
) -> Check:
    befores = [None] * len(frames) if original is None else [rounded(frame) for frame in original]
    return check(
        (
            Frame(rounded(np.asarray(frame, float)), n / RATE, n in cuts, before)
            for n, (frame, before) in enumerate(zip(frames, befores, strict=True))
        ),
        RATE,
    )


def flickering(frames: list[npt.NDArray[np.float64]], sizes: Sequence[float]) -> list[npt.NDArray[np.float64]]:
    return [frame * (1 + size) for frame, size in zip(frames, sizes, strict=True)]


FLICKERS: dict[str, Callable[[int], npt.NDArray[np.float64]]] = {
    "every other frame": lambda n: 0.04 * (-1.0) ** np.arange(n),
    "5 Hz": lambda n: 0.04 * np.sqrt(2) * np.sin(2 * np.pi * 5 * np.arange(n) / 25),
    "random": lambda n: 0.04 * np.random.default_rng(1).choice([-1.0, 1.0], n),
}


@pytest.mark.parametrize("kind", FLICKERS)
def test_flicker_of_the_light_is_found_as_wide_and_its_size_is_right(kind: str) -> None:
    frames = scene(26)
    found, clean = look(flickering(frames, FLICKERS[kind](26))).whole, look(frames).whole
    assert found.wide == pytest.approx(0.04, rel=0.2)
    assert clean.wide < 0.002
    assert found.detail < clean.detail + 0.02
    assert clean.score < 1 < found.score


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, 1.0)])
def test_noise_is_found_as_detail_and_its_size_is_right(shift: tuple[float, float]) -> None:
    random = np.random.default_rng(2)
    frames = scene(12, shift)
    for size in (3, 9):
        found = look([frame + random.normal(0, size, frame.shape) for frame in frames]).whole
        assert found.levels == pytest.approx(size, rel=0.2)
        assert found.wide < 0.003
        assert found.detail > 0.02 * size


def test_a_still_video_is_steady_and_a_moving_one_nearly() -> None:
    assert look(scene(8, (0, 0))).whole.score == 0
    assert look(scene(8)).whole.score < 0.8


def test_fades_switches_and_cuts_are_no_flicker() -> None:
    frames = scene(30)
    clean = look(frames).whole
    ramp = np.clip(np.arange(30) / 15 - 0.5, 0, 1)
    ways = {
        "fade": look(flickering(frames, -0.7 * ramp)).whole,
        "fade to black": look(flickering(frames[:21], -np.arange(21) / 20)).whole,
        "switch": look(flickering(frames, -0.6 * (np.arange(30) >= 17))).whole,
    }
    shots = frames[:8] + scene(8, seed=1)
    both = look(shots, cuts=(8,))
    assert len(both.shots) == 2
    for name, found in {**ways, "cut": both.whole}.items():
        assert found.wide < clean.wide + 0.006, name
        assert found.score < 2, name
    assert look(shots).whole.score > 2 * both.whole.score, "unless it is not told of"


def test_figures_can_be_compared() -> None:
    """Neither less contrast, nor another size, nor blur makes a video come out steadier."""
    random = np.random.default_rng(3)
    frames = [f + random.normal(0, 8, f.shape) for f in flickering(scene(16), FLICKERS["random"](16))]
    found = look(frames).whole
    dim = look([0.5 * frame for frame in frames]).whole
    assert (dim.wide, dim.detail) == (pytest.approx(found.wide, rel=0.05), pytest.approx(found.detail, rel=0.05))
    soft = look([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames]).whole
    assert soft.levels < 0.4 * found.levels
    assert soft.detail > 0.7 * found.detail
    assert soft.wide == pytest.approx(found.wide, rel=0.1)


def test_a_large_video_is_measured_as_its_small_copy() -> None:
    random = np.random.default_rng(4)
    large = [cv2.resize(frame + random.normal(0, 9, frame.shape), (768, 576)) for frame in scene(3)]
    small = [cv2.resize(rounded(frame), (384, 288), interpolation=cv2.INTER_AREA) for frame in large]
    one, other = look(large).whole, look(small).whole
    assert one.detail == pytest.approx(other.detail, rel=0.02)


def test_seconds_shots_and_the_worst_are_told_apart() -> None:
    sizes = np.zeros(80)
    sizes[30:45] = FLICKERS["every other frame"](15)
    found = look(flickering(scene(80, (0.5, 0)), sizes), cuts=(60,))
    assert [(one.start, one.end, one.frames) for one in found.seconds] == [
        (0, 0.96, 25),
        (1, 1.96, 25),
        (2, 2.96, 25),
        (3, 3.16, 5),
    ]
    assert [(one.start, one.frames) for one in found.shots] == [(0, 60), (2.4, 20)]
    assert found.worst()[0].start == 1
    assert found.worst()[0].figures.wide == pytest.approx(0.04 * np.sqrt(15 / 25), rel=0.25)


def test_memory_does_not_grow() -> None:
    """Frames are taken as they are needed, and forgotten half a second later."""
    alive: list[int] = []

    def frames() -> "object":
        for number, pixels in enumerate(scene(60, (0, 0))):
            alive.append(number)
            yield Frame(rounded(pixels[:32, :32]), number / RATE)

    done: list[int] = []
    check(frames(), RATE, progress=lambda count: done.append(len(alive) - count))
    assert set(done) == {0}


def test_a_frame_alone_is_refused() -> None:
    with pytest.raises(VideoError, match="there is 1 frame to look at; flicker takes two at least"):
        look(scene(1))


def clip(name: str) -> list[Picture]:
    with video.open_video(str(CLIPS / name)) as reader:
        return [np.asarray(frame.pixels, np.uint8) for frame in reader]


def test_what_people_see_in_flicker_and_blur() -> None:
    """The gate of tests/metrics/test_perception.py."""
    reference, blurred, flicker = (clip(f"vdp_{name}.mp4")[:6] for name in ("ref", "blur", "flicker"))
    alone = [look(frames).whole.score for frames in (reference, blurred, flicker)]
    beside = [look(frames, reference).whole.score for frames in (reference, blurred, flicker)]
    for of_reference, of_blurred, of_flicker in (alone, beside):
        assert of_blurred >= of_reference
        assert of_flicker > of_reference + 0.5


def smeared(frames: list[Picture]) -> list[npt.NDArray[np.float64]]:
    """An exponential average with a fifth of the present."""
    out = [frames[0].astype(float)]
    for frame in frames[1:]:
        out.append(0.2 * frame + 0.8 * out[-1])
    return out


@pytest.mark.parametrize("spoil", [lambda frames: [frames[0]] * len(frames), smeared], ids=["frozen", "smeared"])
def test_frozen_and_smeared_videos_lose_beside_the_original(spoil: Callable[[list[Picture]], list[Picture]]) -> None:
    honest = clip("carphone.mp4")[:8]
    spoilt = spoil(honest)
    assert look(spoilt).whole.score < look(honest).whole.score, "alone, what does not change is steady"
    assert look(honest, honest).whole.score == 0
    assert look(spoilt, honest).whole.score > 1
    random = np.random.default_rng(5)
    processed = [frame + random.normal(0, 2, frame.shape) for frame in honest]
    assert look(spoilt, honest).whole.score > look(processed, honest).whole.score


def test_the_original_is_not_held_against_a_video() -> None:
    frames = scene(20)
    before = flickering(frames, FLICKERS["random"](20))
    after = [0.8 * frame + 20 for frame in before]
    assert look(before).whole.score > 3
    assert look(before, before).whole.score == 0
    assert look(after, before).whole.score < 1.5
    worse = look(flickering(before, 0.03 * (-1.0) ** np.arange(20)), before).whole
    assert worse.wide == pytest.approx(0.03, rel=0.4)
    assert worse.source_wide == pytest.approx(0.04, rel=0.2)
    soft = look([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in frames], frames).whole
    assert soft.lost is not None and soft.lost > 0.2 and soft.score > 2


def test_a_video_of_something_else_has_lost_nothing() -> None:
    frames = scene(6)
    other = [255 - frame for frame in frames]
    assert look(other, frames).whole.lost is None


def test_advice() -> None:
    frames = scene(10)
    unsteady = flickering(frames, FLICKERS["every other frame"](10))
    steady, bad = look(frames).whole, look(unsteady).whole
    assert advise(steady, "a b.mp4").command is None
    assert advise(bad, "x/a b.mp4").command == "holdsteady fix 'x/a b.mp4' 'a b-steady.mp4'"
    advice = advise(look(unsteady, frames).whole, "a.mp4", "o.mov")
    assert advice.command == "holdsteady fix a.mp4 a-steady.mp4 --original o.mov --deflicker"
    assert advice.instead == "holdsteady run o.mov a-steady.mp4 --model MODEL --deflicker"
    assert advise(look(unsteady, unsteady).whole, "a.mp4", "o.mov").command == "holdsteady fix o.mov o-steady.mov"
