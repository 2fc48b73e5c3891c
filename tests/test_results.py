"""The page of results shows what the committed files of the benchmarks hold, and these can be run."""

import json
from pathlib import Path
from types import ModuleType

import compressed
import outcome
import pytest
import robustness
import strides
import torch
from conftest import CLIPS
from scenarios import Clip, Moment

from holdsteady.evaluation.footage import Footage
from holdsteady.evaluation.footage import Moment as Shown

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "table"),
    [(compressed, compressed.table), (robustness, robustness.tables), (strides, strides.table)],
)
def test_the_page_shows_the_results(module: ModuleType, table: object) -> None:
    assert callable(table)
    results = json.loads((ROOT / "benchmarks" / "results" / f"{module.__name__}.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
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
