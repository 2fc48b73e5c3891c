"""A memory that follows a true change of light: when, and by how much."""

import math

import pytest
import torch
from adapters.recorded import flicker, held, psnr, scene
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.adapters.fade import followed


def new() -> dict[str, Tensor]:
    return {"change": torch.full((1, 2, 4, 5), torch.nan), "fade": torch.full((1, 1, 1, 1), torch.nan)}


def test_it_follows_what_goes_on_and_nothing_else() -> None:
    step = torch.linspace(-0.02, 0.05, 40).expand(1, 3, 32, 40)
    known, goes_on = new(), []
    for _ in range(6):
        shift, _, known = followed(known, step, step[:, :1])
        goes_on.append(shift)
    assert goes_on[0] is goes_on[1] is None  # two changes are no course
    last = goes_on[-1]
    assert last is not None
    wanted = step.reshape(3, 4, 8, 5, 8).mean(dim=(2, 4))
    torch.testing.assert_close(last[0, :, 1:-1, 1:-1], wanted[:, 1:-1, 1:-1])
    known = new()
    for sign in (1, -1, 1, -1, 1, -1):
        shift, _, known = followed(known, sign * step, sign * step[:, :1])
        assert shift is None


def test_what_was_removed_before_is_no_change() -> None:
    """A memory that lags by as much as was removed from the last value: the value itself stood still."""
    known, lag = new(), torch.full((1, 1, 32, 40), 0.03)
    for _ in range(6):
        shift, _, known = followed(known, lag, torch.zeros_like(lag))
        assert shift is None


@pytest.mark.parametrize("kind", ["out", "in", "cross"])
@pytest.mark.parametrize("blind", [False, True])
def test_noise_is_taken_off_a_fade(kind: str, blind: bool) -> None:
    part = torch.linspace(0, 1, 24)[:, None, None, None]
    clean = {
        "out": scene(24) * (1 - 0.8 * part),
        "in": scene(24) * (0.2 + 0.8 * part),
        "cross": (1 - part) * scene(24) + part * scene(24, seed=5),
    }[kind]
    noisy = clean + 0.03 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    shown = held(noisy, noisy if blind else clean)
    assert psnr(shown[6:], clean[6:]) > psnr(noisy[6:], clean[6:]) + 2
    assert flicker(shown[6:], clean[6:]) < 0.8 * flicker(noisy[6:], clean[6:])


@pytest.mark.parametrize("after", [scene(3, seed=7), torch.zeros(3, 3, 64, 80)])
def test_a_cut_ends_a_fade(after: Tensor) -> None:
    clean = torch.cat((scene(12) * torch.linspace(1, 0.3, 12)[:, None, None, None], after))
    shown = held(clean)
    for t in range(12, 15):
        assert psnr(shown[t], clean[t]) > 38, t


@pytest.mark.parametrize("period", [2, 4, 5, 6])
def test_light_that_comes_and_goes_is_no_fade(period: int) -> None:
    step = torch.linspace(-0.02, 0.05, 40).expand(1, 3, 32, 40)
    known = new()
    for t in range(4 * period):
        change = math.sin(2 * math.pi * (t + 0.3) / period) * step
        shift, follows, known = followed(known, change, change[:, :1])
        # The first half of a period can't be told from the beginning of a fade.
        assert float(follows) < 0.5 if t < period else shift is None


@pytest.mark.parametrize("kind", ["motion-fixed", "live"])
def test_streams_that_fade_and_that_do_not_are_apart(kind: str) -> None:
    """Of a size at which *live* looks at a shrunk picture."""
    still = F.interpolate(scene(1), size=(256, 320), mode="bicubic").repeat(10, 1, 1, 1)
    noise = 0.02 * torch.randn(2, *still.shape, generator=torch.Generator().manual_seed(1))
    fading = still * torch.linspace(1, 0.5, 10)[:, None, None, None] + noise[0]
    both, alone = hs.stabilize(lambda x: x, kind), [hs.stabilize(lambda x: x, kind) for _ in range(2)]
    for one, other in zip(fading, still + noise[1], strict=True):
        together = both(torch.stack((one, other)))
        apart = torch.cat([steady(frame[None]) for steady, frame in zip(alone, (one, other), strict=True)])
        torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
    assert psnr(together[0], still[0] * 0.5) > psnr(fading[-1], still[0] * 0.5) + 3


def test_a_memory_that_lags_behind_a_still_video_is_not_pushed() -> None:
    """What differs is what was removed before, not a change of the video."""
    clean = scene(1).repeat(14, 1, 1, 1)
    clean[:2] *= 0.97  # a step that is within noise, and then none
    noisy = clean + 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    steady, state, found = hs.stabilize(lambda x: x, "motion-fixed", deflicker=False), None, []
    for frame in noisy:
        _, state = steady.step(frame[None], state)
        found.append(float(state.memories["0:output"]["fade"]))
    assert max(found[3:]) < 0.2
