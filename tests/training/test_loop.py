"""The loop: it learns what it should, and stops, resumes and shares the work without changing what comes out."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import CLIPS
from safetensors.torch import load_file

import holdsteady as hs
from holdsteady.errors import ConfigError, TrainingError, VideoError
from holdsteady.loading import load
from holdsteady.models.model import Model
from holdsteady.models.weights import load_weights, save_weights
from holdsteady.training.checkpoint import load_checkpoint, save_checkpoint
from holdsteady.training.loop import train
from holdsteady.training.recipe import Recipe, make_recipe

CARPHONE = CLIPS / "carphone.mp4"

COMMAND = [sys.executable, "-m", "holdsteady", "train"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter.safetensors")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write(recipe: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(recipe))
    return path


def test_it_finds_the_best_weight_of_two_noisy_frames(models: Path, still: Path, tmp_path: Path) -> None:
    """β z_2 + (1−β) z_1 of a still picture with fresh noise varies least at β = 1/2."""
    recipe = make_recipe(
        {
            "model": f"{models}:Same",
            "adapter": {"kind": "simple-learned", "points": ["output"]},
            "corruption": "gaussian:sigma=0.1",
            "objective": {"target": "frames", "stability": 0.0},
            "data": {"sources": [{"paths": str(still)}], "length": 2, "crop": 32, "workers": 0},
            "validation": {"clips": 1, "length": 2, "crop": 32},
            "optimizer": {"learning_rate": 0.2, "warmup": 0},
            "steps": 120,
            "batch": 4,
        }
    )
    outcome = train(recipe, tmp_path / "out", accelerator="cpu")
    beta = torch.sigmoid(next(iter(weights_of(tmp_path / "out").values())))
    torch.testing.assert_close(beta, torch.full_like(beta, 0.5), atol=0.04, rtol=0)
    assert outcome.after.loss < outcome.before.loss


def test_the_folder_is_an_adapter_with_its_history(plain: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    outcome = train(make_recipe(plain), folder, accelerator="cpu")
    assert (outcome.steps, outcome.reason) == (4, "steps")
    steady = hs.stabilize(load(plain["model"]), folder)
    assert steady.adapter(0).provenance["corruption"] == "gaussian:sigma=0.1"
    assert make_recipe(yaml.safe_load((folder / "recipe.yaml").read_text())) == make_recipe(plain)
    assert json.loads((folder / "data.json").read_text())["validation"][0]["files"] == [str(CARPHONE)]
    assert json.loads((folder / "metrics.json").read_text())["after"]["loss"] == outcome.after.loss
    assert [row["step"] for row in rows_of(folder)] == ["1", "2", "3", "4"]
    assert [bool(row["validation_psnr"]) for row in rows_of(folder)] == [False, False, False, True]
    assert (folder / "examples" / "step-000004.png").is_file()
    assert list((folder / "tensorboard").iterdir())
    assert not (folder / "checkpoint.pt").exists()


def test_the_base_never_moves(plain: dict[str, Any], tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in load(plain["model"]).state_dict().items()}
    train(make_recipe(plain, ["train=both"]), tmp_path / "both", accelerator="cpu")
    moved = load_file(tmp_path / "both" / "base.safetensors")
    assert moved.keys() == before.keys()
    assert all(not torch.equal(moved[name], before[name]) for name in before)
    train(make_recipe(plain), tmp_path / "adapter", accelerator="cpu")
    assert not (tmp_path / "adapter" / "base.safetensors").exists()
    train(make_recipe(plain, ["train=base"]), tmp_path / "base", accelerator="cpu")
    assert not (tmp_path / "base" / "adapter.safetensors").exists()
    load(plain["model"], tmp_path / "base" / "base.safetensors")


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_and_others_do_not(plain: dict[str, Any], tmp_path: Path) -> None:
    for name, seed, workers in (("a", 0, 0), ("b", 0, 2), ("c", 1, 0)):
        train(make_recipe(plain, [f"seed={seed}", f"data.workers={workers}"]), tmp_path / name, accelerator="cpu")
    first, second, third = (weights_of(tmp_path / name) for name in "abc")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def start(recipe: Path, folder: Path) -> subprocess.Popen[str]:
    """A training in a process of its own, which Ctrl-C reaches even if the tests run in the background."""
    return subprocess.Popen(
        [*COMMAND, str(recipe), "--out", str(folder), "--device", "cpu"],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def stop_at(process: subprocess.Popen[str], folder: Path, step: int, with_signal: signal.Signals) -> str:
    """Send a signal once a step is done, and give what the process said."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "checkpoint.pt").exists() and len(rows_of(folder)) >= step:
            break
        time.sleep(0.02)
    process.send_signal(with_signal)
    return process.communicate()[1]


@pytest.mark.slow
def test_a_stopped_training_resumes_to_the_same_weights(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"steps": 200, "checkpoint_every": 10}
    plain["optimizer"] |= {"ema": 0.9}
    recipe = write(plain, tmp_path / "recipe.yaml")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    killed = start(recipe, broken)
    stop_at(killed, broken, 15, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, "it was over before it could be killed"
    assert not (broken / "adapter.safetensors").exists()
    interrupted = start(recipe, broken)
    said = stop_at(interrupted, broken, 75, signal.SIGINT)
    assert interrupted.returncode == 130, said
    assert "give the same command again to resume" in said
    assert 75 <= len(rows_of(broken)) < 200
    assert weights_of(broken)
    for folder in (whole, broken):
        assert start(recipe, folder).wait() == 0
    resumed, uninterrupted = weights_of(broken), weights_of(whole)
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)
    assert [row["step"] for row in rows_of(broken)] == [str(step) for step in range(1, 201)]
    assert [row["loss"] for row in rows_of(broken)] == [row["loss"] for row in rows_of(whole)]
    assert not (broken / "checkpoint.pt").exists()


def test_checkpoints_that_are_damaged_or_of_another_recipe(plain: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is damaged \(.*\); delete it to start over"):
        train(make_recipe(plain), folder, accelerator="cpu")
    save_checkpoint(folder, {"recipe": make_recipe(plain).to_yaml()})
    with pytest.raises(TrainingError, match="was made by another recipe"):
        train(make_recipe(plain, ["seed=3"]), folder, accelerator="cpu")


def test_half_precision_trains_too(plain: dict[str, Any], tmp_path: Path) -> None:
    full = train(make_recipe(plain), tmp_path / "full", accelerator="cpu")
    half = train(make_recipe(plain, ["precision=bf16-mixed"]), tmp_path / "half", accelerator="cpu")
    assert half.after.loss == pytest.approx(full.after.loss, rel=0.05)
    assert half.after.loss != full.after.loss
    assert all(value.dtype == torch.float32 for value in weights_of(tmp_path / "half").values())


@pytest.mark.slow
def test_two_processes_train_the_same_weights_as_one(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"steps": 6, "batch": 4}
    recipe = write(plain, tmp_path / "recipe.yaml")
    for devices in (1, 2):
        command = [*COMMAND, str(recipe), "--out", str(tmp_path / str(devices)), "--device", "cpu"]
        subprocess.run([*command, "--devices", str(devices)], env=ENVIRONMENT, check=True, capture_output=True)
    one, two = weights_of(tmp_path / "1"), weights_of(tmp_path / "2")
    start = tmp_path / "start"
    train(make_recipe(plain, ["steps=1", "optimizer.learning_rate=1e-12"]), start, accelerator="cpu")
    for name, untrained in weights_of(start).items():
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
        assert (one[name] - untrained).abs().max() > 100 * (one[name] - two[name]).abs().max()


def test_a_nan_loss_stops_with_the_batch_saved(plain: dict[str, Any], models: Path, tmp_path: Path) -> None:
    recipe = make_recipe(plain, [f"model={models}:Broken"])
    with pytest.raises(TrainingError, match=r"the loss is NaN at step 0; the batch is in .*stopped-at-step-0-rank-0"):
        train(recipe, tmp_path / "out", accelerator="cpu")
    batch = load_file(tmp_path / "out" / "stopped-at-step-0-rank-0.safetensors")
    assert batch["frames"].shape == batch["corrupted"].shape == (2, 3, 3, 32, 32)


def test_patience_and_minutes_end_it(plain: dict[str, Any], tmp_path: Path) -> None:
    # Nothing can be learned at such a rate, so no validation is better than the first.
    still = ["steps=40", "validation.every=1", "validation.patience=3", "optimizer.learning_rate=1e-12"]
    outcome = train(make_recipe(plain, still), tmp_path / "patience", accelerator="cpu")
    assert outcome.reason == "patience"
    assert outcome.steps < 12
    outcome = train(make_recipe(plain, ["steps=100000", "minutes=0.03"]), tmp_path / "minutes", accelerator="cpu")
    assert outcome.reason == "minutes"
    assert 0.03 <= outcome.minutes < 0.3
    assert (tmp_path / "minutes" / "adapter.safetensors").is_file()


def test_finished_folders_are_kept_unless_told_otherwise(plain: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    train(make_recipe(plain), folder, accelerator="cpu")
    before = weights_of(folder)
    with pytest.raises(ConfigError, match="holds a finished training"):
        train(make_recipe(plain, ["seed=4"]), folder, accelerator="cpu")
    train(make_recipe(plain, ["seed=4"]), folder, accelerator="cpu", overwrite=True)
    assert any(not torch.equal(before[name], value) for name, value in weights_of(folder).items())
    assert len(rows_of(folder)) == 4


def test_an_adapter_is_trained_further(plain: dict[str, Any], tmp_path: Path) -> None:
    train(make_recipe(plain), tmp_path / "first", accelerator="cpu")
    further = make_recipe(plain, [f"adapter={tmp_path / 'first'}", "optimizer.learning_rate=1e-12"])
    train(further, tmp_path / "second", accelerator="cpu")
    first, second = weights_of(tmp_path / "first"), weights_of(tmp_path / "second")
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (["objective.target=truth"], "objective.target = 'truth': the sources give"),
        (["adapter={kind: output-fixed, beta: 0.5}"], "nothing to learn"),
        (["data.crop=4000"], "smaller than the crop"),
        (["objective.features={nowhere: 1.0}"], "no module nowhere"),
        (
            ["model=MODELS:Gray"],
            r"gives 1 channel of 48x48, and objective.target = frames is 3 channels.*target = self",
        ),
        (["model=upscale2"], r"gives 3 channels of 96x96, and objective.target = frames is 3 channels of 48x48"),
    ],
)
def test_recipes_that_do_not_fit_their_data(
    plain: dict[str, Any], models: Path, tmp_path: Path, changes: list[str], text: str
) -> None:
    changes = [change.replace("MODELS", str(models)) for change in changes]
    with pytest.raises(Exception, match=text) as caught:
        train(make_recipe(plain, changes), tmp_path / "out", accelerator="cpu")
    assert isinstance(caught.value, hs.errors.HoldsteadyError)


def test_crops_that_the_models_stride_forbids(plain: dict[str, Any], models: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.crop = 33: .* takes sides divisible by 2; use 32"):
        train(make_recipe(plain, [f"model={models}:Halves", "data.crop=33"]), tmp_path / "out", accelerator="cpu")


def test_batches_that_devices_can_not_share(plain: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch = 2 can't be shared evenly by 3 devices"):
        train(make_recipe(plain), tmp_path / "out", accelerator="cpu", devices=3)


def test_a_nan_gradient_stops_too(plain: dict[str, Any], models: Path, tmp_path: Path) -> None:
    recipe = make_recipe(plain, [f"model={models}:Sharp", "train=base"])
    with pytest.raises(TrainingError, match=r"the gradient is (NaN|inf) at step 0"):
        train(recipe, tmp_path / "out", accelerator="cpu")
    assert list((tmp_path / "out").glob("stopped-at-step-0-*.safetensors"))


def test_files_of_others_are_left_alone(plain: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "examples").mkdir(parents=True)
    (folder / "examples" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds examples, and is not the folder of a training"):
        train(make_recipe(plain), folder, accelerator="cpu", overwrite=True)
    own = tmp_path / "own"
    own.mkdir()
    write(plain, own / "recipe.yaml")
    with pytest.raises(ConfigError, match=r"holds recipe\.yaml"):
        train(make_recipe(plain), own, accelerator="cpu")
    train(make_recipe(plain), tmp_path / "out", accelerator="cpu")
    (tmp_path / "out" / "examples" / "mine.txt").write_text("mine")
    train(make_recipe(plain, ["steps=2"]), tmp_path / "out", accelerator="cpu", overwrite=True)
    assert (tmp_path / "out" / "examples" / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "examples" / "step-000004.png").exists()


def test_the_adapter_to_train_on_is_not_overwritten(plain: dict[str, Any], tmp_path: Path) -> None:
    train(make_recipe(plain), tmp_path / "out", accelerator="cpu")
    again = make_recipe(plain, [f"adapter={tmp_path / 'out'}"])
    with pytest.raises(ConfigError, match="holds the adapter to train on"):
        train(again, tmp_path / "out", accelerator="cpu", overwrite=True)


def test_patience_keeps_the_best_weights(plain: dict[str, Any], tmp_path: Path) -> None:
    # So fast a rate makes it worse after a good start.
    changes = ["steps=60", "validation.every=1", "validation.patience=4", "optimizer.learning_rate=0.3"]
    outcome = train(make_recipe(plain, changes), tmp_path / "out", accelerator="cpu")
    assert outcome.reason == "patience"
    validated = [float(row["validation_loss"]) for row in rows_of(tmp_path / "out") if row["validation_loss"]]
    assert outcome.after.loss == pytest.approx(min([outcome.before.loss, *validated]), rel=1e-4)
    assert validated[-1] > outcome.after.loss


def test_outputs_of_another_size(plain: dict[str, Any], models: Path, tmp_path: Path) -> None:
    recipe = make_recipe(plain, [f"model={models}:Coarse", "objective.target=self", "objective.distance=cross-entropy"])
    outcome = train(recipe, tmp_path / "coarse", accelerator="cpu")
    assert (tmp_path / "coarse" / "examples" / "step-000004.png").is_file()
    assert outcome.after.loss < outcome.before.loss + 0.01


def test_weights_behind_a_normalization_come_back(tmp_path: Path) -> None:
    model = Model(torch.nn.Conv2d(3, 3, 1), mean=0.5)
    save_weights(model, tmp_path / "weights.safetensors")
    other = Model(torch.nn.Conv2d(3, 3, 1), mean=0.5)
    load_weights(other, tmp_path / "weights.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_devices_that_are_not_there(plain: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"64 device\(s\) of kind 'cuda' can't be used"):
        train(make_recipe(plain, ["batch=64"]), tmp_path / "out", accelerator="cuda", devices=64)


def test_folders_of_something_else_are_refused(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, text in {
        "mine": "mine holds notes.txt, and is not the folder of a training",
        "file": "is a file, and a training needs a folder",
        "file/inside": "can't write to the folder",
    }.items():
        with pytest.raises(ConfigError, match=text):
            train(make_recipe(plain), tmp_path / name, accelerator="cpu", overwrite=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".gitkeep").touch()
    assert train(make_recipe(plain), tmp_path / "empty", accelerator="cpu").steps == 4


@pytest.mark.parametrize(
    "changes",
    [
        ["recorded=3"],
        ["objective.target=self", "validation.crop=4000"],
        ["objective.features={nowhere: 1.0}"],
        ["model=MODELS:Gray"],
    ],
)
def test_what_can_not_begin_leaves_nothing_and_keeps_what_was_there(
    plain: dict[str, Any], models: Path, tmp_path: Path, changes: list[str]
) -> None:
    broken = make_recipe(plain, [change.replace("MODELS", str(models)) for change in changes])
    with pytest.raises(hs.errors.HoldsteadyError):
        train(broken, tmp_path / "new" / "out", accelerator="cpu")
    assert not (tmp_path / "new").exists()
    train(make_recipe(plain), tmp_path / "out", accelerator="cpu")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(hs.errors.HoldsteadyError):
        train(broken, tmp_path / "out", accelerator="cpu", overwrite=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}


def stopped(recipe: Recipe, folder: Path, step: int) -> None:
    """A training that is stopped after a step."""
    stop = threading.Event()
    outcome = train(recipe, folder, accelerator="cpu", progress=lambda *_: stop.set(), stop=stop)
    assert (outcome.reason, outcome.steps) == ("interrupted", step)


def test_it_resumes_with_the_data_that_it_began_with(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(CARPHONE, tmp_path / "clips" / name)
    recipe = make_recipe(plain, [f"data.sources.0.paths={tmp_path / 'clips'}"])
    stopped(recipe, tmp_path / "out", 1)
    (tmp_path / "clips" / "b.mp4").rename(tmp_path / "b.mp4")
    with pytest.raises(
        ConfigError, match=r"not those that the training in .*out began with: now without .*b\.mp4; put"
    ):
        train(recipe, tmp_path / "out", accelerator="cpu")
    (tmp_path / "b.mp4").rename(tmp_path / "clips" / "b.mp4")
    assert train(recipe, tmp_path / "out", accelerator="cpu").steps == 4


def test_a_checkpoint_that_does_not_fit(plain: dict[str, Any], tmp_path: Path) -> None:
    recipe = make_recipe(plain)
    stopped(recipe, tmp_path / "out", 1)
    saved = load_checkpoint(tmp_path / "out", recipe.to_yaml())
    assert saved is not None
    for broken in (
        {"recipe": recipe.to_yaml()},
        saved | {"parameters": saved["parameters"][:1]},
        saved | {"before": 3},
    ):
        save_checkpoint(tmp_path / "out", broken)
        with pytest.raises(TrainingError, match=r"checkpoint\.pt does not fit \(.*\); start over with --overwrite"):
            train(recipe, tmp_path / "out", accelerator="cpu")


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_clips_that_disappear_midway_are_named_in_a_line(
    plain: dict[str, Any], tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "cache"))
    clip = shutil.copy(CARPHONE, tmp_path / "clip.mp4")
    changes = [f"data.sources.0.paths={clip}", f"validation.sources=[{{paths: {CARPHONE}}}]"]
    changes += [f"data.workers={workers}", "steps=40"]

    def lose(*_: object) -> None:
        Path(clip).unlink(missing_ok=True)
        for path in Path(os.environ["HOLDSTEADY_CACHE"]).iterdir():
            path.unlink()

    with pytest.raises(VideoError, match=r"clip\.mp4: no such file") as caught:
        train(make_recipe(plain, changes), tmp_path / "out", accelerator="cpu", progress=lose)
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_other_signals_stop_it_as_ctrl_c_does(plain: dict[str, Any], tmp_path: Path, name: str, code: int) -> None:
    plain |= {"steps": 2000, "checkpoint_every": 2}
    process = start(write(plain, tmp_path / "recipe.yaml"), tmp_path / "out")
    said = stop_at(process, tmp_path / "out", 5, getattr(signal, name))
    assert process.returncode == code, said
    assert "give the same command again to resume" in said
    assert weights_of(tmp_path / "out")
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["step"] == len(rows_of(tmp_path / "out"))
