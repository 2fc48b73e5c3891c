"""The pages of results show what the committed files of the benchmarks hold, and these can be run."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import compressed
import front
import inference
import kinds
import leave_one_out
import numpy as np
import outcome
import own_footage
import pytest
import robustness
import stability_weight
import strides
import torch
import weather
from conftest import CLIPS
from scenarios import Clip, Moment

from holdsteady import video
from holdsteady.evaluation.footage import Footage
from holdsteady.evaluation.footage import Moment as Shown

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "table"),
    [
        (compressed, compressed.table),
        (front, front.table),
        (kinds, kinds.tables),
        (leave_one_out, leave_one_out.table),
        (own_footage, own_footage.table),
        (robustness, robustness.tables),
        (strides, strides.table),
        (stability_weight, stability_weight.table),
        (weather, weather.table),
        (inference, lambda results: inference.tables(results["rows"])),
    ],
)
def test_the_page_shows_the_results(module: ModuleType, table: object) -> None:
    assert callable(table)
    results = json.loads((ROOT / "benchmarks" / "results" / f"{module.__name__}.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / ("design.md" if module is inference else "results.md")).read_text(encoding="utf-8")
    assert outcome.shown_in(page, f"{module.__name__}.py") == table(results).strip()
    assert isinstance(results["seed"], int) and "CPU" in results["machine"]


def test_a_noisy_file_is_noise_that_a_codec_has_been_through(tmp_path: Path) -> None:
    frames = compressed.moments(Clip(CLIPS / "carphone.mp4", 2, 4), tmp_path)
    assert len(frames) == 4
    noise = torch.cat([one.frame - one.truth for one in frames if one.truth is not None])
    assert 0.05 < noise.std() < 50 / 255
    across = (noise[..., 1:] * noise[..., :-1]).mean() / noise.var()
    assert across > 0.15, "chroma at half the resolution, and coarse coefficients"


def test_the_setting_with_the_best_psnr_is_kept() -> None:
    truth = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    frames = [Moment(truth, truth, truth)] * 3
    settings = {"bad": lambda some: [one.frame + 0.1 for one in some], "good": lambda some: [one.frame for one in some]}
    assert compressed.best(settings, frames)["setting"] == "good"


def test_clips_are_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [Shown(torch.full((1, 3, 4, 4), n / 255), None, False) for n in range(120)]
    monkeypatch.setattr(strides, "video_footage", lambda path, frames: Footage(path, lambda: iter(moments[:frames])))
    first = strides.slowed(Path(), 4)[0]
    shown = [round(255 * moment.clean.mean().item()) for moment in first.play()]
    assert shown == list(range(0, 120, 4)) == [round(255 * moment.clean.mean().item()) for moment in first.play()]


def test_what_is_left_out_of_a_training_is_what_its_row_tests() -> None:
    """Each row tests sorts, operators and disturbances that its training has not met."""
    for name, one in leave_one_out.ROWS.items():
        tested = leave_one_out.SORTS - one.left_out_of_tests
        assert tested == one.sorts, name
        assert one.names & (one.sorts | one.operators | one.disturbances | {"scale_and_shift"}), name
    row = leave_one_out.ROWS["JPEG"]
    assert "white_noise" in row.left_out_of_tests
    assert "jpeg" not in row.left_out_of_tests


def test_errors_after_the_first_frame_count() -> None:
    truth = torch.zeros(2, 3, 1, 4, 4)
    outputs = truth.clone()
    outputs[0, 0] = 1.0  # the first frame, which no adapter can change
    outputs[1, 1:] = torch.tensor((0.1, -0.1))[:, None, None, None]
    (wrong, unsteady), other = leave_one_out._errors(outputs, truth)
    assert wrong == pytest.approx(0, abs=1e-5)
    assert unsteady == pytest.approx(0, abs=1e-5)
    assert other == pytest.approx((0.1, 0.2), abs=1e-5)


def test_footage_is_made_as_a_user_has_it(tmp_path: Path) -> None:
    trial = own_footage.TRIALS["SCI, dark with noise"]
    folder = own_footage.spoil(trial, CLIPS / "carphone.mp4", tmp_path / f"carphone{trial.ending}", 4)
    with video.open_video(str(folder)) as reader:
        dark = [frame.pixels.astype(float) for frame in reader]
    with video.open_video(str(CLIPS / "carphone.mp4")) as reader:
        bright = [frame.pixels.astype(float) for frame in reader][: len(dark)]
    assert len(dark) == 4
    noise = np.stack([d - 0.38 * b for d, b in zip(dark, bright, strict=True)])[:, 20:-20, 20:-20]
    assert noise.std() == pytest.approx(4, rel=0.1)


@pytest.mark.slow
def test_costs_are_measured_added_to_and_shown(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "benchmarks" / "inference.py"), "--json", str(tmp_path / "costs.json")]
    short = ["--network", "hdrnet", "--frames", "1", "--repeats", "1"]
    for only in ("base,live", "base,output-fixed"):
        subprocess.run([*program, *short, "--only", only], check=True, cwd=tmp_path)
    rows = json.loads((tmp_path / "costs.json").read_text(encoding="utf-8"))["rows"]
    assert [row["contender"] for row in rows] == ["live", "base", "output-fixed"]
    page = tmp_path / "page.md"
    page.write_text("\n".join(outcome.markers("inference.py")), encoding="utf-8")
    subprocess.run([*program, "--docs", str(page)], check=True, cwd=tmp_path)
    assert "| output-fixed |" in outcome.shown_in(page.read_text(encoding="utf-8"), "inference.py")
