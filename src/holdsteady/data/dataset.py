"""Training data: several sources, mixed by weight, every item fixed by the seed and its number."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from holdsteady.errors import ConfigError

from .sample import Sample, Source


class Mixture(Dataset[Sample]):
    """Clips drawn from sources by weight.

    Item i depends on the seed and i alone, whatever the number of workers, their order, or where a training is
    resumed. Items hold the keys that all sources give, so that they can be batched.

    Load it in processes that are spawned (``DataLoader(..., multiprocessing_context="spawn")``): a forked one hangs
    as soon as OpenCV, which draws stills and scenes, looks for the threads that it had before the fork.

    Args:
        sources: Where clips come from; with batches of more than one clip, all of one size.
        weights: How often each source is drawn from, in proportion; by default equally.
        seed: At least 0.
        size: Number of items.
        in_turn: Whether item i is of source i modulo their number, whatever the weights.

    Raises:
        ConfigError: there is no source; the weights don't match them, or one is not above 0; or the seed or
            the size is negative.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float] | None = None,
        *,
        seed: int = 0,
        size: int,
        in_turn: bool = False,
    ) -> None:
        self._sources = tuple(sources)
        self._weights = tuple(float(weight) for weight in (weights or [1.0] * len(self._sources)))
        if not self._sources:
            raise ConfigError("a mixture needs at least one source")
        if len(self._weights) != len(self._sources):
            raise ConfigError(f"{len(self._weights)} weights are given for {len(self._sources)} sources")
        if not all(0 < weight < float("inf") for weight in self._weights):
            raise ConfigError(f"the weights are {list(self._weights)}, each must be above 0 and finite")
        if seed < 0 or size < 0:
            raise ConfigError(f"seed and size can't be negative, got seed {seed} and size {size}")
        self._seed, self._size, self._in_turn = seed, size, in_turn
        self.keys = frozenset.intersection(*(source.keys for source in self._sources))
        self._ends = torch.tensor(self._weights, dtype=torch.float64).cumsum(0)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Sample:
        """The sample of number `index`, 0 … size − 1.

        Raises:
            IndexError: there is no such item.
        """
        if not 0 <= index < self._size:
            raise IndexError(f"item {index} of a mixture of {self._size}")
        generator = item_generator(self._seed, index)
        place = torch.rand((), generator=generator, dtype=torch.float64) * self._ends[-1]
        drawn = min(int(torch.searchsorted(self._ends, place, right=True)), len(self._sources) - 1)
        chosen = index % len(self._sources) if self._in_turn else drawn
        sample = self._sources[chosen].draw(generator)
        return {key: value for key, value in sample.items() if key in self.keys}

    def describe(self) -> list[dict[str, object]]:
        """What the sources say of themselves, each with its share of the clips."""
        total = sum(self._weights)
        pairs = zip(self._sources, self._weights, strict=True)
        return [{**source.describe(), "share": weight / total} for source, weight in pairs]


def item_generator(seed: int, index: int) -> torch.Generator:
    """Random numbers for one item: independent of those of every other seed and index."""
    # A generator seeded with seed + index would give neighbours, and neighbouring seeds, the same items.
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))
