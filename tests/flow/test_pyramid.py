"""Flow of plain operations: it finds motion, as OpenCV's does."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.dis import DISFlow, Flow
from holdsteady.flow.pyramid import PyramidFlow
from holdsteady.flow.warp import warp
from holdsteady.video import open_video, upright_tensors


def textured(height: int, width: int, cell: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // cell, width // cell, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bicubic")


@pytest.mark.parametrize("move", [(0.0, 0.0), (0.4, -0.3), (3.0, 2.0), (-9.0, 5.0)])
def test_a_translation_is_found(move: tuple[float, float]) -> None:
    previous = textured(96, 128)
    flow = torch.tensor(move)[None, :, None, None].expand(1, 2, 96, 128)
    found = PyramidFlow()(warp(previous, flow), previous)
    inside = found[..., 16:-16, 16:-16]
    assert (inside - flow[..., 16:-16, 16:-16]).abs().median() < 0.05


def test_streams_do_not_see_each_other_and_neither_scale_nor_sign_matters() -> None:
    previous = textured(64, 64)
    present = previous.roll(2, dims=3)
    flow = PyramidFlow()
    alone = flow(present, previous)
    both = flow(torch.cat((present, previous)), torch.cat((previous, previous)))
    assert torch.allclose(both[:1], alone, atol=1e-5)
    assert both[1:].abs().max() < 1e-4
    assert torch.allclose(flow(5 - 3 * present, 5 - 3 * previous), alone, atol=1e-2)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 17)])
@pytest.mark.parametrize("scale", [1, 4])
def test_any_size_and_flat_images_have_a_flow(size: tuple[int, int], scale: int) -> None:
    grey = torch.full((2, 3, *size), 0.5)
    found = PyramidFlow(scale, mend=True)(grey, grey)
    assert found.shape == (2, 2, *size)
    assert torch.equal(found, torch.zeros_like(found))


def test_real_footage_is_explained_as_well_as_by_dis(carphone: str) -> None:
    with open_video(carphone) as reader:
        clip = [frame for _, frame in zip(range(8), upright_tensors(reader), strict=False)]
    pairs = list(pairwise(clip))

    def left(flow: Flow) -> float:
        return float(
            torch.stack([(now - warp(before, flow(now, before))).square().mean() for before, now in pairs]).mean()
        )

    pyramid = left(PyramidFlow())
    assert pyramid < 0.5 * left(lambda now, _: now.new_zeros(1, 2, *now.shape[2:]))
    assert pyramid < 1.3 * left(DISFlow())


def test_holes_do_not_mislead_it() -> None:
    previous = textured(96, 96)
    present = previous.roll(2, dims=3)
    for top in range(8, 80, 24):
        present[..., top : top + 8, 30:38] = 0
    found = PyramidFlow(mend=True)(present, previous)
    assert (found[:, 0, 16:-16, 16:-16] + 2).abs().median() < 0.1


def test_it_stands_in_at_about_the_same_resolution() -> None:
    assert [PyramidFlow.like(DISFlow(), height).scale for height in (144, 360, 480, 720, 1080)] == [1, 1, 2, 2, 4]
    assert PyramidFlow.like(DISFlow(mend=True), 144).mend
    assert PyramidFlow(2).multiple == 32
