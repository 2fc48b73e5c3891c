"""The loss on small sequences of vectors, and its true minimum by convex minimisation, to check the bounds with.

A sequence is (T, D), T vectors of D values. With δ a norm of the difference the loss is convex, and its dual gives
each minimum a certificate: with p = y (and p_1 = ỹ_1 where the first is held fixed), for any vectors v_2 … v_T with
‖v_t‖* ≤ λ and ‖v_{t+1} − v_t‖* ≤ 1 (v_1 = v_{T+1} = 0; no condition at t = 1 where the first is held fixed),

    Σ_{t≥2} ⟨v_t, p_t − p_{t−1}⟩  ≤  Σ_t δ(ỹ_t, y_t) + λ Σ_{t≥2} δ(ỹ_t, ỹ_{t−1})   for every ỹ.

``docs/theory.md`` has the bounds and their proofs. Finite metric spaces are solved by dynamic programming.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from holdsteady.objective.theory import best_path

Sequence = npt.NDArray[np.float64]
Norm = Literal["l1", "l2", "rmse"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class Minimum(NamedTuple):
    """A minimum of the loss.

    Attributes:
        outputs: ỹ (T, D), where it is reached.
        loss: L(ỹ), which is no less than the true minimum.
        bound: what the true minimum is no less than, from the dual.
    """

    outputs: Sequence
    loss: float
    bound: float


def norm_of(differences: Sequence, norm: Norm) -> Sequence:
    """δ of differences (N, D) → (N,): mean absolute, Euclidean or root mean square, without an ε."""
    if norm == "l1":
        return np.abs(differences).mean(axis=1)
    return np.linalg.norm(differences, axis=1) / (np.sqrt(differences.shape[1]) if norm == "rmse" else 1.0)


def sequence_loss(outputs: Sequence, targets: Sequence, lam: float, norm: Norm) -> float:
    """L = (1/T) [Σ_t δ(ỹ_t, y_t) + λ Σ_{t≥2} δ(ỹ_t, ỹ_{t−1})] of sequences (T, D)."""
    accuracy = norm_of(outputs - targets, norm).sum()
    return float((accuracy + lam * norm_of(np.diff(outputs, axis=0), norm).sum()) / len(targets))


def minimise(targets: Sequence, lam: float, norm: Norm, first: Sequence | None = None) -> Minimum:
    """The sequence of least loss: a linear programme for L1, a barrier method on the dual for L2 and RMSE.

    Args:
        targets: y (T, D), T ≥ 2.
        lam: λ ≥ 0.
        norm: δ.
        first: ỹ_1 (D,), held fixed; free by default.
    """
    length, size = targets.shape
    scale = {"l1": size, "l2": 1.0, "rmse": float(np.sqrt(size))}[norm] * length
    solve = _linear_programme if norm == "l1" else _barrier
    if first is None:
        outputs, bound = solve(targets, np.diff(np.eye(length), axis=0), lam)
        return Minimum(outputs, sequence_loss(outputs, targets, lam, norm), bound / scale)
    # Moved so that ỹ_1 is zero, which leaves only the later vectors to be found.
    moved, bound = solve(targets[1:] - first, np.diff(np.eye(length), axis=0)[:, 1:], lam)
    outputs = np.concatenate((first[None], moved + first))
    constant = float(norm_of((first - targets[0])[None], norm)[0]) / length
    return Minimum(outputs, sequence_loss(outputs, targets, lam, norm), constant + bound / scale)


def _linear_programme(targets: Sequence, steps: Sequence, lam: float) -> tuple[Sequence, float]:
    """x (F, D) of least Σ_t ‖x_t − targets_t‖₁ + λ Σ_s ‖(steps x)_s‖₁, and what its dual proves to be no more.

    Each absolute value is at most a variable a of its own: −a ≤ value ≤ a, and Σ a is minimised.
    """
    frames, size = targets.shape
    rows = np.kron(np.concatenate((np.eye(frames), steps)), np.eye(size))
    offsets = np.concatenate((targets.ravel(), np.zeros(len(steps) * size)))
    identity = np.eye(len(rows))
    costs = np.concatenate((np.zeros(frames * size), np.ones(targets.size), np.full(len(steps) * size, lam)))
    limits = np.concatenate((offsets, -offsets))
    result = linprog(
        costs,
        A_ub=np.block([[rows, -identity], [-rows, -identity]]),
        b_ub=limits,
        bounds=[(None, None)] * (frames * size) + [(0, None)] * len(rows),
        method="highs",
    )
    if not result.success:
        raise ArithmeticError(f"The linear programme was not solved: {result.message}")
    return result.x[: frames * size].reshape(frames, size), float(limits @ result.ineqlin.marginals)


def _barrier(targets: Sequence, steps: Sequence, lam: float) -> tuple[Sequence, float]:
    """x (F, D) of nearly least Σ_t ‖x_t − targets_t‖₂ + λ Σ_s ‖(steps x)_s‖₂, and a bound from below.

    The dual is to maximise λ ⟨w, steps targets⟩ where ‖w_s‖ ≤ 1 and ‖λ (stepsᵀ w)_t‖ ≤ 1, w = v/λ (S, D). Its
    barrier −Σ_j log(1 − ‖q_j‖²), q the vectors held within 1, is minimised for ever smaller weights by Newton's method
    (Boyd and Vandenberghe 2004, section 11.3), and the slopes of the barrier give back x.
    """
    jumps = steps @ targets
    rows = np.concatenate((np.eye(len(steps)), -lam * steps.T))
    w = np.zeros_like(jumps)
    scale = max(float(np.abs(jumps).max()), 1e-12)
    for sharpness in np.geomspace(1, 1e8, 5) / scale:
        w = _centred(w, rows, sharpness * lam * jumps)
    q, slack = _within(w, rows)
    pulls = 2 * q / (sharpness * slack[:, None])
    return targets + pulls[len(steps) :], lam * float((w * jumps).sum())


def _within(w: Sequence, rows: Sequence) -> tuple[Sequence, Sequence]:
    """q = rows w (J, D) and 1 − ‖q_j‖² (J,)."""
    q = rows @ w
    return q, 1 - (q**2).sum(axis=1)


def _centred(w: Sequence, rows: Sequence, pull: Sequence) -> Sequence:
    """w (S, D) of least −⟨pull, w⟩ − Σ_j log(1 − ‖(rows w)_j‖²), by Newton's method from a w inside."""
    count, size = w.shape
    products = rows[:, :, None] * rows[:, None, :]
    for _ in range(100):
        q, slack = _within(w, rows)
        slope = rows.T @ (2 * q / slack[:, None]) - pull
        bend = 2 * np.eye(size) / slack[:, None, None] + 4 * q[:, :, None] * q[:, None, :] / slack[:, None, None] ** 2
        hessian = np.tensordot(products, bend, axes=(0, 0)).transpose(0, 2, 1, 3).reshape(count * size, -1)
        step = np.linalg.solve(hessian, slope.ravel()).reshape(w.shape)
        decrement = float(np.sqrt(max((slope * step).sum(), 0.0)))
        # The barrier is self-concordant: a short step is safe as it is, a long one is halved until it helps.
        length = 1.0
        if decrement > 0.25:
            value = _height(w, rows, pull)
            while not _height(w - length * step, rows, pull) <= value - 0.1 * length * decrement**2:
                length /= 2
        w = w - length * step
        if decrement < 1e-5:
            break
    return w


def _height(w: Sequence, rows: Sequence, pull: Sequence) -> float:
    slack = _within(w, rows)[1]
    return float(-np.log(slack).sum() - (pull * w).sum()) if slack.min() > 0 else float("inf")


def minimise_in(metric: Sequence, targets: npt.NDArray[np.int64], lam: float, first: int | None = None) -> float:
    """Least loss L of the sequences of points of a finite metric space.

    Args:
        metric: δ (K, K).
        targets: y (T,), numbers of points.
        lam: λ ≥ 0.
        first: ỹ_1, held fixed; free by default.
    """
    costs = metric[targets].copy()
    if first is not None:
        costs[0, np.arange(len(metric)) != first] = np.inf
    return best_path(costs, lam * metric)[1] / len(targets)


def random_metric(points: int, generator: np.random.Generator) -> Sequence:
    """A metric (K, K) that comes from no norm: shortest ways in a complete graph of random lengths in (0.1, 1.1)."""
    lengths = np.triu(generator.random((points, points)) + 0.1, 1)
    metric = lengths + lengths.T
    for between in range(points):
        metric = np.minimum(metric, metric[:, between, None] + metric[between])
    return metric
