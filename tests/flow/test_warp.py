"""Warping and resizing against loops written from the formulas."""

from collections.abc import Callable

import cv2
import formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.flow.dis import DISFlow
from holdsteady.flow.opencv import can_remap
from holdsteady.flow.warp import resize_flow, sample, sample_by_gather, warp, warp_bilinear

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))


def texture(height: int, width: int, cell: int = 4, seed: int = 0) -> Tensor:
    """A picture (1, 3, H, W) about 0.5 with detail of ``cell`` pixels."""
    coarse = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, scale_factor=cell, mode="bicubic")[..., :height, :width]


def maps(seed: int, number: int, shape: tuple[int, ...], scale: float = 1.0) -> list[Tensor]:
    return list(scale * torch.randn(number, *shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_compiled_warp_has_the_same_values_and_gradients(batch: int) -> None:
    memory, flow, weight = (3 * value[:, :2].double() for value in maps(0, 3, (batch, 3, 7, 6)))

    def values_and_slopes(warp: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        leaves = [memory.clone().requires_grad_(), flow.clone().requires_grad_()]
        moved = warp(*leaves)
        return moved, *torch.autograd.grad((weight * moved).sum(), leaves)

    torch._dynamo.reset()
    compiled = torch.compile(warp, fullgraph=True, backend="aot_eager")
    for one, other in zip(values_and_slopes(warp), values_and_slopes(compiled), strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other)


@settings(max_examples=15, deadline=None)
@given(seeds, shapes, st.sampled_from([0.3, 1.0, 8.0]))
def test_warping_is_bicubic_sampling_held_within_the_range(seed: int, shape: tuple[int, ...], reach: float) -> None:
    (memory,) = maps(seed, 1, shape)
    (flow,) = maps(seed + 1, 1, (shape[0], 2, *shape[2:]), reach)
    torch.testing.assert_close(warp(memory, flow), formulas.warp(memory, flow), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("height", [1, 5, 12, 13])
def test_a_picture_is_warped_by_all_threads_alike(height: int) -> None:
    memory, flow = maps(0, 2, (1, 4, height, 9))
    alone = warp(memory, flow[:, :2])
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        torch.testing.assert_close(warp(memory, flow[:, :2]), alone, rtol=0, atol=0)
    finally:
        torch.set_num_threads(before)


def test_warping_along_whole_pixels_moves_the_memory_exactly() -> None:
    (memory,) = maps(0, 1, (1, 3, 7, 8))
    flow = torch.tensor([2.0, -1.0])[None, :, None, None].expand(1, 2, 7, 8)
    warped = warp(memory, flow)
    torch.testing.assert_close(warped[..., 1:, :-2], memory[..., :-1, 2:])
    torch.testing.assert_close(warped[..., 0, :-2], memory[..., 0, 2:])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_a_resized_flow_is_scaled_with_the_picture(height: int, width: int, new_height: int, new_width: int) -> None:
    flow = torch.tensor([3.0, -2.0])[None, :, None, None].expand(1, 2, height, width)
    resized = resize_flow(flow, (new_height, new_width))
    expected = torch.tensor([3 * new_width / width, -2 * new_height / height])[None, :, None, None]
    torch.testing.assert_close(resized, expected.expand(1, 2, new_height, new_width))


def test_gradients_flow_through_what_is_warped_and_not_through_the_flow() -> None:
    present, memory = texture(40, 40).requires_grad_(), texture(40, 40).roll(2, dims=3).requires_grad_()
    flow = DISFlow()(present, memory)
    assert not flow.requires_grad
    warp(memory, flow).square().mean().backward()
    assert present.grad is None
    assert memory.grad is not None
    assert memory.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 6)])
def test_sampling_by_look_ups_is_the_same(size: tuple[int, int], dtype: torch.dtype) -> None:
    """What Apple's GPUs run, in values and in gradients."""
    (source,) = maps(0, 1, (2, 3, *size))
    x, y, weight = (12 * value for value in torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(1)))

    def of(way: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        leaves = [value.to(dtype).requires_grad_() for value in (source, x - 4, y - 3)]
        values = way(*leaves)
        return values, *torch.autograd.grad((weight[:, None] * values).sum(), leaves)

    near = 1e-3 if dtype == torch.float32 else 1e-9
    for one, other in zip(of(sample_by_gather), of(sample), strict=True):
        torch.testing.assert_close(one, other, rtol=near, atol=near)


def test_a_device_without_bicubic_sampling_warps_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, flow = maps(2, 1, (1, 3, 9, 8))[0], 3 * maps(3, 1, (1, 2, 9, 8))[0]
    expected = warp(memory, flow)
    monkeypatch.setattr("holdsteady.flow.warp.sample", sample_by_gather)
    torch.testing.assert_close(warp(memory, flow), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (37, 50)])
@pytest.mark.parametrize("reach", [0.4, 6.0, 1e9])
def test_opencv_looks_up_the_same(size: tuple[int, int], channels: int, reach: float) -> None:
    (source,) = maps(0, 1, (2, channels, *size))
    flow = maps(1, 1, (2, 2, *size), reach)[0]
    for way in (warp, warp_bilinear):
        torch.testing.assert_close(
            way(source, flow).double(), way(source.double(), flow.double()), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_what_is_looked_up_does_not_matter(order: torch.memory_format) -> None:
    source, flow = maps(0, 2, (2, 6, 9, 8))
    for way in (warp, warp_bilinear):
        moved = way(source.contiguous(memory_format=order), 3 * flow[:, :2].contiguous(memory_format=order))
        expected = way(source.double(), 3 * flow[:, :2].double())
        torch.testing.assert_close(moved.double(), expected, rtol=1e-5, atol=1e-5)


def test_opencv_looks_up_only_what_it_serves() -> None:
    source, flow = maps(0, 2, (1, 2, 9, 8))
    assert can_remap(source, flow) == (int(cv2.__version__.partition(".")[0]) >= 5)  # older ones round places
    assert not can_remap(source.double(), flow)
    assert not can_remap(source.clone().requires_grad_(), flow)
    assert not can_remap(source[..., :0], flow)
    assert not can_remap(torch.empty(1, 1, 1, 40_000), flow)
