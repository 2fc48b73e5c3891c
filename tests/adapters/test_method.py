"""The formulas against loops written from docs/method.md, and their properties."""

import math

import formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters import method, trust
from holdsteady.adapters.means import cell_mean, energy, shrink

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
scales = st.sampled_from([1e-6, 1.0, 1e4])

LAGS = torch.zeros(1, 1, 1, 1)  # a memory that does not follow a fade


def maps(seed: int, number: int, shape: tuple[int, ...], scale: float = 1.0) -> list[Tensor]:
    return list(scale * torch.randn(number, *shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_spatial_fusion_is_the_formula(kernel: int, shared: bool) -> None:
    present, memory = maps(0, 2, (2, 4, 5, 6))
    (logits,) = maps(1, 1, (2, (1 if shared else 4) * kernel**2, 5, 6), scale=3)
    expected = formulas.spatial(present, memory, logits, kernel)
    torch.testing.assert_close(method.spatial(present, memory, logits, kernel), expected, atol=1e-6, rtol=1e-6)


def test_a_box_mean_is_over_what_is_inside() -> None:
    (value,) = maps(0, 1, (2, 3, 7, 6))
    torch.testing.assert_close(method.box_mean(value), formulas.box_mean(value))


@pytest.mark.parametrize("groups", [1, 4])
def test_controlled_fusion_may_share_logits_between_all_channels(groups: int) -> None:
    present, memory = maps(0, 2, (2, 4, 3, 5))
    (logits,) = maps(1, 1, (2, groups, 3, 5))
    each = logits.repeat_interleave(4 // groups, dim=1)
    torch.testing.assert_close(
        method.controlled(present, memory, logits), formulas.ema(present, memory, 1 - torch.sigmoid(each))
    )


@settings(max_examples=30, deadline=None)
@given(seeds, shapes, scales)
def test_spatial_fusion_with_a_window_of_one_is_controlled_fusion(
    seed: int, shape: tuple[int, ...], scale: float
) -> None:
    present, memory, logits = maps(seed, 3, shape, scale)
    torch.testing.assert_close(
        method.spatial(present, memory, logits, kernel=1),
        method.controlled(present, memory, logits),
        rtol=1e-5,
        atol=1e-6 * scale,
    )
    torch.testing.assert_close(
        method.controlled(present, memory, logits), formulas.ema(present, memory, 1 - torch.sigmoid(logits))
    )


@settings(max_examples=60, deadline=None)
@given(seeds, shapes, scales, st.sampled_from([1, 3, 5]), st.booleans())
def test_a_fused_value_stays_within_what_was_seen(
    seed: int, shape: tuple[int, ...], scale: float, kernel: int, shared: bool
) -> None:
    present, memory = maps(seed, 2, shape)
    batch, channels, height, width = shape
    (logits,) = maps(seed + 1, 1, (batch, (1 if shared else channels) * kernel**2, height, width), scale)
    low = torch.minimum(present, memory.amin(dim=(2, 3), keepdim=True).clamp_max(0))
    high = torch.maximum(present, memory.amax(dim=(2, 3), keepdim=True).clamp_min(0))
    fused = method.spatial(present, memory, logits, kernel)
    assert (fused >= low - 1e-6).all()
    assert (fused <= high + 1e-6).all()
    logits = logits[:, :channels] if not shared else logits[:, :1]
    for both in (method.controlled(present, memory, logits), method.ema(present, memory, torch.sigmoid(logits))):
        assert (both >= torch.minimum(present, memory) - 1e-6).all()
        assert (both <= torch.maximum(present, memory) + 1e-6).all()


@given(seeds, st.floats(-1e30, 1e30), st.floats(0, 1, exclude_min=True, width=32))
@settings(max_examples=60, deadline=None)
def test_a_spike_in_the_memory_costs_no_accuracy(seed: int, spike: float, beta: float) -> None:
    (present,) = maps(seed, 1, (1, 1, 2, 2))
    memory = torch.full_like(present, spike)
    expected = formulas.ema(present.double(), memory.double(), beta)
    torch.testing.assert_close(method.ema(present, memory, beta).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(method.ema(present, memory, 1.0), present)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    present, memory = torch.full((1, 1, 2, 2), 6e4, dtype=dtype), torch.full((1, 1, 2, 2), -6e4, dtype=dtype)
    zero = torch.zeros(1, 1, 2, 2, dtype=dtype)
    for fused in (
        method.ema(present, memory, 0.5),
        method.controlled(present, memory, zero),
        method.spatial(present, memory, zero, 1),
    ):
        assert fused.abs().max() < 1e3


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.0, 4.0, 6.0])
def test_gaussian_weights(sigma: float) -> None:
    weights = method.gaussian_weights(sigma)
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
    assert torch.equal(method.spatial(present, memory, logits, kernel=3), moved)


def test_the_memory_that_is_nearer_around_a_place_is_taken() -> None:
    present, first, second = maps(8, 3, (2, 3, 7, 9))
    one, other = (formulas.box_mean((present - memory).abs()).mean(dim=1, keepdim=True) for memory in (first, second))
    taken = method.nearer(present, first, second)
    torch.testing.assert_close(taken, torch.where(one < other, first, second))
    assert not torch.equal(taken, first)
    assert not torch.equal(taken, second)


def share_of(z: Tensor, still: Tensor, moved: Tensor) -> Tensor:
    z_half, still, moved = (shrink(value, 2) for value in (z, still, moved))
    return method.standing_share(z_half, still, moved, (z.shape[2], z.shape[3]))


def test_mismatch_and_its_parts_are_the_formulas() -> None:
    r, still, moved = maps(0, 3, (1, 3, 13, 18))
    expected = formulas.box_mean(r).square().mean(dim=1, keepdim=True)
    expected = expected + 0.25 * formulas.box_mean(r.square().mean(dim=1, keepdim=True))
    torch.testing.assert_close(method.mismatch(r, energy(r)), expected)
    energies = [formulas.MotionFixed.energy((r - value)[0]) ** 2 for value in (moved, still)]
    share = formulas.enlarge(1.1 * energies[0] / (1.1 * energies[0] + energies[1]), r)
    torch.testing.assert_close(share_of(r, still, moved)[0], share)


def test_noise_cancels_in_signed_means_and_mismatch_does_not() -> None:
    (noise,) = maps(0, 1, (1, 3, 64, 64))
    same = 1.0 * torch.ones(1, 3, 64, 64)
    assert method.mismatch(noise, energy(noise)).mean() < 0.35  # 1/25 + 1/4, of the same energy
    assert method.mismatch(same, energy(same)).mean() == pytest.approx(1.25)


def test_what_fits_as_well_is_taken_from_where_it_stands() -> None:
    z, noise = maps(0, 2, (1, 3, 32, 32))
    assert share_of(z, z + noise, z - noise).mean() == pytest.approx(1.1 / 2.1, abs=1e-6)
    assert share_of(z, z + 3 * noise, z + noise).max() < 0.05
    assert share_of(z, z + noise, z + 3 * noise).min() > 0.95
    assert share_of(z, z, z).isfinite().all()


def test_the_noise_level_follows_noise_at_once_and_mismatch_slowly() -> None:
    span, none = torch.ones(1, 1, 1, 1), torch.full((1, 1, 4, 4), math.nan)
    (noise,) = 0.02 * maps(0, 1, (1, 3, 32, 32))[0][None]
    squares = cell_mean(energy(noise))
    level = trust.noise_level(none, squares, span)
    assert level.sqrt().mean() == pytest.approx(0.02, rel=0.1)
    switched = trust.noise_level(level, torch.ones_like(squares), span)
    torch.testing.assert_close(switched, 1.25 * level)  # drawn to twice itself, by a quarter
    assert trust.noise_level(level, 0 * squares, span).sqrt().min() >= 0.004
    assert trust.noise_level(none, torch.ones_like(squares), span).sqrt().max() <= 0.05 + 1e-6


def test_detail_that_comes_back_is_told_from_noise() -> None:
    none, unknown, level = (
        torch.full((1, 4, 4, 4), math.nan),
        torch.full((1, 1, 1, 1), math.nan),
        torch.ones(1, 1, 4, 4),
    )
    removed, noise = maps(0, 2, (1, 1, 32, 32))

    def returned(r: Tensor, before: Tensor = none) -> tuple[Tensor, Tensor, Tensor]:
        return trust.returned_detail(before, unknown, removed, r, 1e-3 * level, LAGS)

    assert returned(removed)[0].min() > 0.99
    assert returned(noise)[0].mean() < 0.05
    detail, chance = returned(removed)[1], returned(noise)[1]
    torch.testing.assert_close(returned(noise, detail)[1], 0.7 * detail + 0.3 * chance)


@pytest.mark.parametrize(("trend", "share"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0)])
def test_wide_differences_come_back_only_in_a_trend(trend: float, share: float) -> None:
    """What was removed from whole regions and is there again: by chance, or as in a fade."""
    (wide,) = maps(0, 1, (1, 1, 2, 2))
    removed = F.interpolate(wide, scale_factor=32)
    before = torch.full((1, 4, 8, 8), math.nan)
    known = torch.full((1, 1, 1, 1), trend)
    q, _, after = trust.returned_detail(before, known, removed, removed, torch.full((1, 1, 8, 8), 1e-6), LAGS)
    assert after.item() == pytest.approx(0.7 * trend + 0.3)
    inside = q[..., [0, 1, 6, 7]][..., [0, 1, 6, 7], :]  # cells between the regions have detail of their own
    torch.testing.assert_close(inside, torch.full_like(inside, share), atol=1e-2, rtol=0)


def test_frames_behind_a_memory_are_those_of_a_mean() -> None:
    count = torch.ones(())
    for n in range(1, 6):
        assert count.item() == pytest.approx(n)
        count = trust.frames_behind(count, count / (count + 1))
    assert trust.frames_behind(count, torch.zeros(())) == 1
