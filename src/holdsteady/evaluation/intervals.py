"""How sure a mean over frames and clips is."""

from collections.abc import Sequence

import numpy as np

_BLOCK = 10  # frames; neighbours are alike, and must be drawn together
_DRAWS = 1000


def bootstrap_interval(clips: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over clips of the mean over frames.

    By the circular block bootstrap (Politis and Romano 1992): blocks of ten frames, or a quarter of a short clip, are
    resampled within each clip, and with three clips or more the clips are resampled too.

    Args:
        clips: a figure for each frame of each clip; NaN where it was not measured.
        seed: of the draws.

    Returns:
        The 2.5 and 97.5 percentiles; NaN if nothing was measured.
    """
    measured = [series[np.isfinite(series)] for series in (np.asarray(clip, dtype=float) for clip in clips)]
    measured = [series for series in measured if series.size]
    if not measured:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    means = np.stack([_block_means(series, random) for series in measured], axis=1)
    if len(measured) >= 3:
        chosen = random.integers(len(measured), size=means.shape)
        means = np.take_along_axis(means, chosen, axis=1)
    low, high = np.percentile(means.mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _block_means(series: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Means of resampled series (draws,)."""
    # Several blocks also in a short clip, or there would be nothing to draw.
    block = max(1, min(_BLOCK, len(series) // 4))
    # In a circle, or the frames at both ends would be drawn less often.
    circle = np.concatenate((series, series[: block - 1]))
    sums = np.convolve(circle, np.ones(block), mode="valid") / block
    blocks = -(-len(series) // block)
    return sums[random.integers(len(sums), size=(_DRAWS, blocks))].mean(axis=1)
