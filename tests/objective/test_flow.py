"""Flow of clean clips: a scene that moves by known steps, and a real one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady import video
from holdsteady.errors import LayoutError
from holdsteady.objective import unified_loss
from holdsteady.objective.flow import clean_flow

CARPHONE = Path(__file__).parents[1] / "clips" / "carphone.mp4"


def smooth_world(seed: int, height: int, width: int) -> Tensor:
    noise = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(height, width), mode="bicubic")


def panned(seed: int, step: tuple[int, int], length: int = 3) -> Tensor:
    """A window of 64×80 that moves by (right, down) a frame: (1, T, 3, 64, 80)."""
    world = smooth_world(seed, 64 + 40, 80 + 40)
    starts = [(20 + t * step[1], 20 + t * step[0]) for t in range(length)]
    return torch.stack([world[..., y : y + 64, x : x + 80] for y, x in starts], dim=1)


def test_it_finds_a_known_pan_of_each_stream() -> None:
    steps = [(3, -2), (-4, 1)]
    flows, valid = clean_flow(torch.cat([panned(seed, step) for seed, step in enumerate(steps)]))
    assert flows.shape == (2, 2, 2, 64, 80)
    assert valid.shape == (2, 2, 1, 64, 80)
    assert valid.dtype == torch.bool
    for b, step in enumerate(steps):
        inner = flows[b, :, :, 12:-12, 12:-12]
        error = (inner - torch.tensor(step).view(1, 2, 1, 1)).abs()
        assert error.median() < 0.1
        assert valid[b, :, :, 12:-12, 12:-12].float().mean() > 0.9
    assert not valid[0, :, :, :, -2:].any(), "what has just come into view has no past"


def test_uncovered_ground_is_masked() -> None:
    ground, square = smooth_world(3, 64, 80), smooth_world(4, 24, 24)
    frames = []
    for left in (20, 26):
        frame = ground.clone()
        frame[..., 20:44, left : left + 24] = square
        frames.append(frame)
    _, valid = clean_flow(torch.stack(frames, dim=1))
    assert valid[0, 0, 0, 24:40, 20:26].float().mean() < 0.3
    assert valid[0, 0, 0, :10].float().mean() > 0.95


def test_a_real_clip_is_steadier_along_its_own_motion() -> None:
    with video.open_video(str(CARPHONE)) as reader:
        frames = [frame for frame, _ in zip(video.upright_tensors(reader), range(6), strict=False)]
    clip = torch.stack(frames, dim=1)
    flows, valid = clean_flow(clip)
    assert 0.3 < valid.float().mean() < 1
    still = unified_loss(clip, clip, stability=0.4).stability
    along = unified_loss(clip, clip, stability=0.4, flows=flows, valid=valid).stability
    assert along < 0.6 * still


def test_no_gradient_goes_through_the_search() -> None:
    flows, _ = clean_flow(panned(0, (1, 0)).requires_grad_())
    assert not flows.requires_grad


@pytest.mark.parametrize("shape", [(1, 1, 3, 32, 32), (2, 3, 32, 32), (1, 2, 3, 1, 32)])
def test_what_is_no_clip_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match=r"expected a clip \(B, T, 3, H, W\)"):
        clean_flow(torch.zeros(shape))
