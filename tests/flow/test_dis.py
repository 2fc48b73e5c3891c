"""Optical flow: known translations, ranges, sizes, and frames with noise and holes."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.dis import DISFlow
from holdsteady.flow.warp import warp
from holdsteady.video import open_video, upright_tensors


def texture(height: int, width: int, cell: int = 4, seed: int = 0) -> Tensor:
    """A picture (1, 3, H, W) about 0.5 with detail of ``cell`` pixels."""
    coarse = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, scale_factor=cell, mode="bicubic")[..., :height, :width]


@pytest.mark.parametrize("size", [(64, 80), (33, 40)])
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 4)])
def test_a_known_translation_is_found(size: tuple[int, int], shift: tuple[int, int]) -> None:
    big = texture(size[0] + 20, size[1] + 20, cell=6)
    down, right = shift
    previous = big[..., 10 : 10 + size[0], 10 : 10 + size[1]]
    present = big[..., 10 + down :, 10 + right :][..., : size[0], : size[1]]  # present[p] = previous[p + shift]
    flow = DISFlow()(present, previous)
    assert flow.shape == (1, 2, *size)
    inner = flow[..., 8:-8, 8:-8].flatten(2).median(dim=2).values[0]
    torch.testing.assert_close(inner, torch.tensor([float(right), float(down)]), atol=0.3, rtol=0)


def test_each_stream_has_a_flow_of_its_own() -> None:
    a, b = texture(48, 48), texture(48, 48, seed=5)
    present, previous = torch.cat((a, b)), torch.cat((a.roll(2, dims=3), b.roll(-3, dims=2)))
    both = DISFlow()(present, previous)
    for i in range(2):
        assert torch.equal(both[i : i + 1], DISFlow()(present[i : i + 1], previous[i : i + 1]))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (8, 8), (15, 40), (31, 31)])
def test_tiny_pictures_have_a_flow(size: tuple[int, int]) -> None:
    flow = DISFlow()(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert flow.shape == (2, 2, *size)
    assert flow.isfinite().all()


def test_flat_and_extreme_pictures_have_a_flow() -> None:
    flat = torch.full((1, 1, 40, 40), 3.0)
    assert DISFlow()(flat, flat).abs().max() == 0
    assert DISFlow()(flat * 1e30, -flat * 1e30).isfinite().all()


def test_the_range_of_the_pictures_does_not_matter() -> None:
    present, previous = texture(48, 48), texture(48, 48).roll(2, dims=3)
    flow = DISFlow()(present, previous)
    scaled = DISFlow()(present * 1000 - 500, previous * 1000 - 500)
    torch.testing.assert_close(scaled, flow, atol=0.1, rtol=0)  # eight bits may round differently


def test_tall_pictures_are_searched_at_540_lines() -> None:
    """At twice the height the search sees the same small pictures, and its displacements are doubled."""
    small, before = texture(540, 64, cell=12), texture(540, 64, cell=12).roll(2, dims=3)
    tall, tall_before = (F.interpolate(x, scale_factor=2, mode="nearest") for x in (small, before))
    flow = DISFlow()(tall, tall_before)
    assert flow.shape == (1, 2, 1080, 128)
    torch.testing.assert_close(flow[:, 0, 100:-100, 40:-40].median(), torch.tensor(4.0), atol=0.4, rtol=0)
    halved = DISFlow(max_height=270)(small, before)
    assert not torch.equal(halved, DISFlow()(small, before))


def damaged(picture: Tensor, seed: int) -> Tensor:
    """A frame with strong noise and a tenth of its 8×8 patches lost."""
    generator = torch.Generator().manual_seed(seed)
    lost = torch.rand(1, 1, picture.shape[2] // 8, picture.shape[3] // 8, generator=generator) < 0.1
    kept = 1 - F.interpolate(lost.float(), scale_factor=8)
    return (picture + 0.1 * torch.randn(picture.shape, generator=generator)).clamp(0, 1) * kept


def test_mending_finds_the_motion_of_frames_with_noise_and_holes(carphone: str) -> None:
    """How well the last clean frame, moved along the flow of the damaged one, predicts the clean one."""
    with open_video(carphone) as reader:
        frames = [frame for frame, _ in zip(upright_tensors(reader), range(8), strict=False)]
    errors: dict[bool, list[float]] = {False: [], True: []}
    for t in range(1, len(frames)):
        for mend, found in errors.items():
            flow = DISFlow(mend=mend)(damaged(frames[t], t), frames[t - 1])
            found.append((warp(frames[t - 1], flow) - frames[t]).square().mean().item())
    assert sum(errors[True]) < 0.7 * sum(errors[False])


def test_mended_pictures_of_any_size_have_a_flow() -> None:
    for size in [(1, 1), (7, 40), (600, 30)]:
        flow = DISFlow(mend=True)(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
        assert flow.shape == (2, 2, *size)
        assert flow.isfinite().all()
