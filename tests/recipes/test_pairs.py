"""Pairs that networks and adapters learn from: what a camera and H.264 leave, and the same again from the same seed."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from holdsteady.data import make_source
from holdsteady.data.dataset import item_generator

PATH = Path(__file__).parents[2] / "recipes" / "pairs.py"


@pytest.fixture(scope="module")
def pairs() -> Any:
    spec = importlib.util.spec_from_file_location("pairs_recipe", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_noise_has_the_variance_that_is_asked_for_correlated_or_not(pairs: Any) -> None:
    clean = torch.full((4, 3, 64, 64), 0.5)
    correlations, deviations = [], []
    for index in range(40):
        noise = pairs.sensor_noise(clean, item_generator(3, index)) - clean
        deviations.append(noise.std().item())
        if noise.std() > 0:
            across = (noise[..., 1:] * noise[..., :-1]).mean() / noise.var()
            correlations.append(across.item())
    assert 1 <= sum(one == 0 for one in deviations) <= 12  # one in ten has none
    assert max(deviations) < (pairs.MAX_SIGMA**2 + 0.5 / 30) ** 0.5
    white = sum(abs(one) < 0.03 for one in correlations)
    assert 5 < white < len(correlations) - 5
    assert max(correlations) > 0.4


@pytest.mark.parametrize("task", ["noisy", "detail"])
def test_a_pair_is_read_back_as_it_was_written(pairs: Any, task: str, tmp_path: Path) -> None:
    for part in ("input", "truth"):
        (tmp_path / part).mkdir()
    across = torch.linspace(0.1, 0.9, 80)
    clean = (across[None, :] * torch.linspace(0.5, 1, 64)[:, None]).expand(6, 3, 64, 80).contiguous()
    pairs.TASKS[task](clean, item_generator(0, 1), tmp_path, "0000")
    source = make_source("pairs", (tmp_path / "input", tmp_path / "truth"), length=6, flip=False)
    sample = source.draw(torch.Generator().manual_seed(0))
    lossless = sample["truth"] if task == "noisy" else sample["frames"]
    torch.testing.assert_close(lossless, clean, atol=0.5 / 255 + 1e-6, rtol=0)
    apart = (sample["frames"] - sample["truth"]).square().mean().sqrt()
    assert 1e-3 < apart < 0.3
