"""What is written may be read by whoever may read other new files: results are shared in groups and on clusters."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import holdsteady as hs
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.files import save_adapter
from holdsteady.data.cache import FrameCache
from holdsteady.host.state_files import save_state
from holdsteady.jobs.manifest import Manifest
from holdsteady.models.weights import save_weights
from holdsteady.zoo import DEMO_CLIP

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture(params=[0o022, 0o027])
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def an_adapter(folder: Path) -> None:
    save_adapter(Adapter(make_config("motion"), [Point("output")], frame_channels=3), folder)


def weights(folder: Path) -> None:
    save_weights(nn.Conv2d(3, 3, 1), folder / "weights.safetensors")


def a_state(folder: Path) -> None:
    steady = hs.stabilize(nn.Identity(), "output-fixed")
    save_state(steady.new_state(torch.rand(1, 3, 8, 8)), folder / "state.safetensors")


def a_manifest(folder: Path) -> None:
    Manifest(version="0", model="denoise", adapter="none", options={}).save(folder)


def a_cache(folder: Path) -> None:
    FrameCache(folder, 1 << 30).open(str(DEMO_CLIP))


@pytest.mark.parametrize("write", [an_adapter, weights, a_state, a_manifest, a_cache])
def test_files_have_the_permissions_of_new_files(write: Callable[[Path], None], mode: int, tmp_path: Path) -> None:
    write(tmp_path)
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert found and set(found.values()) == {mode}, found
