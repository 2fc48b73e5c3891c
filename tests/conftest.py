"""The clips that tests share (``clips/SOURCES.md`` has their sources), and the slow tier."""

from pathlib import Path
from zlib import crc32

import pytest
import torch

CLIPS = Path(__file__).parent / "clips"
# `--slow sample` runs one in this many of the slow tests, always the same ones.
SAMPLE = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", choices=("none", "sample", "all", "only"), default="none", help="tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the slow tests that ``--slow`` leaves out."""
    tier = config.getoption("--slow")

    def is_chosen(item: pytest.Item) -> bool:
        slow = item.get_closest_marker("slow") is not None
        if tier == "only":
            return slow
        return not slow or tier == "all" or (tier == "sample" and crc32(item.nodeid.encode()) % SAMPLE == 0)

    left_out = [item for item in items if not is_chosen(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_chosen(item)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same weights in every run, of layers that a test makes without a seed of its own."""
    torch.manual_seed(0)


@pytest.fixture
def bikes() -> str:
    """70 frames of 320×136 at 25 per second with new shots at 10 and 56."""
    return str(CLIPS / "bikes_cuts.mp4")


@pytest.fixture
def bunny() -> str:
    """36 frames of 320×180 with AAC audio."""
    return str(CLIPS / "bunny_audio.mp4")


@pytest.fixture
def carphone() -> str:
    """20 frames of 176×144, not square, at 30000/1001 per second."""
    return str(CLIPS / "carphone.mp4")
