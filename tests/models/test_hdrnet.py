"""HDRNet: its slicing against slow loops, the identity, sizes, and adapters at its layers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.models.hdrnet import CELLS, DEPTH, HDRNet, apply_affine, slice_grid

HEADS = {"backbone_width": 4, "backbone_layers": 0, "head_width": 4, "head_layers": 0, "vector_width": 4}


def make() -> HDRNet:
    torch.manual_seed(0)
    return HDRNet().eval()


def slow_slice(grid: Tensor, guide: Tensor) -> Tensor:
    """Every pixel as a weighted sum over the whole grid, weights falling to zero at the next centre on each axis."""
    batch, channels, *sizes = grid.shape
    height, width = guide.shape[-2:]
    out = torch.zeros(batch, channels, height, width)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                places = (guide[b, 0, y, x].item(), (y + 0.5) / height, (x + 0.5) / width)
                at = [min(max(p * n - 0.5, 0), n - 1) for p, n in zip(places, sizes, strict=True)]
                for index in torch.cartesian_prod(*(torch.arange(n) for n in sizes)).tolist():
                    weight = math.prod(max(0.0, 1 - abs(a - i)) for a, i in zip(at, index, strict=True))
                    out[b, :, y, x] += weight * grid[b, :, index[0], index[1], index[2]]
    return out


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 1000),
    cells=st.tuples(st.integers(2, 4), st.integers(2, 3), st.integers(2, 3)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_slicing_is_trilinear_interpolation(seed: int, cells: tuple[int, int, int], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(2, 3, *cells, generator=generator)
    guide = torch.rand(2, 1, *size, generator=generator)
    torch.testing.assert_close(slice_grid(grid, guide), slow_slice(grid, guide), rtol=1e-4, atol=1e-5)


def test_a_grid_of_brightness_alone_gives_the_guide_back() -> None:
    centres = (torch.arange(DEPTH) + 0.5) / DEPTH
    grid = centres[:, None, None].expand(1, 1, DEPTH, CELLS, CELLS)
    guide = torch.linspace(0, 1, 35).reshape(1, 1, 5, 7)
    expected = guide.clamp(centres[0].item(), centres[-1].item())
    torch.testing.assert_close(slice_grid(grid, guide), expected)


def test_the_affine_change_is_a_matrix_for_each_pixel() -> None:
    matrices, frame = torch.randn(2, 12, 4, 5), torch.rand(2, 3, 4, 5)
    out = apply_affine(matrices, frame)
    for b, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(5)).tolist():
        matrix = matrices[b, :, y, x].reshape(3, 4)
        torch.testing.assert_close(out[b, :, y, x], matrix @ torch.cat((frame[b, :, y, x], torch.ones(1))))


def test_identity_coefficients_give_the_frame_back() -> None:
    model = make()
    nn.init.zeros_(model.predict.weight)
    frame = torch.rand(2, 3, 30, 41)
    torch.testing.assert_close(model(frame), frame)


@pytest.mark.parametrize("size", [(256, 256), (33, 50), (300, 20), (1, 1)])
def test_any_size(size: tuple[int, int]) -> None:
    model, frame = make(), torch.rand(2, 3, *size)
    with torch.no_grad():
        out = model(frame)
        assert model.coefficients(frame).shape == (2, 12, DEPTH, CELLS, CELLS)
    assert out.shape == frame.shape
    assert not torch.equal(out, frame)
    assert (out - frame).abs().mean() < 0.5  # untrained it is near the identity


def test_points_are_all_layers_and_those_of_the_global_branch_are_vectors() -> None:
    model = make()
    table = {info.point.name: info for info in hs.points(model, torch.rand(1, 3, 64, 64))}
    layouts = {name: info.point.layout.kind for name, info in table.items() if info.point.layout}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            assert layouts[name] == "map"
        if isinstance(module, nn.Linear):
            assert layouts[name] == "vector"


@pytest.mark.parametrize("kind", ["spatial", "controlled", "motion"])
def test_it_can_be_held_steady(kind: str) -> None:
    model, clip = make(), [torch.rand(2, 3, 40, 48) for _ in range(3)]
    more = {"initial_logit": 2.0, **({"preset": "paper", **HEADS} if kind != "motion" else {"motion_width": 4})}
    steady = hs.stabilize(model, kind, example=torch.rand(1, 3, 64, 64), **more)
    names = {point.name for point in steady.adapter(0).points}
    layers = {name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert names == ({"output"} if kind == "motion" else {"output", *layers})
    with torch.no_grad():
        outputs, base = [steady(frame) for frame in clip], [model(frame) for frame in clip]
    assert torch.equal(outputs[0], base[0])
    assert all(out.shape == frame.shape for out, frame in zip(outputs, clip, strict=True))
    assert all(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(outputs[1:], base[1:], strict=True))
