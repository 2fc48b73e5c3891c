"""The function for VapourSynth: the order of frames by itself, and the whole with VapourSynth where it is installed."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import holdsteady as hs

Plugin = Callable[[str], ModuleType]
LENGTH = 24


@pytest.fixture
def module(plugin: Plugin) -> ModuleType:
    return plugin("vapoursynth/holdsteady_vs.py")


class Summing:
    """Remembers the frames since it was reset, which are numbers."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.steps = 0

    def step(self, number: int) -> tuple[int, ...]:
        self.seen.append(number)
        self.steps += 1
        return tuple(self.seen)

    def reset(self) -> None:
        self.seen.clear()


def ordered(module: ModuleType, history: int, cuts: tuple[int, ...] = ()) -> tuple[Callable[[int], Any], Summing]:
    summing = Summing()
    order = module.InOrder(summing.step, summing.reset, lambda number: number in cuts, history)

    def at(number: int) -> Any:
        def fetch(one: int) -> tuple[int]:
            assert max(0, number - history) <= one <= number
            return (one,)

        return order.at(number, fetch)

    return at, summing


def test_frames_that_threads_ask_for_ahead_of_each_other_come_as_in_order(module: ModuleType) -> None:
    at, summing = ordered(module, 4)
    asked = [1, 0, 4, 2, 3, 8, 5, 7, 6, 9]
    assert {number: at(number) for number in asked} == {number: tuple(range(number + 1)) for number in asked}
    assert summing.steps == len(asked)


def test_a_seek_begins_anew_a_few_frames_before(module: ModuleType) -> None:
    at, _ = ordered(module, 4)
    assert at(0) == (0,)
    assert at(20) == (16, 17, 18, 19, 20)
    assert at(21) == (16, 17, 18, 19, 20, 21)
    assert at(18) == (16, 17, 18)  # still kept
    assert at(3) == (0, 1, 2, 3)
    assert at(0) == (0,)


def test_a_new_shot_forgets(module: ModuleType) -> None:
    at, _ = ordered(module, 4, cuts=(3,))
    assert [at(number) for number in range(5)] == [(0,), (0, 1), (0, 1, 2), (3,), (3, 4)]


def test_faint_noise_is_no_grain_of_an_input_that_nobody_gave(module: ModuleType) -> None:
    """Without a guide it goes, with one that has it, it stays."""
    generator = torch.Generator().manual_seed(0)
    picture = F.interpolate(torch.rand(1, 3, 12, 16, generator=generator), scale_factor=4, mode="bicubic").clamp(0, 1)
    frames = (0.1 + 0.8 * picture + 1.5 / 255 * torch.randn(10, 3, 48, 64, generator=generator)).numpy()
    change = {}
    for follows_guide in (False, True):
        step, _ = module._runner(None, "motion-fixed", 1.0, "cpu", follows_guide)
        shown = [step(frame, frame.copy() if follows_guide else frame) for frame in frames]
        change[follows_guide] = np.abs(np.stack(shown[5:]) - frames[5:]).mean()
    assert change[False] > 0.6 / 255
    assert change[True] < 0.2 / 255


def test_no_more_is_kept_than_can_be_asked_for(module: ModuleType) -> None:
    order = module.InOrder(lambda number: number, lambda: None, lambda _: False, 4)
    for number in range(100):
        order.at(number, lambda one: (one,))
    assert sorted(order._kept) == [95, 96, 97, 98, 99]


def pictures(seed: int = 1) -> np.ndarray:
    """A noisy pan (T, 3, 48, 64), float32."""
    coarse = torch.rand(1, 3, 12, 40, generator=torch.Generator().manual_seed(0))
    wide = F.interpolate(coarse, scale_factor=4, mode="bicubic").clamp(0, 1)[0]
    clean = torch.stack([wide[..., 2 * t : 2 * t + 64] for t in range(LENGTH)])
    return (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))).numpy()


@pytest.fixture
def vs() -> Any:
    return pytest.importorskip("vapoursynth", reason="its wheels on PyPI are for Python 3.12 and newer")


def as_clip(vs: Any, frames: np.ndarray) -> Any:
    blank = vs.core.std.BlankClip(width=64, height=48, format=vs.RGBS, length=len(frames), keep=True)

    def fill(n: int, f: Any) -> Any:
        shown = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(shown[plane]), frames[n, plane])
        return shown

    return blank.std.ModifyFrame(blank, fill)


def as_array(frame: Any) -> np.ndarray:
    return np.stack([np.array(frame[plane]) for plane in range(3)])


def expected(frames: np.ndarray, *args: Any, **settings: Any) -> np.ndarray:
    steady = hs.stabilize(*args, **settings)
    return np.stack([steady(torch.from_numpy(frame)[None])[0].numpy() for frame in frames])


def test_a_clip_comes_out_as_from_a_loop(module: ModuleType, vs: Any) -> None:
    """All frames are asked for at once, by several threads."""
    frames = pictures()
    clip = module.steady(as_clip(vs, frames))
    shown = np.stack([as_array(frame) for frame in clip.frames(prefetch=6, backlog=12)])
    np.testing.assert_allclose(shown, expected(frames, torch.nn.Identity()), atol=1e-6)


def test_a_seek_in_a_clip(module: ModuleType, vs: Any) -> None:
    frames = pictures()
    clip = module.steady(as_clip(vs, frames), history=3)
    shown = as_array(clip.get_frame(15))
    np.testing.assert_allclose(shown, expected(frames[12:16], torch.nn.Identity())[-1], atol=1e-6)


def test_a_marked_scene_change_begins_anew(module: ModuleType, vs: Any) -> None:
    frames = pictures()
    clip = as_clip(vs, frames)
    marked = clip[:8] + clip[8:].std.SetFrameProps(_SceneChangePrev=1)[0] + clip[9:]
    shown = [as_array(frame) for frame in module.steady(marked).frames()]
    np.testing.assert_array_equal(shown[8], frames[8])
    assert np.abs(shown[7] - frames[7]).max() > 0.05


def test_a_model_that_enlarges(module: ModuleType, vs: Any) -> None:
    clip = module.steady(as_clip(vs, pictures()), model="upscale2")
    assert (clip.width, clip.height, clip.num_frames) == (128, 96, LENGTH)
    assert as_array(clip.get_frame(2)).shape == (3, 96, 128)


def test_a_guide(module: ModuleType, vs: Any) -> None:
    """What is drawn over a pan jumps about; the motion is taken from the pan."""
    guide, drawn = pictures(), pictures(seed=2)
    clip = module.steady(as_clip(vs, drawn), guide=as_clip(vs, guide))
    shown = np.stack([as_array(frame) for frame in clip.frames()])
    values = iter(drawn)
    wanted = expected(guide, lambda _: torch.from_numpy(next(values))[None], flow_from="input")
    np.testing.assert_allclose(shown, wanted, atol=1e-6)


def test_what_is_refused(module: ModuleType, vs: Any) -> None:
    clip = as_clip(vs, pictures())
    with pytest.raises(vs.Error, match="clips have to be RGBS"):
        module.steady(clip.resize.Bicubic(format=vs.YUV420P8, matrix_s="709"))
    with pytest.raises(vs.Error, match="the guide has another size or length"):
        module.steady(clip, guide=clip[:3])
    with pytest.raises(vs.Error, match="leave out model"):
        module.steady(clip, model="denoise", guide=clip)
