"""Mixtures: the same items however they are loaded, sources by weight, items independent of each other."""

from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset

from holdsteady.data import Mixture, Sample, make_source
from holdsteady.data.dataset import item_generator
from holdsteady.errors import ConfigError


@dataclass(frozen=True)
class Draws:
    """A source of one random number, and its own."""

    number: int = 0
    keys: frozenset[str] = frozenset({"frames", "depth"})
    files: tuple[str, ...] = ("a",)

    def draw(self, generator: torch.Generator) -> Sample:
        value = torch.rand((), generator=generator, dtype=torch.float64)
        return dict.fromkeys(sorted(self.keys), torch.stack((value, torch.tensor(self.number, dtype=torch.float64))))

    def describe(self) -> dict[str, object]:
        return {"kind": f"draws{self.number}"}


def load(mixture, workers: int) -> list[torch.Tensor]:
    loader = DataLoader(
        mixture, batch_size=1, num_workers=workers, multiprocessing_context="spawn" if workers else None
    )
    return [batch["frames"][0] for batch in loader]


@pytest.mark.slow
def test_items_are_the_same_with_and_without_workers_and_after_resuming(bikes: str, stills) -> None:
    sources = [make_source("videos", bikes, crop=32, stride=(1, 2)), make_source("stills", stills, crop=32)]
    mixture = Mixture(sources, [2, 1], seed=3, size=12)
    items = load(mixture, 0)
    assert all(torch.equal(a, b) for a, b in zip(load(mixture, 2), items, strict=True))
    resumed = load(Subset(Mixture(sources, [2, 1], seed=3, size=12), range(7, 12)), 0)
    assert all(torch.equal(a, b) for a, b in zip(resumed, items[7:], strict=True))
    assert all(torch.equal(mixture[i]["frames"], items[i]) for i in (11, 0, 5))
    other = load(Mixture(sources, [2, 1], seed=4, size=12), 0)
    assert not any(torch.equal(a, b) for a, b in zip(other, items, strict=True))


def test_more_items_do_not_change_the_first() -> None:
    few, many = Mixture([Draws()], seed=1, size=5), Mixture([Draws()], seed=1, size=500)
    assert all(torch.equal(few[i]["frames"], many[i]["frames"]) for i in range(5))


@settings(max_examples=4, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=4), st.integers(0, 1000))
def test_sources_are_drawn_by_weight(weights: list[float], seed: int) -> None:
    mixture = Mixture([Draws(n) for n in range(len(weights))], weights, seed=seed, size=1500)
    counts = Counter(int(mixture[i]["frames"][1]) for i in range(1500))
    for number, weight in enumerate(weights):
        # Five standard deviations of a binomial are at most 0.065.
        assert counts[number] / 1500 == pytest.approx(weight / sum(weights), abs=0.065)
    shares = [source["share"] for source in mixture.describe()]
    assert shares == pytest.approx([weight / sum(weights) for weight in weights])


def test_neighbouring_items_and_seeds_are_independent() -> None:
    draws = torch.stack([torch.rand(400, generator=item_generator(seed, i)) for seed in range(4) for i in range(50)])
    correlation = torch.corrcoef(draws) - torch.eye(200)
    assert correlation.abs().max() < 0.3  # six standard deviations of 1/√400
    first = draws[:, 0]
    assert len(first.unique()) == 200
    assert first.mean().item() == pytest.approx(0.5, abs=0.1)
    # Along the items of a seed there is no trend either.
    assert torch.corrcoef(torch.stack((first[:-1], first[1:])))[0, 1].abs() < 0.35


def test_items_keep_the_keys_that_all_sources_give() -> None:
    mixture = Mixture([Draws(), Draws(1, frozenset({"frames", "flow"}))], size=30)
    assert mixture.keys == {"frames"}
    assert {tuple(mixture[i]) for i in range(30)} == {("frames",)}
    assert Mixture([Draws(), Draws(1)], size=3)[0].keys() == {"frames", "depth"}


def test_it_has_a_length_and_ends() -> None:
    mixture = Mixture([Draws()], size=3)
    assert len(mixture) == 3
    assert len(list(mixture)) == 3
    for index in (3, -1):
        with pytest.raises(IndexError, match=f"item {index} of a mixture of 3"):
            mixture[index]


@pytest.mark.parametrize(
    ("sources", "weights", "seed", "message"),
    [
        ([], None, 0, "at least one source"),
        ([Draws()], [1, 2], 0, "2 weights are given for 1 sources"),
        ([Draws(), Draws()], [1, 0], 0, r"weights are \[1\.0, 0\.0\]"),
        ([Draws()], [float("nan")], 0, "nan"),
        ([Draws()], None, -1, "seed -1"),
    ],
)
def test_bad_settings_are_named(sources, weights, seed, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture(sources, weights, seed=seed, size=4)


def test_sources_in_turn() -> None:
    mixture = Mixture([Draws(n) for n in range(3)], [9, 1, 1], seed=2, size=7, in_turn=True)
    assert [int(mixture[i]["frames"][1]) for i in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert len({float(mixture[i]["frames"][0]) for i in range(7)}) == 7
