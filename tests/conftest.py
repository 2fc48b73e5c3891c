"""The clips that tests share; ``clips/SOURCES.md`` tells where they come from."""

from pathlib import Path

import pytest

CLIPS = Path(__file__).parent / "clips"


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
