"""Recipes: what they take, and what they say of what they don't."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import zipped

from holdsteady.errors import ConfigError
from holdsteady.host.resolve import SHIPPED
from holdsteady.training.recipe import make_recipe, read_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def test_all_faults_are_listed_at_once(plain: dict[str, Any]) -> None:
    plain |= {"stepss": 3, "batch": 0, "weights": "nowhere.safetensors", "corruption": "rainn"}
    plain["adapter"] = {"kind": "motion", "beta": 0.5}
    plain["objective"] = {"distance": "rmsd", "lambda": 1}
    plain["data"]["sources"] = [{"kind": "video", "paths": "no/such/place"}]
    with pytest.raises(ConfigError) as caught:
        make_recipe(plain)
    text = str(caught.value)
    for part in (
        "unknown setting 'stepss' (did you mean steps?)",
        "batch = 0",
        "not found: nowhere.safetensors",
        "rainn",
        "did you mean rain",
        "beta has no effect on kind 'motion'",
        "unknown distance (did you mean rmse",
        "unknown setting 'objective.lambda'",
        "unknown kind of source (did you mean videos",
        "not found: no/such/place",
    ):
        assert part in text, f"{part!r} not in {text}"


def test_an_adapter_to_train_on_may_be_in_a_zip(plain: dict[str, Any], tmp_path: Path) -> None:
    path = zipped(SHIPPED["nafnet16-light"], tmp_path / "adapter.zip")
    assert make_recipe(plain | {"adapter": str(path)}).adapter == str(path)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'model' is missing; 'data' is missing"):
        make_recipe({"steps": 1})


def test_settings_from_the_command_line(plain: dict[str, Any]) -> None:
    changes = ["optimizer.learning_rate=1e-4", "data.sources.0.stride=[1, 2]", "minutes=2", "objective.stability=0"]
    recipe = make_recipe(plain, changes)
    assert recipe.optimizer.learning_rate == 1e-4
    assert recipe.data.sources[0].stride == (1, 2)
    assert recipe.minutes == 2
    assert recipe.objective.stability == 0
    assert recipe.optimizer.warmup == 2


@pytest.mark.parametrize("setting", ["steps", "=3", "data.sources.7.weight=1", "steps.more=1", "data.sources.x=1"])
def test_settings_that_fit_nowhere(plain: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigError, match=r"--set"):
        make_recipe(plain, [setting])


def test_an_adapter_needs_a_second_frame_to_learn(plain: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"data\.length = 1: an adapter does nothing at the first frame"):
        make_recipe(plain, ["data.length=1"])
    assert make_recipe(plain, ["data.length=1", "train=base"]).data.length == 1


def test_a_saved_recipe_is_the_same(plain: dict[str, Any], tmp_path: Path) -> None:
    recipe = make_recipe(plain, ["optimizer.betas=[0.9, 0.95]", "minutes=1.5"])
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    assert read_recipe(path) == recipe


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "just words"])
def test_files_that_are_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        read_recipe(path)


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml can't be read: No such file"):
        read_recipe("nowhere.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = yaml.safe_load(path.read_text())
    # The footage is not part of the repository: everything is there but the pictures.
    monkeypatch.chdir(tmp_path)
    parts = [data["data"], data["validation"]]
    for source in [source for part in parts for source in part.get("sources", ())]:  # validation may use the data's
        places = [source["paths"]] if isinstance(source["paths"], str) else source["paths"]
        for place in [*places, *([source["truth"]] if "truth" in source else ())]:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).touch()
    start = data["adapter"]
    if isinstance(start, str) and "/" in start:  # an adapter that ships
        shutil.copytree(ROOT / start, tmp_path / start)
    for change in (data.get("model", ""), data.get("weights") or ""):
        file = change.partition(":")[0]
        if "/" in file:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
    assert make_recipe(data).model == data["model"]


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("optimizer.betas=[0.9, 2]", "optimizer.betas.1 = 2"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate = inf"),
        ("objective.stability=.nan", "objective.stability = nan"),
        ("seed=99999999999999999999", "seed = 99999999999999999999"),
        ("data.sources.0.stride=[1, 0]", "stride.1 = 0"),
        ("steps=.inf", "steps = inf"),
    ],
)
def test_numbers_that_nothing_can_be_done_with(plain: dict[str, Any], setting: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_recipe(plain, [setting])
    assert place in str(caught.value)


@pytest.mark.parametrize("train", ["base", "both"])
def test_a_base_that_moves_is_not_held(plain: dict[str, Any], train: str) -> None:
    with pytest.raises(ConfigError, match=r"validation\.hold is for train = adapter"):
        make_recipe(plain, [f"train={train}", "validation.hold=universal"])


def test_a_fault_is_told_once_and_without_an_empty_place(plain: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_recipe(plain, ["data.sources.0.kind=nothing"])
    assert "at least 1 item" not in str(caught.value)
    with pytest.raises(ConfigError, match="at least 1 item"):
        make_recipe(plain, ["data.sources=[]"])
    with pytest.raises(ConfigError, match=r"^the recipe: data\.length = 1: an adapter"):
        make_recipe(plain, ["data.length=1"])
