"""The pure functions of the method against loops written from the formulas, and their properties."""

import math
from collections.abc import Callable

import formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from holdsteady.adapters import fusion
from holdsteady.adapters.bands import in_bands, without_bands

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
scales = st.sampled_from([1e-6, 1.0, 1e4])


def maps(seed: int, number: int, shape: tuple[int, ...], scale: float = 1.0) -> list[Tensor]:
    return list(scale * torch.randn(number, *shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture(params=["whole", "strips"])
def height_of_strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps as small as those of the tests are computed whole; or else one or two rows at a time."""
    if request.param == "strips":
        monkeypatch.setattr("holdsteady.adapters.window._STRIP", 1)
        monkeypatch.setattr("holdsteady.adapters.window._PLACES", 8)


@pytest.mark.usefixtures("height_of_strips")
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "dilations"), [(1, (1,)), (3, (1,)), (3, (2,)), (5, (1,)), (3, (1, 2)), (5, (2, 1))]
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_spatial_fusion_is_the_formula(
    kernel: int, dilations: tuple[int, ...], groups: int, memory_format: torch.memory_format
) -> None:
    present, memory = (value.contiguous(memory_format=memory_format) for value in maps(0, 2, (2, 4, 5, 6)))
    (logits,) = maps(1, 1, (2, len(dilations) * groups * kernel**2, 5, 6), scale=3)
    before = [value.clone() for value in (present, memory, logits)]
    torch.testing.assert_close(
        fusion.spatial(present, memory, logits.contiguous(memory_format=memory_format), kernel, dilations),
        formulas.spatial(present, memory, logits, kernel, dilations),
        atol=1e-6,
        rtol=1e-6,
    )
    assert all(torch.equal(old, new) for old, new in zip(before, (present, memory, logits), strict=True))


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_layers_logits_need_not_exist_as_a_whole(
    rows: int, side: int, order: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdsteady.adapters.window._STRIP", 1)
    monkeypatch.setattr("holdsteady.adapters.window._PLACES", 6 * rows)
    present, memory = (value.contiguous(memory_format=order) for value in maps(0, 2, (2, 4, 7, 6)))
    hidden = maps(1, 1, (2, 5, 7, 6))[0].contiguous(memory_format=order)
    layer = torch.nn.Conv2d(5, 2 * 18, side, padding=side // 2)
    with torch.no_grad():
        whole = formulas.spatial(present, memory, layer(hidden), 3, (1, 2))
        most = 0

        def look(_layer: object, _inputs: object, output: Tensor) -> None:
            nonlocal most
            most = max(most, output.shape[2])

        layer.register_forward_hook(look)
        parts = fusion.spatial_by(layer, present, memory, hidden, 3, (1, 2))
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-6)
    assert most == (7 if rows == 7 else 0)
    layer.requires_grad_()
    trained = fusion.spatial_by(layer, present, memory, hidden, 3, (1, 2))
    torch.testing.assert_close(trained, whole, atol=1e-6, rtol=1e-6)
    assert trained.requires_grad


@pytest.mark.parametrize("height", [2, 9, 30])
@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize(
    ("cached", "largest", "least", "rows"),
    [
        (1, 1, 0, lambda _: 1),  # never less than a row
        (20, 1, 0, lambda _: 2),  # what is in the cache, whatever the border
        (1, 1000, 0, lambda reach: 6 * reach),  # a multiple of what the border takes
        (1, 40, 0, lambda _: 4),  # if that is not too large
        (1, 40, 3, lambda reach: max(4, 3 * reach)),  # but a smaller multiple at the least
    ],
)
def test_bands_are_the_whole(
    height: int,
    reach: int,
    cached: int,
    largest: int,
    least: int,
    rows: Callable[[int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Maps of 2 channels and 5 columns: ten values a row."""
    for name, value in {"_CACHED": cached, "_LARGEST": largest, "_HEIGHT": 6, "_LEAST": least}.items():
        monkeypatch.setattr(f"holdsteady.adapters.bands.{name}", value)
    (map_,) = maps(0, 1, (1, 2, height, 5))
    seen = []

    def blurred(rows: slice) -> Tensor:
        seen.append(map_[:, :, rows].shape[2])
        side = 2 * reach + 1
        return torch.nn.functional.avg_pool2d(map_[:, :, rows], side, 1, reach, count_include_pad=True)

    with torch.no_grad():
        parts = in_bands(blurred, map_, 2, reach)
        torch.testing.assert_close(parts, blurred(slice(0, height)), atol=1e-6, rtol=1e-6)
        seen.pop()
        assert (len(seen) == 1) == (height <= rows(reach))
        assert max(seen) <= rows(reach) + 2 * reach
        with without_bands():
            assert torch.equal(in_bands(blurred, map_, 2, reach), blurred(slice(0, height)))
        assert seen[-2:] == [height, height]


@pytest.mark.usefixtures("height_of_strips")
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_fusions_own_way_back(groups: int, kernel: int, order: torch.memory_format) -> None:
    def leaf(value: Tensor) -> Tensor:
        return value.double().contiguous(memory_format=order).requires_grad_()

    present, memory = (leaf(value) for value in maps(0, 2, (1, 4, 3, 4)))
    logits = leaf(maps(1, 1, (1, 2 * kernel**2 * groups, 3, 4))[0])
    assert torch.autograd.gradcheck(lambda *values: fusion.spatial(*values, kernel, (1, 2)), (present, memory, logits))
    assert torch.autograd.gradcheck(fusion.controlled, (present, memory, logits.detach()[:, :groups].requires_grad_()))


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2), (torch.float16, 3e-3)])
@pytest.mark.parametrize("logit", [0.0, 15.0, 100.0, 1e4])
def test_gradients_are_as_fine_where_logits_are_large(dtype: torch.dtype, near: float, logit: float) -> None:
    present, memory = (value.to(dtype) for value in maps(0, 2, (1, 2, 5, 6)))
    logits = (maps(1, 1, (1, 18, 5, 6))[0] + logit).to(dtype)

    def gradients(way: Callable[..., Tensor], kind: torch.dtype) -> list[Tensor]:
        leaves = [value.to(kind).requires_grad_() for value in (present, memory, logits)]
        return list(torch.autograd.grad(way(*leaves, 3).square().sum(), leaves))

    expected = gradients(formulas.spatial, torch.float64)
    for own, other in zip(gradients(fusion.spatial, dtype), expected, strict=True):
        assert (own - other).abs().max() <= near * max(1.0, float(other.abs().max()))


def test_large_values_stay_what_they_are() -> None:
    value = torch.full((1, 4, 8, 8), 1e33)
    fused = fusion.spatial(value, value, torch.full((1, 36, 8, 8), 39.0), 3)
    torch.testing.assert_close(fused[..., 1:-1, 1:-1], value[..., 1:-1, 1:-1], rtol=1e-5, atol=0)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_controlled_fusion_shares_logits_between_neighbouring_channels(groups: int) -> None:
    present, memory = maps(0, 2, (2, 4, 3, 5))
    (logits,) = maps(1, 1, (2, groups, 3, 5))
    each = logits.repeat_interleave(4 // groups, dim=1)
    torch.testing.assert_close(
        fusion.controlled(present, memory, logits), formulas.ema(present, memory, 1 - torch.sigmoid(each))
    )


@settings(max_examples=30, deadline=None)
@given(seeds, shapes, scales)
def test_spatial_fusion_with_a_window_of_one_is_controlled_fusion(
    seed: int, shape: tuple[int, ...], scale: float
) -> None:
    present, memory, logits = maps(seed, 3, shape, scale)
    torch.testing.assert_close(
        fusion.spatial(present, memory, logits, kernel=1),
        fusion.controlled(present, memory, logits),
        rtol=1e-5,
        atol=1e-6 * scale,
    )
    torch.testing.assert_close(
        fusion.controlled(present, memory, logits), formulas.ema(present, memory, 1 - torch.sigmoid(logits))
    )


@settings(max_examples=60, deadline=None)
@given(seeds, shapes, scales, st.sampled_from([1, 3, 5]), st.integers(1, 3), st.booleans())
def test_a_fused_value_stays_within_what_was_seen(
    seed: int, shape: tuple[int, ...], scale: float, kernel: int, dilation: int, shared: bool
) -> None:
    present, memory = maps(seed, 2, shape)
    batch, channels, height, width = shape
    (logits,) = maps(seed + 1, 1, (batch, (1 if shared else channels) * kernel**2, height, width), scale)
    low = torch.minimum(present, memory.amin(dim=(2, 3), keepdim=True).clamp_max(0))
    high = torch.maximum(present, memory.amax(dim=(2, 3), keepdim=True).clamp_min(0))
    fused = fusion.spatial(present, memory, logits, kernel, (dilation,))
    assert (fused >= low - 1e-6).all()
    assert (fused <= high + 1e-6).all()
    logits = logits[:, :channels] if not shared else logits[:, :1]
    for both in (fusion.controlled(present, memory, logits), fusion.ema(present, memory, torch.sigmoid(logits))):
        assert (both >= torch.minimum(present, memory) - 1e-6).all()
        assert (both <= torch.maximum(present, memory) + 1e-6).all()


@given(seeds, st.floats(-1e30, 1e30), st.floats(0, 1, exclude_min=True, width=32))
@settings(max_examples=60, deadline=None)
def test_a_spike_in_the_memory_costs_no_accuracy(seed: int, spike: float, beta: float) -> None:
    (present,) = maps(seed, 1, (1, 1, 2, 2))
    memory = torch.full_like(present, spike)
    expected = formulas.ema(present.double(), memory.double(), beta)
    torch.testing.assert_close(fusion.ema(present, memory, beta).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(fusion.ema(present, memory, 1.0), present)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    present, memory = torch.full((1, 1, 2, 2), 6e4, dtype=dtype), torch.full((1, 1, 2, 2), -6e4, dtype=dtype)
    zero = torch.zeros(1, 1, 2, 2, dtype=dtype)
    for fused in (
        fusion.ema(present, memory, 0.5),
        fusion.controlled(present, memory, zero),
        fusion.spatial(present, memory, zero, 1),
    ):
        assert fused.abs().max() < 1e3


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.0, 4.0, 6.0])
def test_gaussian_weights(sigma: float) -> None:
    weights = fusion.gaussian_weights(sigma)
    assert len(weights) - 1 >= 3 * sigma > len(weights) - 2
    assert weights.sum().item() == pytest.approx(1)
    for age, weight in enumerate(weights.tolist()):
        assert weight / weights[0].item() == pytest.approx(math.exp(-(age**2) / (2 * sigma**2)), rel=1e-5)


@pytest.mark.parametrize("offset", [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (0, 0)])
def test_a_hand_set_kernel_follows_a_shift_exactly(offset: tuple[int, int]) -> None:
    present, memory = maps(0, 2, (1, 2, 5, 6))
    down, right = offset  # the scene moved by this, so what is at p now was at p − offset
    logits = torch.full((1, 9, 5, 6), -math.inf)
    logits[:, (1 - down) * 3 + (1 - right)] = 1e4
    moved = torch.zeros_like(memory)
    for y in range(5):
        for x in range(6):
            if 0 <= y - down < 5 and 0 <= x - right < 6:
                moved[..., y, x] = memory[..., y - down, x - right]
    assert torch.equal(fusion.spatial(present, memory, logits, kernel=3), moved)


def test_the_memory_that_is_nearer_around_a_place_is_taken() -> None:
    present, first, second = maps(8, 3, (2, 3, 7, 9))
    one, other = (formulas.box_mean((present - memory).abs()).mean(dim=1, keepdim=True) for memory in (first, second))
    taken = fusion.nearer(present, first, second)
    torch.testing.assert_close(taken, torch.where(one < other, first, second))
    assert not torch.equal(taken, first)
    assert not torch.equal(taken, second)


def test_motion_fixed_weight_is_the_formula() -> None:
    present, warped = maps(0, 2, (2, 3, 7, 8))
    present[1] = 5 * present[1]  # each stream has a median of its own
    torch.testing.assert_close(
        fusion.motion_fixed_weight(present, warped, 0.6, 2.0), formulas.motion_fixed_weight(present, warped, 0.6, 2.0)
    )


def test_motion_fixed_weight_of_equal_pictures_is_the_largest() -> None:
    (present,) = maps(0, 1, (1, 3, 7, 8))
    torch.testing.assert_close(fusion.motion_fixed_weight(present, present, 0.6, 2.0), torch.full((1, 1, 7, 8), 0.6))
