"""The minimisers against brute force, closed forms and the loss that is trained with."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective.solvers import NORMS, Norm, minimise, minimise_in, random_metric, sequence_loss

from holdsteady.errors import LayoutError
from holdsteady.objective import unified_loss
from holdsteady.objective.theory import best_path, minimise_tv

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(2, 8)
weights = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0, 1.7, 4.0, 8.0])
spike = np.array([[0.0], [0.0], [1.0], [0.0]])


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, length=st.integers(1, 6), size=st.integers(1, 6), lam=weights)
def test_it_is_the_loss_that_is_trained_with(norm: Norm, seed: int, length: int, size: int, lam: float) -> None:
    outputs, targets = random(seed, 2, length, size)
    frames = [torch.from_numpy(x).reshape(1, length, size, 1, 1) for x in (outputs, targets)]
    trained = unified_loss(frames[0], frames[1], stability=lam, distance=norm).total.item()
    epsilons = 1e-3 * (1 + lam) if norm == "rmse" else 1e-12
    assert sequence_loss(outputs, targets, lam, norm) == pytest.approx(trained, rel=1e-12, abs=epsilons)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, length=lengths, size=st.integers(1, 4), lam=weights, fixed=st.booleans())
def test_the_minimum_is_certified(norm: Norm, seed: int, length: int, size: int, lam: float, fixed: bool) -> None:
    targets, first = random(seed, length, size), random(seed + 1, size) if fixed else None
    found = minimise(targets, lam, norm, first)
    assert found.outputs.shape == (length, size)
    assert found.loss == sequence_loss(found.outputs, targets, lam, norm)
    assert found.loss - found.bound == pytest.approx(0, abs=1e-6)
    if first is not None:
        np.testing.assert_array_equal(found.outputs[0], first)
    # The bound is one: nothing that keeps ỹ_1 goes below it, neither nearby nor elsewhere.
    generator = np.random.default_rng(seed)
    for scale in (1e-3, 0.1, 2.0):
        other = found.outputs + scale * generator.standard_normal((length, size))
        other[0] = found.outputs[0] if fixed else other[0]
        assert sequence_loss(other, targets, lam, norm) >= found.bound - 1e-12


@pytest.mark.parametrize("norm", NORMS)
def test_the_minimum_of_a_spike_is_that_of_the_closed_form(norm: Norm) -> None:
    for lam in (0.0, 0.25, 0.49, 0.51, 1.0, 3.0):
        least = min(2 * lam, 1) / 4
        assert minimise(spike, lam, norm).loss == pytest.approx(least, abs=1e-6)
        fixed = minimise(spike, lam, norm, first=np.array([2.0])).loss
        # ỹ_1 = 2 costs 2 and a way down to 0: at once, or less far, but then beside the truth.
        down = min(
            2 + lam * (abs(2 - a) + abs(a - b) + abs(b - c)) + abs(a) + abs(b - 1) + abs(c)
            for a, b, c in itertools.product((0.0, 1.0, 2.0), repeat=3)
        )
        assert fixed == pytest.approx(down / 4, abs=1e-6)


def test_two_vectors_under_l2_meet_or_stay() -> None:
    """T = 2: moving costs as much as it saves at λ = 1, whatever the direction."""
    targets = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])  # 3 apart
    assert minimise(targets, 0.9, "l2").loss == pytest.approx(0.9 * 3 / 2, abs=1e-6)
    assert minimise(targets, 1.7, "l2").loss == pytest.approx(3 / 2, abs=1e-6)
    np.testing.assert_allclose(minimise(targets, 0.9, "l2").outputs, targets, atol=1e-5)


def test_an_equilateral_triangle_collapses_to_its_centre() -> None:
    corners = np.array([[0.0, 1.0], [-(3**0.5) / 2, -0.5], [3**0.5 / 2, -0.5]])
    found = minimise(corners, 5.0, "l2")
    np.testing.assert_allclose(found.outputs, 0, atol=1e-4)
    assert found.loss == pytest.approx(1, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, length=st.integers(1, 4), points=st.integers(1, 4))
def test_best_path_is_that_of_brute_force(seed: int, length: int, points: int) -> None:
    costs, steps = abs(random(seed, length, points)), abs(random(seed + 1, points, points))

    def total(path: tuple[int, ...]) -> float:
        ways = sum(steps[a, b] for a, b in itertools.pairwise(path))
        return float(sum(costs[t, s] for t, s in enumerate(path)) + ways)

    path, least = best_path(costs, steps)
    assert least == pytest.approx(min(map(total, itertools.product(range(points), repeat=length))))
    assert total(tuple(path)) == pytest.approx(least)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, length=lengths, lam=weights, fixed=st.booleans(), ties=st.booleans())
def test_total_variation_agrees_with_the_linear_programme(
    seed: int, length: int, lam: float, fixed: bool, ties: bool
) -> None:
    targets, first = random(seed, length), random(seed + 1, 1)
    if ties:
        targets, first = targets.round(), first.round()
    outputs, least = minimise_tv(targets, lam, float(first[0]) if fixed else None)
    programme = minimise(targets[:, None], lam, "l1", first if fixed else None)
    assert least == pytest.approx(programme.loss, abs=1e-9)
    assert sequence_loss(outputs[:, None], targets[:, None], lam, "l1") == pytest.approx(least)
    assert set(outputs) <= {*targets, first[0]}


def test_total_variation_of_a_long_signal_in_the_three_regimes() -> None:
    signal = random(0, 101)
    np.testing.assert_array_equal(minimise_tv(signal, 0.49)[0], signal)
    np.testing.assert_array_equal(minimise_tv(signal, 50)[0], np.full(101, np.median(signal)))
    np.testing.assert_array_equal(minimise_tv(signal, 100, first=3.0)[0], np.full(101, 3.0))
    levels = [len(np.unique(minimise_tv(signal, lam)[0])) for lam in (0.49, 0.8, 2, 5, 50)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 101 > levels[1] > levels[3] > levels[4] == 1


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 7))
def test_a_random_metric_is_one(seed: int, points: int) -> None:
    metric = random_metric(points, np.random.default_rng(seed))
    np.testing.assert_array_equal(metric, metric.T)
    assert (np.diag(metric) == 0).all()
    assert (metric + np.eye(points) > 0).all()
    assert (metric[:, None] <= metric[:, :, None] + metric[None] + 1e-12).all()


@settings(max_examples=25, deadline=None)
@given(seed=seeds, length=st.integers(2, 4), lam=weights, fixed=st.booleans())
def test_the_minimum_in_a_finite_space_is_that_of_brute_force(seed: int, length: int, lam: float, fixed: bool) -> None:
    generator = np.random.default_rng(seed)
    metric, targets = random_metric(4, generator), generator.integers(4, size=length)
    least = min(
        sum(metric[s, y] for s, y in zip(path, targets, strict=True))
        + lam * sum(metric[a, b] for a, b in itertools.pairwise(path))
        for path in itertools.product(range(4), repeat=length)
        if not fixed or path[0] == 2
    )
    assert minimise_in(metric, targets, lam, 2 if fixed else None) == pytest.approx(least / length)


def test_signals_of_vectors_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"expected targets \(T,\)"):
        minimise_tv(spike, 1)
