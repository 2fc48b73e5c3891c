"""*live*: where it sits, that it is motion fixed on small maps, and that it holds tall ones within their own past."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.adapters.live import shrinking
from holdsteady.errors import ConfigError, HoldsteadyError


class Scores(nn.Module):
    """Class scores at a quarter of the sides, enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, frame: Tensor) -> Tensor:
        return F.interpolate(self.head(self.body(frame).relu()), size=frame.shape[2:], mode="bilinear")


def panning(frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    """A smooth texture that moves a pixel a frame to the left, (T, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8 + 2, (width + frames) // 8 + 2, generator=generator)
    big = F.interpolate(coarse, scale_factor=8, mode="bicubic")[0].clamp(0, 1)
    return torch.stack([big[:, :height, t : t + width] for t in range(frames)])


def noisy(clip: Tensor, sigma: float = 0.05) -> Tensor:
    return clip + sigma * torch.randn(clip.shape, generator=torch.Generator().manual_seed(1))


def held(clip: Tensor, adapter: str, **settings_: object) -> Tensor:
    steady = hs.stabilize(lambda frame: frame, adapter, **settings_)
    return torch.cat([steady(frame[None]) for frame in clip])


@pytest.mark.parametrize(("height", "scale"), [(1, 1), (119, 1), (239, 1), (240, 2), (480, 4), (1080, 8), (2160, 16)])
def test_tall_maps_are_shrunk_by_powers_of_two(height: int, scale: int) -> None:
    assert shrinking(height, 120) == scale
    assert height // scale >= min(height, 120)


def test_small_maps_are_held_as_by_motion_fixed() -> None:
    clip = noisy(panning(5, 64, 80))
    assert torch.equal(held(clip, "live"), held(clip, "motion-fixed", deflicker=False))


@pytest.mark.parametrize("size", [(240, 320), (251, 333), (64, 96)])
def test_noise_falls_and_no_value_leaves_its_history(size: tuple[int, int]) -> None:
    clean = panning(8, *size)
    clip = noisy(clean)
    out = held(clip, "live", max_height=32)
    error = (out[4:] - clean[4:]).square().mean().sqrt()
    assert error < 0.6 * (clip[4:] - clean[4:]).square().mean().sqrt()
    assert out.min() >= clip.min() - 1e-6
    assert out.max() <= clip.max() + 1e-6


def test_another_picture_is_shown_at_once() -> None:
    first, second = panning(4, 128, 160), panning(1, 128, 160, seed=7)
    out = held(torch.cat((first, second)), "live", max_height=32)
    assert (out[-1] - second[0]).abs().mean() < 0.02


@settings(max_examples=8, deadline=None)
@given(height=st.integers(30, 90), width=st.integers(30, 90), channels=st.integers(1, 5), most=st.integers(16, 40))
def test_streams_of_a_batch_do_not_leak(height: int, width: int, channels: int, most: int) -> None:
    clips = torch.rand(2, 3, channels, height, width, generator=torch.Generator().manual_seed(height))
    frames = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(width))

    def run(streams: Tensor) -> Tensor:
        outputs = iter(streams.unbind(1))
        steady = hs.stabilize(lambda _frame: next(outputs), "live", max_height=most, fuse_as="values")
        return torch.stack([steady(frame.expand(len(streams), -1, -1, -1)) for frame in frames], dim=1)

    assert torch.allclose(run(clips), torch.cat([run(clip[None]) for clip in clips]), atol=1e-5)


def test_scores_are_held_before_they_are_enlarged() -> None:
    model = Scores().eval()
    frames = noisy(panning(6, 64, 96))
    with torch.inference_mode():  # every class somewhere: one that is ahead everywhere never flips
        model.head.bias -= model.head(model.body(frames).relu()).mean(dim=(0, 2, 3))
    steady = hs.stabilize(model, "live", example=frames[:1])
    assert [point.name for point in steady.adapter(0).points] == ["head"]
    with torch.inference_mode():
        alone = torch.cat([model(frame[None]) for frame in frames]).argmax(1)
        out = torch.cat([steady(frame[None]) for frame in frames]).argmax(1)
    flips: Callable[[Tensor], float] = lambda labels: float((labels[1:] != labels[:-1]).float().mean())  # noqa: E731
    assert flips(alone) > 0.01
    assert flips(out) < 0.8 * flips(alone)


def test_pictures_are_held_at_the_output() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.Upsample(scale_factor=2)).eval()
    steady = hs.stabilize(model, "live", example=torch.rand(1, 3, 64, 64))
    assert [point.name for point in steady.adapter(0).points] == ["output"]


def test_what_it_refuses() -> None:
    with pytest.raises(ConfigError, match="one point"):
        hs.stabilize(lambda frame: frame, "live", points=("input", "output"))
    with pytest.raises(ConfigError, match="needs example"):
        hs.stabilize(Scores(), "live")
    with pytest.raises(HoldsteadyError, match="deflicker"):
        hs.stabilize(lambda frame: frame, "live", deflicker=True)
