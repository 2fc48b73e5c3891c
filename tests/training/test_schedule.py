"""Learning rates and averaged weights."""

import pytest
import torch
from torch import nn

from holdsteady.training.schedule import AveragedWeights, learning_rate_factor


def test_cosine_rises_and_falls() -> None:
    factors = [learning_rate_factor(step, step / 100, "cosine", 10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] < 1
    assert factors[55] == pytest.approx(0.5 * (1 + torch.cos(torch.tensor(torch.pi * 0.55)).item()))
    assert factors[100] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 1), (0.49, 1), (0.5, 0.1), (0.74, 0.1), (0.75, 0.01), (1.0, 0.01)]
)
def test_the_papers_steps(progress: float, factor: float) -> None:
    assert learning_rate_factor(1000, progress, "paper", 0) == pytest.approx(factor)


def test_averages_are_those_of_the_formula() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    averaged = AveragedWeights([parameter], 0.9)
    seen = [torch.tensor([float(k), -2.0 * k]) for k in range(1, 6)]
    for value in seen:
        parameter.data.copy_(value)
        averaged.update()
    weights = [0.9 ** (4 - k) for k in range(5)]
    expected = sum(w * v for w, v in zip(weights, seen, strict=True)) / sum(weights)
    present = averaged.swap()
    torch.testing.assert_close(parameter.data, expected)
    averaged.put_back(present)
    torch.testing.assert_close(parameter.data, seen[-1])


def test_averages_go_on_from_their_state() -> None:
    parameter = nn.Parameter(torch.ones(3))
    first = AveragedWeights([parameter], 0.5)
    first.update()
    second = AveragedWeights([parameter], 0.5)
    second.load_state_dict(first.state_dict())
    parameter.data.fill_(5)
    for averaged in (first, second):
        averaged.update()
    torch.testing.assert_close(first.sums, second.sums)
    assert first.weight == second.weight == 0.75
