"""The claims of ``docs/theory.md`` put to the test on random problems: how far each is off at worst."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from holdsteady.objective.distances import EPSILON, cross_entropy
from holdsteady.objective.loss import unified_loss
from holdsteady.objective.theory import NORMS, Norm, Sequence, minimise, norm_of, scipy_optimize, sequence_loss
from holdsteady.objective.theory_discrete import minimise_in, minimise_tv, random_metric

_LENGTHS = range(2, 9)
_ABOVE = 1e-3  # how far above or below a bound the counterexamples are
_TOLERANCE = 1e-6  # of a minimum, whose certificate is good to some 1e-7


class Claim(NamedTuple):
    """What was claimed, and what was found.

    Attributes:
        statement: in a few words, for a table.
        cases: on how many problems it was tried.
        worst: the largest violation: of an inequality, or the error of a value known in closed form.
        tolerance: what rounding and the certificates of the minima allow.
    """

    statement: str
    cases: int
    worst: float
    tolerance: float = _TOLERANCE

    @property
    def holds(self) -> bool:
        """Whether the largest violation is within the tolerance; NaN is not."""
        return self.worst <= self.tolerance


class _Problem(NamedTuple):
    targets: Sequence
    norm: Norm
    first: Sequence


def check_oracle(generator: np.random.Generator) -> Claim:
    """λ ≤ 1/2: how far the loss of the truth is above the certified minimum, ỹ_1 free and fixed."""
    violations = []
    for targets, norm, first in _problems(generator):
        lam = _up_to(generator, 0.5)
        free, fixed = minimise(targets, lam, norm), minimise(targets, lam, norm, first)
        held = np.concatenate((first[None], targets[1:]))
        violations.append(sequence_loss(targets, targets, lam, norm) - free.bound)
        violations.append(sequence_loss(held, targets, lam, norm) - fixed.bound)
    for metric, numbers in _finite_problems(generator):
        lam = _up_to(generator, 0.5)
        truth = lam * metric[numbers[1:], numbers[:-1]].sum() / len(numbers)
        violations.append(truth - minimise_in(metric, numbers, lam))
    return _claim("λ ≤ 1/2: the truth is a minimiser", violations)


def check_unique(generator: np.random.Generator) -> Claim:
    """λ < 1/2: the loss grows by at least (1 − 2λ)/T · Σ δ(ỹ_t, y_t) away from the truth, near and far."""
    violations = []
    for targets, norm, _ in _problems(generator):
        lam = generator.uniform(0, 0.5)
        away = 10.0 ** generator.uniform(-4, 1, (40, 1, 1)) * generator.standard_normal((40, *targets.shape))
        for outputs in targets + away * (generator.random(away.shape) < 0.5):
            growth = sequence_loss(outputs, targets, lam, norm) - sequence_loss(targets, targets, lam, norm)
            least = (1 - 2 * lam) * norm_of(outputs - targets, norm).mean()
            violations.append(least - growth)
    return _claim("λ < 1/2: it is the only one", violations, 1e-12)


def check_oracle_is_tight(_: np.random.Generator) -> Claim:
    """λ = 1/2 + 0.001, truth 0 … 0 1 0: smoothing the spike away gains 2λ − 1 (λ − 1 from 1 on for T = 2)."""
    errors = []
    for length in _LENGTHS:
        at_most, count = (0.5, 2) if length > 2 else (1.0, 1)
        targets, lam = np.zeros((length, 1)), at_most + _ABOVE
        targets[1] = 1
        for norm in NORMS:
            gain = sequence_loss(targets, targets, lam, norm) - minimise(targets, lam, norm).loss
            errors.append(abs(gain - (count * lam - 1) / length))
    return _claim("1/2 is tight (1 for T = 2)", errors)


def check_collapse(generator: np.random.Generator, fixed: bool) -> Claim:
    """From λ = T − 1 (ỹ_1 fixed) or ⌊T/2⌋ (free) on: how far the best constant is above the certified minimum."""
    violations = []
    for targets, norm, first in _problems(generator):
        length = len(targets)
        lam = (length - 1 if fixed else length // 2) * generator.choice([1, 1, 1.5, 4])
        if fixed:
            constant = float(norm_of(targets - first, norm).mean())
            violations.append(constant - minimise(targets, lam, norm, first).bound)
        else:
            found = minimise(targets, lam, norm)
            # The constant of the proof: the middle vector of any minimiser.
            constant = float(norm_of(targets - found.outputs[length // 2], norm).mean())
            violations.append(constant - found.bound)
    for metric, numbers in _finite_problems(generator):
        length = len(numbers)
        if fixed:
            held = int(generator.integers(len(metric)))
            violations.append(metric[held, numbers].mean() - minimise_in(metric, numbers, length - 1, held))
        else:
            violations.append(metric[:, numbers].mean(axis=1).min() - minimise_in(metric, numbers, length // 2))
    bound, state = ("T − 1, ỹ₁ fixed", "ỹ₁ held") if fixed else ("⌊T/2⌋, ỹ₁ free", "some constant")
    return _claim(f"λ ≥ {bound}: {state} is a minimiser", violations)


def check_collapse_is_tight(_: np.random.Generator) -> Claim:
    """0.001 below either bound, truth 0 … 0 1 … 1: one jump gains exactly what the bound is missed by."""
    errors = []
    for length in _LENGTHS:
        late, half = np.ones((length, 1)), np.ones((length, 1))
        late[0] = 0
        half[: length // 2] = 0
        for norm in NORMS:
            for targets, bound, first in ((late, length - 1, late[0]), (half, length // 2, None)):
                least = minimise(targets, bound - _ABOVE, norm, first).loss
                # Here no constant is better than bound/T: that of ỹ_1 = 0, or of the more frequent value.
                errors.append(abs(bound / length - least - _ABOVE / length))
    return _claim("T − 1 and ⌊T/2⌋ are tight", errors)


def check_total_variation(generator: np.random.Generator) -> Claim:
    """One dimension: dynamic programming over the values of the data against the linear programme."""
    errors = []
    for index in range(60):
        targets = _targets(generator, int(generator.choice(_LENGTHS)), 1, index % 4)
        lam = generator.uniform(0, len(targets))
        first = generator.standard_normal(1) if index % 8 < 4 else None
        outputs, least = minimise_tv(targets[:, 0], lam, None if first is None else float(first[0]))
        errors.append(abs(least - minimise(targets, lam, "l1", first).loss))
        errors.append(abs(least - sequence_loss(outputs[:, None], targets, lam, "l1")))
    return _claim("total variation: two exact methods agree", errors, 1e-9)


def check_as_trained(generator: np.random.Generator) -> Claim:
    """λ ≤ 1/2, ``unified_loss`` itself: with RMSE's ε nothing beats the truth by more than √ε (1 + λ)."""
    violations = []
    for length in _LENGTHS:
        shape, lam = (1, length, 2, 1, 2), _up_to(generator, 0.5)
        targets = torch.from_numpy(_targets(generator, length, 4, length % 4)).reshape(shape)

        def loss_of(outputs: Sequence, y: torch.Tensor = targets, weight: float = lam) -> tuple[float, Sequence]:
            frames = torch.from_numpy(outputs).reshape(y.shape).requires_grad_()
            loss = unified_loss(frames, y, stability=weight).total
            (slope,) = torch.autograd.grad(loss, frames)
            return loss.item(), slope.numpy().ravel()

        truth = targets.numpy().ravel()
        start = truth + 0.1 * generator.standard_normal(truth.shape)
        found = scipy_optimize().minimize(loss_of, start, jac=True, method="L-BFGS-B", options={"maxiter": 400})
        violations.append(loss_of(truth)[0] - float(found.fun) - EPSILON**0.5 * (1 + lam))
    return _claim("λ ≤ 1/2, RMSE with its ε: to within √ε (1 + λ)", violations, 1e-9)


def check_mse(_: np.random.Generator) -> Claim:
    """MSE breaks the triangle inequality on 0, 1, 2 by 2, and moving from the truth 0, 1, 0 gains 2λ²/(1 + 3λ)."""
    near, far = (torch.nn.functional.mse_loss(torch.zeros(1), torch.full((1,), x)).item() for x in (1.0, 2.0))
    errors = [abs(far - 2 * near - 2)]
    targets, steps = np.array([0.0, 1.0, 0.0]), np.diff(np.eye(3), axis=0)
    for lam in (0.01, 0.1, 0.4, 0.5):
        best = np.linalg.solve(np.eye(3) + lam * steps.T @ steps, targets)
        losses = [((x - targets) ** 2).mean() + lam * (np.diff(x) ** 2).sum() / 3 for x in (targets, best)]
        errors.append(abs(losses[0] - losses[1] - 2 * lam**2 / (1 + 3 * lam)))
    return _claim("MSE is no metric; the truth is no minimiser", errors)


def check_cross_entropy(_: np.random.Generator) -> Claim:
    """Cross-entropy h(p, q) is not 0 at p = q, not symmetric, and breaks the triangle inequality."""

    def h(labels: torch.Tensor, probabilities: torch.Tensor) -> float:
        return cross_entropy(probabilities.log()[None], labels[None]).item()

    certain, even = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    errors = []
    for rare in (0.1, 0.01, 0.001):
        skewed = torch.tensor([rare, 1 - rare], dtype=torch.float64)
        to_even, to_skewed = np.log(2), -(np.log(rare) + np.log(1 - rare)) / 2
        errors.append(abs(h(even, even) - to_even))
        errors.append(abs(h(even, skewed) - to_skewed))
        errors.append(abs(h(skewed, even) - to_even))
        # −ln r > ln 2 − (ln r + ln(1 − r))/2 for r = 0.1 and less.
        direct, by_even = h(certain, skewed), h(certain, even) + h(even, skewed)
        errors.append(abs(direct - by_even - (-np.log(rare) - to_even - to_skewed)))
        errors.append(max(0.0, by_even - direct))
    return _claim("cross-entropy is no metric", errors, 1e-12)


def check_all(seed: int) -> Iterator[Claim]:
    """Every claim, one after the other, with random problems from that seed.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    checks: tuple[Callable[[np.random.Generator], Claim], ...] = (
        check_oracle,
        check_unique,
        check_oracle_is_tight,
        lambda generator: check_collapse(generator, fixed=True),
        lambda generator: check_collapse(generator, fixed=False),
        check_collapse_is_tight,
        check_total_variation,
        check_as_trained,
        check_mse,
        check_cross_entropy,
    )
    for index, check in enumerate(checks):
        yield check(np.random.default_rng((seed, index)))


def _claim(statement: str, violations: list[float], tolerance: float = _TOLERANCE) -> Claim:
    return Claim(statement, len(violations), max(0.0, float(np.max(violations))), tolerance)


def _problems(generator: np.random.Generator) -> Iterator[_Problem]:
    """For each T and norm two problems in one to four dimensions, of other characters from one T to the next."""
    for length in _LENGTHS:
        for norm in NORMS:
            for character in (length % 2, length % 2 + 2):
                size = int(generator.integers(1, 5))
                yield _Problem(_targets(generator, length, size, character), norm, generator.standard_normal(size))


def _finite_problems(generator: np.random.Generator) -> Iterator[tuple[Sequence, np.ndarray]]:
    """Random metrics of six points, with targets."""
    for length in _LENGTHS:
        for _ in range(10):
            yield random_metric(6, generator), generator.integers(6, size=length)


def _targets(generator: np.random.Generator, length: int, size: int, character: int) -> Sequence:
    """White noise (0), a random walk (1), a few whole numbers with many ties (2), or one jump (3): (T, D)."""
    noise = generator.standard_normal((length, size))
    if character == 1:
        return noise.cumsum(axis=0)
    if character == 2:
        return noise.round()
    if character == 3:
        return np.where(np.arange(length)[:, None] < generator.integers(1, length), noise[0], noise[1])
    return noise


def _up_to(generator: np.random.Generator, bound: float) -> float:
    """A λ in [0, bound]; every third is the bound itself."""
    return bound if generator.random() < 1 / 3 else float(generator.uniform(0, bound))
