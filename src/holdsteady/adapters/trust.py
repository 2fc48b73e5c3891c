"""How far *motion fixed* may trust a memory: the noise of a place, detail that returns, how many frames are behind it.

Equations (12) and (13) of docs/method.md; names as in ``method.py``.
"""

import torch
from torch import Tensor

from holdsteady.adapters.means import CELL, between, cell_mean, enlarge

ADAPTS, LOWEST, HIGHEST = 0.25, 0.004, 0.05  # how fast the noise level follows; its limits in ranges of the values
CHANCE, REMEMBERS = 0.15, 0.3  # share of returned detail that chance explains; how fast that evidence follows
DRIFTS = (0.3, 0.7)  # correlation at which wide differences begin to count as a trend, and do wholly


def noise_level(before: Tensor, squared: Tensor, span: Tensor) -> Tensor:
    """(12) N in cells: drawn to the mean squared difference, but to at most twice itself, so as not to learn mismatch.

    Args:
        before: N of the last frame, (B, 1, h, w); NaN at the start.
        squared: mean of r² in the cells (B, 1, h, w).
        span: range of the values of z_t, (B, 1, 1, 1); √N stays within 0.4 % and 5 % of it.
    """
    low, high = ((limit * span).square().clamp_min(1e-30) for limit in (LOWEST, HIGHEST))
    before = torch.where(before.isnan(), squared.clamp(low, high), before)
    return torch.lerp(before, torch.minimum(squared, 2 * before), ADAPTS).clamp(low, high)


def returned_detail(
    before: Tensor,
    trend: Tensor,
    removed: Tensor,
    grey: Tensor,
    noise: Tensor,
    follows: Tensor,
    side: int = CELL,
) -> tuple[Tensor, Tensor, Tensor]:
    """(13) Q in cells (B, 1, h, w): which part of what was removed from the last output, u, is in r again.

    That was detail, not noise. Products of the means of cells are flicker unless they keep their sign over time, as in
    a fade: those that agree count as far as the trend says.

    Args:
        before: averages over time (B, 4, h, w), of u·r and u² about their means in cells, and of those of the means.
        trend: the correlation of the means over the image, averaged over time, (B, 1, 1, 1).
        removed: u (B, 1, H, W), zero where nothing was.
        grey: mean of r over the channels, (B, 1, H, W).
        noise: N (B, 1, h, w).
        follows: how far the memory follows the trend anyway, (B, 1, 1, 1) in [0, 1].
        side: of a cell, in pixels.

    Returns:
        Q, and the new averages.
    """
    ur, uu, u, r = (cell_mean(value, side) for value in (removed * grey, removed.square(), removed, grey))
    now = torch.cat((ur - u * r, uu - u * u, u * r, u * u), dim=1)
    after = torch.where(before.isnan(), now, torch.lerp(before, now, REMEMBERS))
    wide, u_energy, r_energy = ((x * y).mean((2, 3), keepdim=True) for x, y in ((u, r), (u, u), (r, r)))
    # Clamped before the root, whose gradient at zero is infinite.
    correlation = wide / (u_energy.clamp_min(1e-30).sqrt() * r_energy.clamp_min(1e-30).sqrt())
    trend = torch.where(trend.isnan(), correlation, torch.lerp(trend, correlation, REMEMBERS))
    counts = between(trend, *DRIFTS) * (1 - follows)
    part = after[:, :1] + after[:, 2:3] * torch.where(after[:, 2:3] > 0, counts, 1.0)
    share = part / (after[:, 1:2] + after[:, 3:] + 1e-3 * noise)
    trend = torch.where(u_energy > 0, trend, torch.nan)  # nothing was removed before the second frame
    return ((share - CHANCE) / (1 - CHANCE)).clamp(0, 1), after, trend


def likeness(mismatched: Tensor, noise: Tensor, tolerance: float) -> Tensor:
    """(1 − D/(6 c² N))₊², (B, 1, H, W): 1 where two maps differ by nothing, 0 where by more than noise.

    Args:
        mismatched: D, (B, 1, H, W).
        noise: N, (B, 1, h, w) in cells.
        tolerance: c.
    """
    size = (mismatched.shape[2], mismatched.shape[3])
    return (1 - mismatched / (6 * tolerance**2 * enlarge(noise, size))).clamp_min(0) ** 2


def trusted_weight(
    mismatched: Tensor, noise: Tensor, returned: Tensor, count: Tensor, tolerance: float, most: float
) -> Tensor:
    """The memory's weight in *motion fixed*, min(a, n/(n+1)) times :func:`likeness` times 1 − Q, (B, 1, H, W).

    Args:
        mismatched, noise, tolerance: as of :func:`likeness`.
        returned: Q, or 1 − (1 − Q)(1 − G) where G of (24) is known, (B, 1, h, w) in cells.
        count: n, (B, 1, H, W).
        most: a.
    """
    size = (mismatched.shape[2], mismatched.shape[3])
    weight = likeness(mismatched, noise, tolerance) * enlarge(1 - returned, size)
    return weight * (count / (count + 1)).clamp_max(most)


def frames_behind(count: Tensor, weight: Tensor) -> Tensor:
    """How many frames of equal weight have as little noise as a mean of one with a memory of ``count`` of them."""
    return 1 / ((1 - weight).square() + weight.square() / count)
