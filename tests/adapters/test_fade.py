"""A memory that follows a true change of light: when, and by how much."""

import pytest
import torch
from adapters.recorded import flicker, held, psnr, scene
from torch import Tensor

from holdsteady.adapters.fade import followed


def new() -> dict[str, Tensor]:
    return {"change": torch.full((1, 1, 4, 5), torch.nan), "fade": torch.full((1, 1, 1, 1), torch.nan)}


def test_it_follows_what_goes_on_and_nothing_else() -> None:
    step = torch.linspace(-0.02, 0.05, 40).expand(1, 3, 32, 40)
    known, goes_on = new(), []
    for _ in range(6):
        shift, _, known = followed(known, step, step[:, :1])
        goes_on.append(shift)
    assert goes_on[0] is None  # one change is no course
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
