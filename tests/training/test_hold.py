"""The result is never below the start in any clip of the validation."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CLIPS
from safetensors.torch import load_file

import holdsteady as hs
from holdsteady.errors import ConfigError
from holdsteady.host.resolve import SHIPPED
from holdsteady.training.hold import LESS_DB, LITTLE_FLICKER, MORE_FLICKER, Held
from holdsteady.training.loop import train
from holdsteady.training.recipe import make_recipe
from holdsteady.training.watch import Figures

CARPHONE = str(CLIPS / "carphone.mp4")
ONE = [torch.ones(2)]


def figures(psnr: float, flicker: float) -> Figures:
    return Figures(0.0, 10 ** (-psnr / 20), 0.0, psnr, flicker, 0.0)


def held(**rivals: list[Figures]) -> Held:
    return Held(("a", "b"), [figures(30, 0.02), figures(35, 0.01)], rivals)


@pytest.mark.parametrize(
    ("a", "b", "step"),
    [
        ((31, 0.018), (36, 0.009), 5),
        ((33, 0.015), (34.9, 0.01), 0),  # less accurate in one
        ((33, 0.015), (35, 0.0108), 0),  # less steady in one
        ((33, 0.0203), (34.96, 0.0101), 5),  # within what is allowed
        ((30.01, 0.02), (35.01, 0.01), 0),  # not worth it
        ((math.nan, 0.01), (35, 0.01), 5),  # class numbers are judged by their loss
    ],
)
def test_weights_count_if_they_are_worse_in_no_clip(a: tuple[float, float], b: tuple[float, float], step: int) -> None:
    one = held()
    found = [figures(*a), figures(*b)]
    if math.isnan(a[0]):
        one.start[0] = Figures(0.0, 0.05, 0.0, math.nan, 0.02, 0.0)
        found[0] = Figures(0.0, 0.03, 0.0, math.nan, 0.02, 0.0)
    one.offer(5, found, ONE)
    assert one.step == step
    assert one.gained == (step > 0)
    assert bool(one.worse) == (step == 0 and b != (35.01, 0.01))
    assert len(one.parameters) == (step > 0)
    one.offer(9, [figures(29, 0.03), figures(35, 0.01)], [torch.zeros(2)])
    assert one.step == step


def test_it_says_where_and_how_much_worse() -> None:
    one = held()
    one.offer(5, [figures(31, 0.01), figures(34.5, 0.012)], ONE)
    assert one.worse == ("b (-0.50 dB, flicker +20.0 %)",)


def test_the_best_of_what_counts_is_kept() -> None:
    one = held()
    for step, psnr in ((0, 40.0), (1, 31.0), (2, 33.0), (3, 32.0)):  # before a step there is nothing to keep
        one.offer(step, [figures(psnr, 0.02), figures(35, 0.01)], [torch.full((2,), float(step))])
    assert one.step == 2
    assert one.parameters[0][0] == 2
    assert one.gain == pytest.approx(0.75)
    again = Held.restored(json.loads(json.dumps({**vars(one), "parameters": [], **_plain(one)})), torch.device("cpu"))
    assert (again.step, again.gain, again.start, again.names) == (one.step, one.gain, one.start, one.names)


def _plain(one: Held) -> dict[str, Any]:
    return {
        "start": [vars(f) for f in one.start],
        "best": [vars(f) for f in one.best],
        "rivals": {name: [vars(f) for f in found] for name, found in one.rivals.items()},
    }


def test_a_rival_that_is_better_has_to_be_reached_and_is_named() -> None:
    one = held(none=[figures(32, 0.02), figures(20, 0.1)])
    one.offer(3, [figures(31, 0.01), figures(36, 0.01)], ONE)
    assert not one.gained
    assert one.better_rivals() == {"none": ["a"]}
    one.offer(4, [figures(32, 0.01), figures(36, 0.01)], ONE)
    assert one.gained
    assert one.better_rivals() == {}


@pytest.fixture
def begun(models: Path) -> dict[str, Any]:
    """A short training of what ships as universal."""
    return {
        "model": f"{models}:Smooth",
        "adapter": "universal",
        "corruption": "gaussian:sigma=0.05",
        "objective": {"target": "self", "stability": 0.0},
        "data": {"sources": [{"paths": CARPHONE, "part": [0.0, 0.6]}], "length": 4, "crop": 48, "workers": 0},
        "validation": {
            "sources": [{"paths": CARPHONE, "part": part} for part in ([0.6, 1.0], [0.7, 1.0], [0.5, 0.9])],
            "clips": 3,
            "length": 6,
            "crop": 64,
            "every": 4,
            "hold": "universal",
        },
        "optimizer": {"warmup": 1, "learning_rate": 2e-3},
        "steps": 8,
        "batch": 1,
        "checkpoint_every": 4,
    }


def test_a_training_never_ends_below_its_start(begun: dict[str, Any], tmp_path: Path) -> None:
    outcome = train(make_recipe(begun), tmp_path / "out", accelerator="cpu")
    found = outcome.held
    assert found is not None
    assert set(found.rivals) == {"none", "motion-fixed"}
    assert len(found.start) == len(found.best) == 3
    for start, kept in zip(found.start, found.best, strict=True):
        assert kept.psnr >= start.psnr - LESS_DB - 1e-9
        assert kept.flicker_error <= (1 + MORE_FLICKER) * start.flicker_error + LITTLE_FLICKER
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["clips"]
    assert [row["clip"] for row in rows] == ["carphone.mp4"] * 3
    assert rows[0]["kept"]["psnr"] == pytest.approx(found.best[0].psnr)
    provenance = hs.stabilize(lambda frame: frame, tmp_path / "out").adapter(0).provenance
    assert ("corruption" in provenance) == found.gained, "else it is the adapter that ships"


@pytest.mark.parametrize("change", [{"model": "Grey"}, {"optimizer": {"learning_rate": 5.0, "warmup": 0}}])
def test_where_nothing_is_gained_the_start_comes_back_bit_for_bit(
    begun: dict[str, Any], models: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    if "model" in change:  # gives what no adapter can better
        models.write_text(
            models.read_text() + "\nclass Grey(nn.Module):\n    def forward(self, x):\n        return 0 * x + 0.5\n"
        )
        change = {"model": f"{models}:Grey"}
    outcome = train(make_recipe({**begun, **change}), tmp_path / "out", accelerator="cpu")
    assert outcome.held is not None
    assert not outcome.held.gained
    assert outcome.after == outcome.before
    assert outcome.held.best == outcome.held.start
    shipped, kept = (load_file(folder / "adapter.safetensors") for folder in (SHIPPED["universal"], tmp_path / "out"))
    assert shipped.keys() == kept.keys()
    assert all(torch.equal(shipped[name], kept[name]) for name in shipped)


def test_weights_of_another_kind_are_held_to_it_too(begun: dict[str, Any], tmp_path: Path) -> None:
    recipe = make_recipe({**begun, "adapter": {"kind": "motion"}, "steps": 1})
    outcome = train(recipe, tmp_path / "out", accelerator="cpu")
    assert outcome.held is not None
    kept = hs.stabilize(lambda frame: frame, tmp_path / "out").adapter(0).config.kind
    assert kept == ("motion" if outcome.held.gained else "universal")


def test_it_learns_from_recordings_too(begun: dict[str, Any], tmp_path: Path) -> None:
    begun |= {"recorded": 6, "corruption": "gaussian:sigma=0.1", "steps": 12, "batch": 2}
    begun["optimizer"] = {"warmup": 1, "learning_rate": 5e-3, "ema": 0.8}
    outcome = train(make_recipe(begun), tmp_path / "one", accelerator="cpu")
    again = train(make_recipe(begun), tmp_path / "two", accelerator="cpu")
    assert outcome.held is not None
    assert outcome.held.gained
    assert outcome.after.psnr > outcome.before.psnr
    first, second = (load_file(tmp_path / name / "adapter.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.held is not None
    with pytest.raises(ConfigError, match="only universal learns from recordings"):
        train(make_recipe({**begun, "adapter": {"kind": "motion"}}), tmp_path / "three", accelerator="cpu")


def test_what_was_best_before_a_stop_is_still_the_best(begun: dict[str, Any], tmp_path: Path) -> None:
    whole = train(make_recipe(begun), tmp_path / "whole", accelerator="cpu")
    stopped: list[int] = []

    def stop(step: int, _share: float, *_: object) -> None:
        if step == 6 and not stopped:
            stopped.append(step)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(make_recipe(begun), tmp_path / "cut", accelerator="cpu", progress=stop)
    again = train(make_recipe(begun), tmp_path / "cut", accelerator="cpu")
    assert whole.held is not None
    assert again.held is not None
    assert (again.held.step, again.held.start, again.held.best) == (whole.held.step, whole.held.start, whole.held.best)
    first, second = (load_file(tmp_path / name / "adapter.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("source", "text"),
    [({"part": [0.5, 0.5]}, "the first below the second"), ({"kind": "stills", "shrink": 2}, "are for videos")],
)
def test_parts_that_make_no_sense(begun: dict[str, Any], source: dict[str, Any], text: str) -> None:
    begun["data"]["sources"][0] |= source
    if source.get("kind"):
        del begun["data"]["sources"][0]["part"]
    with pytest.raises(ConfigError, match=text):
        make_recipe(begun)
