"""*statistics*: the mean and the deviation of each channel, remembered."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs


def clip(frames: int = 5, streams: int = 1, seed: int = 0, shape: tuple[int, ...] = (2, 8, 12)) -> Tensor:
    """Values (T, B, C, H, W) whose scale and shift drift."""
    generator = torch.Generator().manual_seed(seed)
    still = torch.randn(1, streams, *shape, generator=generator)
    drift = torch.randn(2, frames, streams, shape[0], 1, 1, generator=generator)
    return (1 + 0.2 * drift[0]) * still + 3 + drift[1]


def attach(values: Tensor, kind: str, amount: float | None = None) -> hs.StabilizedModel:
    """A model that gives recorded values, with an adapter; ``amount`` takes the learned one away from its start."""
    recorded = iter(values)
    steady = hs.stabilize(lambda _: next(recorded), kind, example=frames(1, values.shape[1])[0])
    recorded = iter(values)
    if amount is not None:
        cell: Any = next(iter(steady.adapter(0).cells.values()))
        with torch.no_grad():
            cell.amount.fill_(amount)
    return steady


def frames(count: int, streams: int = 1) -> Tensor:
    return torch.rand(count, streams, 3, 8, 12, generator=torch.Generator().manual_seed(9))


def held(values: Tensor, kind: str, amount: float | None = None) -> Tensor:
    steady = attach(values, kind, amount)
    return torch.stack([steady(frame) for frame in frames(*values.shape[:2])])


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    return z.mean(dim=(-2, -1)), z.std(dim=(-2, -1), correction=0)


def test_fixed_is_a_running_mean_of_the_statistics_and_leaves_the_rest() -> None:
    values = clip()
    shown = held(values, "statistics-fixed:0.3")
    assert torch.equal(shown[0], values[0])
    mean, deviation = moments(values[0])
    for z, out in zip(values[1:], shown[1:], strict=True):
        own = moments(z)
        mean, deviation = 0.3 * own[0] + 0.7 * mean, 0.3 * own[1] + 0.7 * deviation
        expected = (z - own[0][..., None, None]) / own[1][..., None, None] * deviation[..., None, None]
        torch.testing.assert_close(out, expected + mean[..., None, None], atol=1e-4, rtol=1e-4)


def test_scale_and_shift_that_drift_are_steadied() -> None:
    shown, values = held(clip(12), "statistics-fixed:0.2"), clip(12)
    for now, before in zip(moments(shown[4:]), moments(values[4:]), strict=True):
        assert now.std(dim=0).max() < 0.6 * before.std(dim=0).min()


def test_untrained_it_is_the_base() -> None:
    values = clip()
    assert torch.equal(held(values, "statistics"), values)
    changed = held(values, "statistics", amount=1.0)
    assert (changed - values).abs().max() > 0.05


@pytest.mark.parametrize(("kind", "amount"), [("statistics-fixed:0.3", None), ("statistics", 1.5)])
def test_streams_are_apart_and_can_be_reset_one_by_one(kind: str, amount: float | None) -> None:
    torch.manual_seed(0)
    values = clip(6, streams=2)
    steady = attach(values, kind, amount)
    alone = [attach(values[:, b : b + 1], kind, amount) for b in range(2)]
    for one in alone:
        one.adapter(0).load_state_dict(steady.adapter(0).state_dict())
    for t, frame in enumerate(frames(6, 2)):
        if t == 3:
            steady.reset([True, False])
            alone[0].reset()
        both = steady(frame)
        for b in range(2):
            torch.testing.assert_close(both[b : b + 1], alone[b](frame[b : b + 1]), atol=1e-5, rtol=1e-5)
        if t == 3:
            assert torch.equal(both[0], values[3, 0])


def test_the_state_is_two_numbers_a_channel() -> None:
    steady = attach(clip(shape=(5, 8, 12)), "statistics-fixed:0.3")
    steady(frames(1)[0])
    state = steady.state
    assert state is not None
    memory = next(iter(state.memories.values()))
    assert {name: tuple(kept.shape) for name, kept in memory.items()} == {"mean": (1, 5), "deviation": (1, 5)}


def test_gradients_reach_the_gates_and_through_time() -> None:
    values = clip().requires_grad_()
    steady = attach(values, "statistics").train()
    shown = torch.stack([steady(frame) for frame in frames(5)])
    shown[-1].square().sum().backward()
    cell: Any = next(iter(steady.adapter(0).cells.values()))
    assert cell.amount.grad.abs().min() > 0
    with torch.no_grad():
        cell.amount.fill_(0.5)
    values = clip().requires_grad_()
    steady.reset()
    recorded = attach(values, "statistics", 0.5).train()
    torch.stack([recorded(frame) for frame in frames(5)])[-1].square().sum().backward()
    assert values.grad is not None
    assert values.grad[0].abs().max() > 0
    gates: Any = next(iter(recorded.adapter(0).cells.values()))
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in gates.parameters())


def test_values_that_are_not_finite_count_for_nothing() -> None:
    values = clip()
    holes = values.clone()
    holes[1, 0, 0, 2, 3] = math.nan
    holes[2, 0, 1, 4, 4] = math.inf
    shown, whole = held(holes, "statistics-fixed:0.3"), held(values, "statistics-fixed:0.3")
    assert shown[1, 0, 0, 2, 3].isnan()
    assert shown[3:].isfinite().all()
    assert (shown[3:] - whole[3:]).abs().max() < 0.2


def test_a_flat_channel_is_only_shifted() -> None:
    values = torch.tensor([1.0, 2.0])[:, None, None, None, None].expand(2, 1, 1, 8, 12)
    torch.testing.assert_close(held(values, "statistics-fixed:0.5")[1], torch.full((1, 1, 8, 12), 1.5))


@pytest.mark.parametrize("kind", ["statistics-fixed:0.3", "statistics"])
def test_inside_a_network_and_saved(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)).eval()
    steady = hs.stabilize(network, kind, points=("0", "output"), example=frames(1)[0])
    for parameter in steady.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    again = hs.stabilize(network, steady.save(tmp_path / "adapter"))
    for frame in frames(4):
        torch.testing.assert_close(steady(frame), again(frame))
