"""The input's own grain and texture: what is one, by closed forms, and what becomes of it."""

import pytest
import torch
from adapters.recorded import held, psnr, scene
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.grain import own_grain, steeper_at_blocks, usual
from holdsteady.corruptions import make_corruption

STILL = torch.zeros(1, 2, 64, 80)
SHARE = torch.ones(1, 1, 64, 80)
PLAIN = torch.zeros(1, 1, 1, 1)  # without blocks
FRAME = scene(1)


def noise(deviation: float, seed: int) -> Tensor:
    return deviation * torch.randn(1, 3, 64, 80, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("deviation", "kept"), [(1 / 255, 1.0), (10 / 255, 0.0)])
@pytest.mark.parametrize("gain", [0.5, 1.0, -3.0])
def test_what_follows_the_input_is_kept_where_it_is_faint(deviation: float, kept: float, gain: float) -> None:
    before, now = FRAME + noise(deviation, 1), FRAME + noise(deviation, 2)
    change = gain * (now - before).mean(dim=1, keepdim=True)
    found = own_grain(change, now, before, STILL, SHARE, PLAIN)
    assert found.shape == (1, 1, 8, 10)
    # A picture in negative has its grain in negative; (24) is for networks that keep the sign.
    torch.testing.assert_close(found, torch.full_like(found, kept if gain > 0 else 0.0))


def test_what_the_network_adds_is_none() -> None:
    before, now = FRAME + noise(1 / 255, 1), FRAME + noise(1 / 255, 2)
    change = noise(2 / 255, 3).mean(dim=1, keepdim=True)
    assert own_grain(change, now, before, STILL, SHARE, PLAIN).max() < 0.1


def test_an_input_that_does_not_change_explains_nothing() -> None:
    assert (own_grain(noise(1 / 255, 3)[:, :1], FRAME, FRAME, STILL, SHARE, PLAIN) == 0).all()
    assert (own_grain(torch.zeros(1, 1, 64, 80), FRAME, FRAME, STILL, SHARE, PLAIN) == 0).all()


def test_it_is_found_along_the_motion() -> None:
    both = scene(2)
    moved = both + torch.cat([noise(1 / 255, seed) for seed in (1, 2)])
    flow = torch.zeros(1, 2, 64, 80)
    flow[:, 0] = 1
    change = (moved[1:] - moved[:1].roll(-1, dims=3)).mean(dim=1, keepdim=True)
    along = own_grain(change, moved[1:], moved[:1], flow, torch.zeros_like(SHARE), PLAIN)
    across = own_grain(change, moved[1:], moved[:1], STILL, SHARE, PLAIN)
    assert along[..., 1:-1, 1:-1].min() > 0.9
    assert across.max() < 0.1


def test_grain_of_the_input_stays_and_noise_of_the_network_goes() -> None:
    clean = scene(16)
    grain = 1.5 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    enhanced = 1.5 * (clean + grain)
    assert psnr(held(enhanced, clean + grain), enhanced) > 50
    added = 1.5 * clean + 1.5 * grain
    shown = held(added, clean)
    assert psnr(shown[6:], 1.5 * clean[6:]) > psnr(added[6:], 1.5 * clean[6:]) + 2.5


def changes(before: Tensor, now: Tensor) -> Tensor:
    """G of a network that passes its input through, in its cells."""
    change = (now - before).mean(dim=1, keepdim=True)
    return own_grain(change, now, before, STILL, SHARE, steeper_at_blocks(now))[0, 0]


def test_what_changes_far_more_than_the_rest_is_texture_however_strong() -> None:
    before, now = FRAME + noise(1 / 255, 1), FRAME + noise(1 / 255, 2)
    now[..., :32, :40] += noise(30 / 255, 3)[..., :32, :40]
    assert changes(before, now)[:3, :4].min() > 0.99


@pytest.mark.parametrize("share", ["even", "growing with the light", "falling with the light"])
def test_noise_that_is_everywhere_at_its_light_is_none(share: str) -> None:
    lit = torch.linspace(0.2, 0.8, 80).expand(1, 3, 64, 80)
    deviation = {"even": 0.05, "growing with the light": 0.1 * lit, "falling with the light": 0.1 * (1 - lit)}[share]
    before, now = (lit + deviation * noise(1.0, seed) for seed in (1, 2))
    assert changes(before, now).mean() < 0.05


def test_a_blank_frame_has_no_texture() -> None:
    for value in (0.0, 0.4):
        assert (changes(FRAME, torch.full_like(FRAME, value)) == 0).all()


def test_cells_that_are_still_or_at_the_ends_of_the_range_say_nothing_of_the_noise() -> None:
    light = torch.linspace(0.1, 0.9, 64).reshape(1, 1, 4, 16)
    noisy = torch.full((1, 1, 4, 16), 4.0)
    for ends, energy in (((0.3, 0.5), 1e-8), ((0.0, 0.02), 0.5), ((0.98, 1.0), 0.5)):
        grain, seen = noisy.clone(), light.clone()
        grain[..., ::3], seen[..., ::3] = energy, torch.linspace(*ends, 6)
        torch.testing.assert_close(usual(grain, seen), noisy)


def test_the_usual_energy_is_the_quarter_of_a_group_on_a_line_between_them() -> None:
    light = torch.linspace(0.1, 0.9, 64).reshape(1, 1, 4, 16)
    rows = torch.tensor([1.0, 2.0, 4.0, 3.0])[:, None].expand(4, 16).clone()
    rows[:, 5:] *= 100
    found = usual(rows[None, None], light)[0, 0]
    torch.testing.assert_close(found[0, :8], torch.ones(8))
    torch.testing.assert_close(found[1, 0].item(), 1.5 + 0.5 / 16)
    torch.testing.assert_close(found[3, 8:], torch.full((8,), 3.0))


def test_without_cells_that_count_nothing_is_unusual() -> None:
    some = torch.ones(2, 1, 4, 5)
    some[1] = 1e-9
    found = usual(some, torch.full_like(some, 0.5))
    assert (found[0] == 1).all() and (found[1] > 1e30).all() and found.isfinite().all()


def test_what_is_beside_a_caption_or_enlarged_is_no_block() -> None:
    caption = FRAME.clone()
    caption[..., 16:32, 24:48] = 1
    assert abs(steeper_at_blocks(caption).item() - steeper_at_blocks(FRAME).item()) < 0.25
    small = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    for mode in ("bilinear", "nearest"):
        assert steeper_at_blocks(F.interpolate(small, scale_factor=2, mode=mode)).item() < 1.25


def test_blocks_of_jpeg_are_seen_and_nothing_strong_is_texture_between_them() -> None:
    jpeg = make_corruption("jpeg:quality=10").start(torch.Generator())
    assert 0.5 < steeper_at_blocks(FRAME).item() < 1.25
    assert steeper_at_blocks(jpeg(FRAME)).item() > 1.45
    blocks = torch.rand(1, 3, 8, 10).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    before, now = blocks + noise(1 / 255, 1), blocks + noise(1 / 255, 2)
    now[..., :32, :40] += noise(30 / 255, 3)[..., :32, :40]
    assert (changes(before, now)[:3, :4] == 0).all()


def test_small_images_have_no_blocks() -> None:
    assert steeper_at_blocks(torch.rand(2, 3, 5, 8)).flatten().tolist() == [0, 0]
    change, (now, before) = torch.rand(1, 1, 1, 1), torch.rand(2, 1, 3, 1, 1)
    flow, share = torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1)
    assert own_grain(change, now, before, flow, share, steeper_at_blocks(now)).isfinite().all()
