"""One thread: the pictures are tiny, and other work may share the cores."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.video import open_video, upright_tensors

torch.set_num_threads(1)

CLIP = Path(__file__).parents[1] / "clips/carphone.mp4"


@pytest.fixture(scope="session")
def clip() -> Tensor:
    """Ten frames of a face in a car, (10, 3, 72, 88) in [0, 1]."""
    with open_video(str(CLIP)) as reader:
        frames = torch.cat(list(islice(upright_tensors(reader), 10)))
    return F.interpolate(frames, size=(72, 88), mode="area")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
