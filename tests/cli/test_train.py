"""``holdsteady train`` and ``eval`` through the command line, on real clips."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cli.helpers import Cli, frames_of, texture, write_clip

from holdsteady.corruptions import CORRUPTIONS

CLIP = str(Path(__file__).parents[1] / "clips" / "carphone.mp4")


@pytest.fixture(autouse=True)
def _frame_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path_factory.getbasetemp() / "frames"))


def recipe_for(carphone: str) -> dict[str, object]:
    return {
        "model": "denoise",
        "adapter": {"kind": "motion"},
        "corruption": "gaussian:sigma=0.19607843",
        "objective": {"target": "frames"},
        "data": {"sources": [{"paths": carphone}], "length": 4, "crop": 64, "workers": 0},
        "validation": {"clips": 1, "length": 6, "crop": 96, "every": 20},
        "optimizer": {"learning_rate": 1e-2, "warmup": 5},
        "steps": 40,
        "batch": 1,
    }


def test_a_training_does_not_go_where_its_clips_are(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "footage").mkdir()
    clip = write_clip(tmp_path / "footage" / "a.mkv", texture(8))
    recipe = recipe_for("footage")
    Path("my.yaml").write_text(yaml.safe_dump(recipe))
    done = cli("train", "my.yaml", "--out", "footage")
    assert done.code == 1 and "is the source itself" in done.error
    assert "is the source itself" in cli("eval", "my.yaml", "--out", "footage", "--frames", 2).error
    assert [str(path) for path in (tmp_path / "footage").iterdir()] == [clip]


@pytest.mark.slow
def test_a_short_training_improves_its_validation_and_its_adapter_runs(cli: Cli, carphone: str) -> None:
    Path("my.yaml").write_text(yaml.safe_dump(recipe_for(carphone)))
    done = cli("train", "my.yaml", "--device", "cpu")
    assert done.code == 0, done.err
    assert "step 20: validation loss" in done.err
    metrics = json.loads(Path("trained/my/metrics.json").read_text())
    assert metrics["after"]["loss"] < 0.98 * metrics["before"]["loss"]
    assert metrics["after"]["psnr"] > metrics["before"]["psnr"]
    assert metrics["after"]["flicker_error"] < 0.95 * metrics["before"]["flicker_error"]
    run = ["run", carphone, "out.mp4", "--model", "denoise", "--duration", "0.2"]
    assert cli(*run, "--adapter", "trained/my").code == 0
    assert cli(*run, "--adapter", "trained/my+output-fixed:0.9", "-y").code == 0
    assert len(frames_of("out.mp4")) == 6
    table = cli("eval", "my.yaml", "--adapter", "trained/my", "--clips", carphone, "--frames", "6", "--no-baselines")
    assert table.code == 0, table.err
    assert "│ my" in table.out
    assert json.loads(Path("evaluation/results.json").read_text())["facts"]["target"] == "frames"


@pytest.mark.slow
def test_without_a_recipe_it_says_what_it_picked(
    cli: Cli, model: Callable[[str], str], carphone: str, bunny: str, tmp_path: Path
) -> None:
    videos = ["--videos", carphone, "--videos", bunny]
    few = ["--set", "steps=2", "--set", "data.length=3", "--set", "validation.length=3", "--set", "validation.clips=2"]
    done = cli("train", "--model", model("Blur"), *videos, "--out", "mine", *few, "--device", "cpu")
    assert done.code == 0, done.err
    for part in (
        "found in 2 of 2 video(s): ",
        "adds the like: mix(",
        "begins at universal",
        "for validation bunny_audio.mp4",
        "no adapter, motion-fixed, universal, kept",
    ):
        assert part in done.err
    assert ("nothing was gained" in done.err) != ("no worse than universal in any clip, +" in done.err)
    recipe = yaml.safe_load((tmp_path / "mine" / "recipe.yaml").read_text())
    assert recipe["adapter"] == "universal"
    assert recipe["validation"]["hold"] == "universal"
    assert recipe["objective"]["target"] == "self"
    assert recipe["objective"]["distance"] == "rmse"
    assert recipe["data"]["sources"][0]["paths"] == [carphone]
    run = ["run", carphone, "out.mp4", "--model", model("Blur"), "--duration", "0.2", "--adapter", "mine"]
    assert cli(*run).code == 0


@pytest.mark.slow
def test_class_logits_get_cross_entropy(cli: Cli, model: Callable[[str], str], carphone: str, tmp_path: Path) -> None:
    few = ["--set", "steps=1", "--set", "data.length=2", "--set", "validation.length=2", "--set", "validation.clips=1"]
    done = cli("train", "--model", model("Logits"), "--videos", carphone, "--out", "mine", *few, "--device", "cpu")
    assert done.code == 0, done.err
    assert yaml.safe_load((tmp_path / "mine" / "recipe.yaml").read_text())["objective"]["distance"] == "cross-entropy"


@pytest.mark.slow
def test_what_is_said_of_a_model_is_kept_in_recipe_and_adapter(cli: Cli, carphone: str) -> None:
    Path("net.py").write_text(
        "from torch import nn\n\n\nclass Bytes(nn.Module):\n    def forward(self, x):\n"
        "        assert x.max() > 2, 'not in 0…255'\n        return x\n"
    )
    few = ["--set", "steps=1", "--set", "data.length=2", "--set", "validation.length=2", "--set", "validation.clips=1"]
    told = ["--model", "net.py:Bytes", "--range", "0..255"]
    done = cli("train", *told, "--videos", carphone, "--out", "mine", *few, "--device", "cpu")
    assert done.code == 0, done.err
    assert yaml.safe_load(Path("mine/recipe.yaml").read_text())["card"] == {"range": [0.0, 255.0]}
    run = ["run", carphone, "out/", "--model", "net.py:Bytes", "--duration", "0.1"]
    assert "not in 0…255" in cli(*run, "--adapter", "none").error
    assert cli(*run, "--adapter", "mine").code == 0
    table = cli("eval", "mine/recipe.yaml", "--adapter", "mine", "--clips", carphone, "--frames", "2", "--no-baselines")
    assert table.code == 0, table.err


def test_eval_of_clips_asks_for_nothing_else_that_the_recipe_names(cli: Cli, carphone: str) -> None:
    recipe = recipe_for("elsewhere/clip.mp4") | {"adapter": "elsewhere/adapter"}
    Path("my.yaml").write_text(yaml.safe_dump(recipe))
    done = cli("eval", "my.yaml", "--clips", carphone, "--frames", "2", "--no-baselines")
    assert done.code == 0, done.err
    facts = json.loads(Path("evaluation/results.json").read_text())
    assert (facts["facts"]["model"], facts["rows"][0]["corruption"]) == (recipe["model"], recipe["corruption"])
    done = cli("eval", "my.yaml", "--no-baselines")
    assert done.code == 1
    assert "elsewhere/clip.mp4" in done.error
    assert "not found: elsewhere/clip.mp4" in cli("train", "my.yaml").error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train"], "give a recipe, or --model and --videos"),
        (["train", "nowhere.yaml"], "nowhere.yaml can't be read"),
        (["train", "--model", "denoise", "--videos", "nowhere"], "no videos or images found"),
        (["eval"], "give a recipe, or --model and --clips"),
        (
            ["eval", "--model", "denoise", "--clips", CLIP, "--adapter", "motoin"],
            "did you mean motion",
        ),
        (["eval", "--model", "denoise", "--clips", CLIP, "--target", "truth"], "take self or frames"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, arguments: list[str], text: str) -> None:
    done = cli(*arguments)
    assert done.code == 1
    assert text in done.error


def test_a_recipe_and_a_model_at_once(cli: Cli, carphone: str) -> None:
    Path("my.yaml").write_text(yaml.safe_dump(recipe_for(carphone)))
    done = cli("train", "my.yaml", "--model", "denoise")
    assert "--model go without a recipe" in done.error


@pytest.mark.slow
def test_every_corruption_in_one_evaluation(cli: Cli, model: Callable[[str], str], carphone: str) -> None:
    done = cli(
        "eval", "--model", model("Blur"), "--clips", carphone, "--corrupt", "all", "--frames", 2, "--no-baselines"
    )
    assert done.code == 0, done.err
    rows = json.loads(Path("evaluation/results.json").read_text())["rows"]
    assert [row["corruption"] for row in rows] == list(CORRUPTIONS)


@pytest.mark.slow
def test_videos_that_hold_no_clip_are_left_out(
    cli: Cli, model: Callable[[str], str], carphone: str, bunny: str
) -> None:
    write_clip(Path("short.mp4"), texture(4, 144, 176))
    few = ["--set", "steps=1", "--set", "validation.clips=1"]
    videos = ["--videos", carphone, "--videos", "short.mp4", "--videos", bunny]
    done = cli("train", "--model", model("Blur"), *videos, "--out", "mine", *few, "--device", "cpu")
    assert done.code == 0, done.err
    assert "left out, too small or without a shot of 8 frames: short.mp4" in done.err
    done = cli("train", "--model", model("Blur"), "--videos", "short.mp4", "--out", "other", *few)
    assert "no video holds a clip" in done.error
