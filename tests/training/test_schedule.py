"""Learning rates and averaged weights."""

import math

import pytest
import torch
from torch import nn

from holdsteady.training.schedule import assign, averaged, make_average, make_scheduler


def rates(schedule: str, warmup: int, steps: int) -> list[float]:
    """The learning rate of each step of a budget, and the one after it."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    done = 0
    scheduler = make_scheduler(optimizer, schedule, warmup, lambda: done / steps)
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        done += 1
        scheduler.step()
    return found


def test_cosine_rises_and_falls() -> None:
    found = rates("cosine", 10, 100)
    assert found[0] == pytest.approx(0.2)
    assert max(found) == found[9] < 2
    assert found[55] == pytest.approx(1 + math.cos(math.pi * 0.55))
    assert found[100] == pytest.approx(0, abs=1e-12)


def test_the_papers_steps() -> None:
    found = rates("paper", 0, 100)
    assert [found[step] for step in (0, 49, 50, 74, 75, 100)] == pytest.approx([2, 2, 0.2, 0.2, 0.02, 0.02])


def test_a_constant_rate_only_warms_up() -> None:
    assert rates("constant", 4, 8) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2, 2, 2, 2, 2])


def test_averages_are_those_of_the_formula() -> None:
    parameters = [nn.Parameter(torch.full((2,), 7.0)), nn.Parameter(torch.zeros(3))]
    average = make_average(parameters, 0.9)
    with averaged(parameters, average):
        torch.testing.assert_close(parameters[0].data, torch.full((2,), 7.0))
    expected = None
    for k in range(1, 6):
        value = torch.tensor([float(k), -2.0 * k])
        assign(parameters, [value, torch.zeros(3)])
        average.update_parameters(nn.ParameterList(parameters))
        expected = value if expected is None else 0.9 * expected + 0.1 * value
    with averaged(parameters, average):
        torch.testing.assert_close(parameters[0].data, expected)
    torch.testing.assert_close(parameters[0].data, torch.tensor([5.0, -10.0]))


def test_averages_resume_from_their_state() -> None:
    parameters = [nn.Parameter(torch.ones(3))]
    first, second = make_average(parameters, 0.5), make_average(parameters, 0.5)
    first.update_parameters(nn.ParameterList(parameters))
    second.load_state_dict(first.state_dict())
    assign(parameters, [torch.full((3,), 5.0)])
    for average in (first, second):
        average.update_parameters(nn.ParameterList(parameters))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one.data, torch.full((3,), 3.0))
