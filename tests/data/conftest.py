"""Clips, made-up stills, and a frame cache of its own for every test."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from holdsteady.data import FrameCache


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder of the frame cache, which is never the user's."""
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cache(cache_folder: Path) -> FrameCache:
    return FrameCache(cache_folder)


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three smooth pictures without dark places."""
    folder = tmp_path_factory.mktemp("stills")
    random = np.random.default_rng(0)
    for number, size in enumerate(((120, 160), (150, 150), (90, 200))):
        noise = random.uniform(80, 255, (size[0] // 10, size[1] // 10, 3)).astype(np.float32)
        picture = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(60, 255)
        cv2.imwrite(str(folder / f"{number}.png"), picture.round().astype(np.uint8))
    return folder
