"""Noise and drops against their definitions."""

import math

import pytest
import torch
from torch import Tensor

from holdsteady.corruptions import make_corruption


def shown(spec: str, value: float, frames: int = 4, size: tuple[int, int] = (160, 160)) -> Tensor:
    """Frames (T, 3, H, W) of an even brightness under a corruption."""
    stream = make_corruption(spec).start(torch.Generator().manual_seed(3))
    return torch.cat([stream(torch.full((1, 3, *size), value)) for _ in range(frames)])


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


@pytest.mark.parametrize(
    ("spec", "value", "variance"),
    [
        ("gaussian:sigma=0.05", 0.5, 0.05**2),
        ("gaussian", 0.5, 0.1**2),
        ("poisson:peak=100", 0.4, 0.4 / 100),
        ("poisson:peak=400", 0.8, 0.8 / 400),
        ("poisson-gaussian:peak=200,sigma=0.03", 0.5, 0.5 / 200 + 0.03**2),
        ("grain:sigma=0.03,gain=0.002", 0.5, 0.03**2 + 0.001),
    ],
)
def test_mean_variance_and_independence(spec: str, value: float, variance: float) -> None:
    noisy = shown(spec, value)
    count = noisy.numel()
    assert abs(float(noisy.mean()) - value) < 5 * math.sqrt(variance / count)
    assert abs(float(noisy.var()) / variance - 1) < 5 * math.sqrt(2 / count) + 0.005
    assert abs(correlation(noisy[0], noisy[1])) < 0.02, "fresh for each frame"
    assert abs(correlation(noisy[:, 0], noisy[:, 1])) < 0.02, "fresh for each channel"
    assert abs(correlation(noisy[..., 1:], noisy[..., :-1])) < 0.02, "fresh for each pixel"


@pytest.mark.parametrize("size", [0.4, 1.0, 2.0])
def test_grain_has_a_size_and_another_one_where_it_is_colour(size: float) -> None:
    noise = shown(f"grain:sigma=0.05,gain=0,size={size},colour=0.25,colour_size=1.5", 0.5, 6) - 0.5
    grey = noise.mean(dim=1, keepdim=True)
    colour = noise - grey
    assert float(noise.var()) == pytest.approx(0.05**2, rel=0.06)
    assert float(colour.square().mean() / noise.square().mean()) == pytest.approx(0.25, abs=0.02)
    beside = {0.4: 0.08, 1.0: math.exp(-1 / 4), 2.0: math.exp(-1 / 16)}[size]
    assert correlation(grey[..., 1:], grey[..., :-1]) == pytest.approx(beside, abs=0.03)
    assert correlation(colour[..., 1:, :], colour[..., :-1, :]) == pytest.approx(math.exp(-1 / 9), abs=0.03)
    assert abs(correlation(noise[0], noise[1])) < 0.03, "fresh for each frame"


def test_gaussian_noise_is_clipped() -> None:
    noisy = shown("gaussian:sigma=0.2", 0.0)
    assert abs(float((noisy == 0).float().mean()) - 0.5) < 0.005
    assert abs(float(noisy.mean()) - 0.2 / math.sqrt(2 * math.pi)) < 0.001


def test_photons_come_in_whole_numbers() -> None:
    counts = shown("poisson:peak=20", 0.3) * 20
    torch.testing.assert_close(counts, counts.round())
    for number in (4, 6, 9):
        chance = math.exp(-6) * 6**number / math.factorial(number)
        assert abs(float((counts.round() == number).float().mean()) - chance) < 0.003
    assert float(shown("poisson", 0.0).max()) == 0, "black has no photons"


def test_impulses_are_white_and_black_pixels() -> None:
    frames = shown("impulse:salt=0.05,pepper=0.1", 0.5, frames=8)
    assert set(frames.unique().tolist()) == {0.0, 0.5, 1.0}
    assert torch.equal(frames[:, 0], frames[:, 1]) and torch.equal(frames[:, 0], frames[:, 2]), "of all channels"
    pixels = frames[:, 0]
    assert abs(float((pixels == 1).float().mean()) - 0.05) < 0.003
    assert abs(float((pixels == 0).float().mean()) - 0.1) < 0.004
    assert abs(correlation(pixels[0], pixels[1])) < 0.03
    assert float(shown("impulse:salt=0,pepper=0", 0.5).std()) == 0


def test_dropped_patches_are_whole_cells_of_a_grid() -> None:
    frames = shown("patch-drop:p=0.2,size=8", 0.5, frames=12, size=(100, 68))
    # 13 rows and 9 columns; the last of each are cut off by the frame.
    corners = frames[:, :1, ::8, ::8]
    assert corners.shape[2:] == (13, 9)
    grown = corners.repeat_interleave(8, 2).repeat_interleave(8, 3)[..., :100, :68]
    assert torch.equal(frames, grown.expand(-1, 3, -1, -1))
    assert abs(float((corners == 0).float().mean()) - 0.2) < 0.04
    assert abs(correlation(corners[0], corners[1])) < 0.3
    assert float(shown("patch-drop:p=1", 0.5).max()) == 0


def test_frames_are_dropped_whole_and_each_by_itself() -> None:
    stream = make_corruption("frame-drop:p=0.3").start(torch.Generator().manual_seed(0))
    batches = torch.stack([stream(torch.full((50, 3, 2, 2), 0.5)) for _ in range(60)])
    dropped = (batches == 0).all(dim=(2, 3, 4)).float()
    assert torch.equal(dropped, (batches == 0).any(dim=4).any(dim=3).any(dim=2).float())
    assert abs(float(dropped.mean()) - 0.3) < 0.04
    assert abs(correlation(dropped[1:], dropped[:-1])) < 0.06, "over frames"
    assert abs(correlation(dropped[:, 1:], dropped[:, :-1])) < 0.06, "over the batch"
