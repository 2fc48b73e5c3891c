"""What people see, the figures must say: flicker is worse, and neither blur nor a frozen or smeared clip is better.

The reference, a blurred and a flickering version of one still scene are ColorVideoVDP's; carphone moves.
"""

from collections.abc import Callable

import pytest
import torch
from conftest import CLIPS
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from holdsteady import video
from holdsteady.flow.dis import DISFlow
from holdsteady.metrics import (
    FlickerError,
    Instability,
    InstabilityRMS,
    VideoScores,
    WarpError,
    flicker_error,
    over_clip,
)


def load(name: str) -> Tensor:
    """A clip (T, 3, H, W)."""
    with video.open_video(str(CLIPS / name)) as reader:
        return torch.cat(list(video.upright_tensors(reader)))


@pytest.fixture(scope="module")
def versions() -> dict[str, Tensor]:
    return {name: load(f"vdp_{name}.mp4") for name in ("ref", "blur", "flicker")}


def scores(clip: Tensor, truth: Tensor) -> dict[str, float]:
    scorer = VideoScores()
    for frame, true in zip(clip.split(1), truth.split(1), strict=True):
        scorer.update(frame, true)
    return scorer.compute()


FIGURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "instability": lambda clip, _: run(Instability(), clip),
    "instability_rms": lambda clip, _: run(InstabilityRMS(), clip),
    "flicker_error": lambda clip, truth: run(FlickerError(), clip, truth),
    "warp_error": lambda clip, truth: run(WarpError(DISFlow(max_height=180)), clip, truth),
}


def run(metric: Callable[..., Tensor], *clips: Tensor) -> Tensor:
    for frames in zip(*(clip.split(1) for clip in clips), strict=True):
        metric(*frames)
    return metric.compute()


@pytest.mark.parametrize("figure", FIGURES)
def test_flicker_is_worse_than_the_reference_and_blur_is_no_better(figure: str, versions: dict[str, Tensor]) -> None:
    reference, smooth, flickering = (FIGURES[figure](versions[name], versions["ref"]) for name in versions)
    assert flickering > reference
    # Both stand still, but for the rounding of a warp.
    assert flickering > 1e4 * smooth
    assert smooth >= reference - 1e-9


def test_what_is_shown_beside_flicker_tells_the_blurred_clip_from_the_reference(versions: dict[str, Tensor]) -> None:
    reference, smooth = (scores(versions[name], versions["ref"]) for name in ("ref", "blur"))
    assert reference["flicker_error"] == 0
    assert smooth["psnr"] < reference["psnr"] - 20
    assert smooth["ssim"] < reference["ssim"] - 5e-4
    better = [name for name in ("flicker_error", "instability", "instability_rms") if smooth[name] < reference[name]]
    assert not better


def smeared(clip: Tensor) -> Tensor:
    """An exponential average with a fifth of the present."""
    frames = [clip[0]]
    for frame in clip[1:]:
        frames.append(0.2 * frame + 0.8 * frames[-1])
    return torch.stack(frames)


def frozen(clip: Tensor) -> Tensor:
    return clip[:1].expand_as(clip)


def blurred(clip: Tensor) -> Tensor:
    return gaussian_blur(clip, [9, 9])


@pytest.mark.parametrize("spoil", [frozen, smeared, blurred])
def test_frozen_smeared_and_blurred_clips_lose_though_they_change_less(spoil: Callable[[Tensor], Tensor]) -> None:
    truth = load("carphone.mp4")
    spoilt = spoil(truth)
    figures, zero = scores(spoilt, truth), scores(truth, truth)
    assert zero["flicker_error"] == 0
    assert figures["instability_rms"] < 0.9 * zero["instability_rms"], "plain instability calls it steadier"
    assert figures["flicker_error"] > 0.3 * zero["instability_rms"]
    assert figures["psnr"] < 40
    torch.testing.assert_close(over_clip(flicker_error, truth[None], truth[None]), torch.zeros(1))
