"""Tiny models, clips and recipes that train in seconds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

CARPHONE = Path(__file__).parents[1] / "clips" / "carphone.mp4"

MODELS = '''
import torch
from torch import nn

class Smooth(nn.Module):
    """A small network whose output is a blurred frame plus something learned."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 3, 3, padding=1)
    def forward(self, x):
        return x + 0.1 * self.second(torch.relu(self.first(x)))

class Same(nn.Module):
    def forward(self, x):
        return x * 1.0

class Broken(nn.Module):
    def forward(self, x):
        return torch.log(-1 - x)

class Sharp(nn.Module):
    """A finite output with an infinite gradient."""
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        return x + torch.sqrt(self.weight)

class Coarse(nn.Module):
    """Logits of five classes at a quarter of the frame's size."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv2d(3, 5, 4, stride=4)
    def forward(self, x):
        return 8 * self.layer(x)

class Gray(nn.Module):
    """One channel, where frames have three."""
    def forward(self, x):
        return x.mean(dim=1, keepdim=True)

class Halves(nn.Module):
    """Takes even sides only."""
    def forward(self, x):
        return torch.pixel_shuffle(torch.pixel_unshuffle(x, 2), 2)
'''


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A file of models for ``file.py:name``."""
    path = tmp_path / "networks_of_test.py"
    path.write_text(MODELS)
    return path


@pytest.fixture(autouse=True)
def _frame_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of decoded frames that the tests of this session share."""
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path_factory.getbasetemp() / "frames"))


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A video of 16 equal frames, far from black and white."""
    folder = tmp_path / "still"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(110, 146, (48, 48, 3)).astype(np.uint8)
    for number in range(16):
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    return folder


@pytest.fixture
def plain(models: Path) -> dict[str, Any]:
    """A recipe that trains motion on a tiny network in a second."""
    return {
        "model": f"{models}:Smooth",
        "adapter": {"kind": "motion"},
        "corruption": "gaussian:sigma=0.1",
        "objective": {"target": "frames", "stability": 0.2},
        "data": {
            "sources": [{"kind": "videos", "paths": str(CARPHONE)}],
            "length": 3,
            "crop": 32,
            "workers": 0,
        },
        "validation": {"clips": 1, "length": 4, "crop": 48, "every": 4},
        "optimizer": {"warmup": 2},
        "steps": 4,
        "batch": 2,
        "checkpoint_every": 2,
    }
