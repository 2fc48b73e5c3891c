"""Corruptions of clips: noise, drops, distortion, blur, compression, light and weather, seeded and replayable."""

from .base import Corruption, Stream
from .clip import corrupt_clip
from .combine import Chain, Mix
from .registry import CORRUPTIONS
from .spec import make_corruption, open_corruption

__all__ = [
    "CORRUPTIONS",
    "Chain",
    "Corruption",
    "Mix",
    "Stream",
    "corrupt_clip",
    "make_corruption",
    "open_corruption",
]
