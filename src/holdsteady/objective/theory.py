"""The exact minimum of the loss for one value a frame with δ = |·|: total-variation denoising (docs/theory.md)."""

import numpy as np
import numpy.typing as npt

from holdsteady.errors import LayoutError

Values = npt.NDArray[np.float64]


def best_path(costs: Values, steps: Values) -> tuple[npt.NDArray[np.int64], float]:
    """The path s_1 … s_T of least Σ_t costs[t, s_t] + Σ_{t≥2} steps[s_{t−1}, s_t], in O(T K²).

    Args:
        costs: (T, K), T ≥ 1; infinity forbids a point.
        steps: (K, K).

    Returns:
        The numbers of the points (T,), and the sum.
    """
    total = costs[0]
    came_from = []
    for cost in costs[1:]:
        ways = total[:, None] + steps
        came_from.append(ways.argmin(axis=0))
        total = ways.min(axis=0) + cost
    path = [int(total.argmin())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1]), float(total.min())


def minimise_tv(targets: Values, lam: float, first: float | None = None) -> tuple[Values, float]:
    """Exact total-variation denoising with an L1 data term: the least (1/T) [Σ |ỹ_t − y_t| + λ Σ |ỹ_t − ỹ_{t−1}|].

    Some minimiser has no other values than those of the data: where a level of ỹ lies between them, moving it
    changes the loss linearly, so it can be moved to the next value of the data or level without loss.

    Args:
        targets: y (T,), T ≥ 1.
        lam: λ ≥ 0.
        first: ỹ_1, held fixed; free by default.

    Returns:
        ỹ (T,) and its loss.

    Raises:
        LayoutError: the targets are not a sequence of single values.
    """
    if targets.ndim != 1 or not len(targets):
        raise LayoutError(f"expected targets (T,) with T ≥ 1, got {targets.shape}")
    values = np.unique(targets if first is None else np.append(targets, first))
    costs = np.abs(values - targets[:, None])
    if first is not None:
        costs[0, values != first] = np.inf
    path, cost = best_path(costs, lam * np.abs(values[:, None] - values))
    return values[path], cost / len(targets)
