"""The theorems of docs/theory.md on random problems, and how they fail just past their bounds.

Minima come with a certificate from below (``solvers.py``), so that a poor optimiser can't make a claim look true.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from objective.solvers import NORMS, Norm, Sequence, minimise, minimise_in, norm_of, random_metric, sequence_loss
from scipy.optimize import minimize

from holdsteady.objective import unified_loss
from holdsteady.objective.distances import EPSILON, cross_entropy

ABOVE = 1e-3  # how far past a bound the counterexamples are
TOLERANCE = 1e-6  # of a minimum, whose certificate is good to some 1e-7

each_length = pytest.mark.parametrize("length", range(2, 9))
each_norm = pytest.mark.parametrize("norm", NORMS)


@pytest.fixture
def generator(length: int) -> np.random.Generator:
    return np.random.default_rng(length)


def targets_of(generator: np.random.Generator, length: int) -> Iterator[Sequence]:
    """White noise, a random walk, whole numbers with many ties, and one jump: (T, D), D up to 4."""
    for character in range(4):
        noise = generator.standard_normal((length, int(generator.integers(1, 5))))
        jump = np.where(np.arange(length)[:, None] < generator.integers(1, length), noise[0], noise[1])
        yield (noise, noise.cumsum(axis=0), noise.round(), jump)[character]


def finite_problems(generator: np.random.Generator, length: int) -> Iterator[tuple[Sequence, np.ndarray]]:
    """Random metrics of six points, with targets."""
    for _ in range(10):
        yield random_metric(6, generator), generator.integers(6, size=length)


@each_norm
@each_length
def test_up_to_one_half_the_truth_is_a_minimiser(length: int, norm: Norm, generator: np.random.Generator) -> None:
    for targets in targets_of(generator, length):
        first = generator.standard_normal(targets.shape[1])
        held = np.concatenate((first[None], targets[1:]))
        for lam in (0.5, generator.uniform(0, 0.5)):
            assert sequence_loss(targets, targets, lam, norm) <= minimise(targets, lam, norm).bound + TOLERANCE
            assert sequence_loss(held, targets, lam, norm) <= minimise(targets, lam, norm, first).bound + TOLERANCE


@each_length
def test_so_it_is_in_any_metric_space(length: int, generator: np.random.Generator) -> None:
    for metric, numbers in finite_problems(generator, length):
        truth = 0.5 * metric[numbers[1:], numbers[:-1]].sum() / length
        assert truth <= minimise_in(metric, numbers, 0.5) + 1e-12


@each_norm
@each_length
def test_below_one_half_the_loss_grows_away_from_the_truth(
    length: int, norm: Norm, generator: np.random.Generator
) -> None:
    """By (1 − 2λ)/T · Σ δ(ỹ_t, y_t) at least, near and far, so that the truth is the only minimiser."""
    for targets in targets_of(generator, length):
        lam = generator.uniform(0, 0.5)
        away = 10.0 ** generator.uniform(-4, 1, (40, 1, 1)) * generator.standard_normal((40, *targets.shape))
        for outputs in targets + away * (generator.random(away.shape) < 0.5):
            growth = sequence_loss(outputs, targets, lam, norm) - sequence_loss(targets, targets, lam, norm)
            assert growth >= (1 - 2 * lam) * norm_of(outputs - targets, norm).mean() - 1e-12


@each_norm
@each_length
def test_one_half_is_tight(length: int, norm: Norm) -> None:
    """Just above it, smoothing the spike 0 … 0 1 0 away gains 2λ − 1; for T = 2 the bound is 1, and λ − 1 is gained."""
    bound, edges = (0.5, 2) if length > 2 else (1.0, 1)
    targets, lam = np.zeros((length, 1)), bound + ABOVE
    targets[1] = 1
    gain = sequence_loss(targets, targets, lam, norm) - minimise(targets, lam, norm).loss
    assert gain == pytest.approx((edges * lam - 1) / length, abs=TOLERANCE)
    assert gain > 100 * TOLERANCE


@each_norm
@each_length
def test_from_t_minus_one_on_the_first_output_held_is_a_minimiser(
    length: int, norm: Norm, generator: np.random.Generator
) -> None:
    for targets in targets_of(generator, length):
        first = generator.standard_normal(targets.shape[1])
        frozen = norm_of(targets - first, norm).mean()
        for factor in (1, 1.5, 4):
            assert frozen <= minimise(targets, factor * (length - 1), norm, first).bound + TOLERANCE
    for metric, numbers in finite_problems(generator, length):
        held = int(generator.integers(6))
        assert metric[held, numbers].mean() <= minimise_in(metric, numbers, length - 1, held) + 1e-12


@each_norm
@each_length
def test_from_half_the_length_on_some_constant_is_a_minimiser(
    length: int, norm: Norm, generator: np.random.Generator
) -> None:
    for targets in targets_of(generator, length):
        for factor in (1, 1.5, 4):
            found = minimise(targets, factor * (length // 2), norm)
            # The constant of the proof: the middle vector of any minimiser.
            assert norm_of(targets - found.outputs[length // 2], norm).mean() <= found.bound + TOLERANCE
    for metric, numbers in finite_problems(generator, length):
        assert metric[:, numbers].mean(axis=1).min() <= minimise_in(metric, numbers, length // 2) + 1e-12


@each_norm
@each_length
def test_both_collapse_bounds_are_tight(length: int, norm: Norm) -> None:
    """Just below them, with the truth 0 … 0 1 … 1, one jump gains exactly what the bound is missed by."""
    late, half = np.ones((length, 1)), np.ones((length, 1))
    late[0] = 0
    half[: length // 2] = 0
    for targets, bound, first in ((late, length - 1, late[0]), (half, length // 2, None)):
        least = minimise(targets, bound - ABOVE, norm, first).loss
        # Here no constant is better than bound/T: that of ỹ_1 = 0, or of the more frequent value.
        assert bound / length - least == pytest.approx(ABOVE / length, abs=TOLERANCE)


@each_length
def test_as_trained_the_epsilon_of_rmse_moves_the_minimum_by_little(
    length: int, generator: np.random.Generator
) -> None:
    """For λ ≤ 1/2 nothing beats the truth by more than √ε (1 + λ) under ``unified_loss`` itself."""
    lam = generator.uniform(0, 0.5)
    targets = torch.from_numpy(generator.standard_normal((1, length, 2, 1, 2)))

    def loss_of(outputs: Sequence) -> tuple[float, Sequence]:
        frames = torch.from_numpy(outputs).reshape(targets.shape).requires_grad_()
        loss = unified_loss(frames, targets, stability=lam).total
        (gradient,) = torch.autograd.grad(loss, frames)
        return loss.item(), gradient.numpy().ravel()

    truth = targets.numpy().ravel()
    start = truth + 0.1 * generator.standard_normal(truth.shape)
    found = minimize(loss_of, start, jac=True, method="L-BFGS-B", options={"maxiter": 400})
    assert loss_of(truth)[0] <= found.fun + EPSILON**0.5 * (1 + lam) + 1e-9
    assert found.fun < loss_of(start)[0]


@pytest.mark.parametrize("lam", [0.01, 0.1, 0.4, 0.5])
def test_under_mse_the_truth_is_no_minimiser(lam: float) -> None:
    """It is not a metric: from 0 to 2 is 4, via 1 it is 1 + 1. Moving from the truth 0, 1, 0 gains 2λ²/(1 + 3λ)."""
    targets, steps = np.array([0.0, 1.0, 0.0]), np.diff(np.eye(3), axis=0)
    best = np.linalg.solve(np.eye(3) + lam * steps.T @ steps, targets)
    truth, least = (((x - targets) ** 2).mean() + lam * (np.diff(x) ** 2).sum() / 3 for x in (targets, best))
    assert truth - least == pytest.approx(2 * lam**2 / (1 + 3 * lam))


@pytest.mark.parametrize("rare", [0.1, 0.01, 0.001])
def test_cross_entropy_is_no_metric(rare: float) -> None:
    """It is not 0 at p = q, not symmetric, and breaks the triangle inequality."""

    def h(labels: torch.Tensor, probabilities: torch.Tensor) -> float:
        return cross_entropy(probabilities.log()[None], labels[None]).item()

    certain, even = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    skewed = torch.tensor([rare, 1 - rare], dtype=torch.float64)
    assert h(even, even) == pytest.approx(np.log(2))
    assert h(even, skewed) == pytest.approx(-(np.log(rare) + np.log(1 - rare)) / 2)
    assert h(skewed, even) == pytest.approx(np.log(2))
    if rare < 0.1:
        assert h(certain, skewed) > h(certain, even) + h(even, skewed)


def test_cross_entropy_prefers_to_be_surer_than_the_truth() -> None:
    """A still clip: the stability term is the entropy of the output, which pulls it off its soft labels."""
    labels = torch.tensor([0.7, 0.3], dtype=torch.float64).view(1, 1, 2, 1, 1).expand(1, 4, 2, 1, 1)
    surer = torch.tensor([0.8, 0.2], dtype=torch.float64).log().view(1, 1, 2, 1, 1).expand(1, 4, 2, 1, 1)

    def loss(logits: torch.Tensor, lam: float) -> float:
        return unified_loss(logits, labels, stability=lam, distance="cross-entropy").total.item()

    assert loss(surer, 0.4) < loss(labels.log(), 0.4)
    assert loss(surer, 0.0) > loss(labels.log(), 0.0)
