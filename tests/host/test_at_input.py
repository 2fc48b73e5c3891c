"""Kinds that hold the frames steady before the model sees them."""

from collections.abc import Iterator

import pytest
import torch
from conftest import CLIPS
from torch import Tensor, nn

import holdsteady as hs
from holdsteady import video


def frames(count: int, deviation: float = 0.08) -> Iterator[tuple[Tensor, Tensor]]:
    """A real clip (1, 3, 144, 176), without and with noise."""
    generator = torch.Generator().manual_seed(0)
    with video.open_video(str(CLIPS / "carphone.mp4")) as reader:
        for _, frame in zip(range(count), video.upright_tensors(reader), strict=False):
            yield frame, frame + deviation * torch.randn(frame.shape, generator=generator)


class Edges(nn.Module):
    """Classes of a picture: how bright and how steep it is, of one pixel and its neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        grey = x.mean(dim=1, keepdim=True)
        steep = (grey - grey.roll(1, dims=3)).abs()
        return torch.cat((4 * grey, 4 * (1 - grey), 40 * steep, 2 - 40 * steep, torch.ones_like(grey)), dim=1)


@pytest.mark.parametrize("kind", ["motion-fixed", "motion-fixed:0.5"])
def test_the_model_sees_what_a_model_that_changes_nothing_would_give_held_steady(kind: str) -> None:
    whole, apart = hs.stabilize(Edges(), f"{kind}@input"), hs.stabilize(nn.Identity(), kind)
    for _, frame in frames(4):
        torch.testing.assert_close(whole(frame), Edges()(apart(frame)), rtol=0, atol=0)


def test_clean_frames_stay_as_they_are() -> None:
    steady = hs.stabilize(nn.Identity(), "motion-fixed@input")
    errors = [(steady(clean) - clean).square().mean().item() for clean, _ in frames(8)]
    assert max(errors) < 10**-5.5  # 55 dB


def test_classes_of_noisy_frames_are_nearer_to_those_of_clean_ones() -> None:
    """Where noise has changed what a network says, holding its output steady is too late."""
    wrong = dict.fromkeys(("none", "motion-fixed", "motion-fixed@input", "motion-fixed@input+motion-fixed"), 0.0)
    for name in wrong:
        steady = hs.stabilize(Edges(), name)
        for number, (clean, noisy) in enumerate(frames(12)):
            if number > 5:
                wrong[name] += (steady(noisy).argmax(dim=1) != Edges()(clean).argmax(dim=1)).float().mean().item()
            else:
                steady(noisy)
    assert wrong["motion-fixed@input"] < 0.75 * min(wrong["none"], wrong["motion-fixed"])
    assert wrong["motion-fixed@input+motion-fixed"] < 0.75 * min(wrong["none"], wrong["motion-fixed"])


def test_a_known_motion_moves_frames_and_outputs() -> None:
    steady = hs.stabilize(nn.Identity(), "motion-fixed@input+motion-fixed")
    noise = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    picture, state = nn.functional.avg_pool2d(noise, 5, 1, 2), None
    flow = torch.tensor([-2.0, 0.0])[None, :, None, None].expand(1, 2, 48, 48)
    for number in range(4):
        shown, state = steady.step(picture.roll(2 * number, dims=3), state, flow=flow)
    torch.testing.assert_close(shown[..., 16:], picture.roll(6, dims=3)[..., 16:], rtol=0, atol=0.02)


def test_the_frames_are_left_as_they_came_and_nan_passes_through() -> None:
    steady = hs.stabilize(nn.Identity(), "motion-fixed@input")
    for number, (_, frame) in enumerate(frames(3)):
        frame[..., 5, 5] = torch.nan if number == 1 else 0.5
        before = frame.clone()
        shown = steady(frame)
        torch.testing.assert_close(frame, before, rtol=0, atol=0, equal_nan=True)
        assert int(shown.isnan().sum()) == (3 if number == 1 else 0)
