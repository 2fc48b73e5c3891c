"""Clips to train and measure on: from videos, frame pairs, stills, made-up scenes and public sets."""

from .cache import FrameCache
from .clips import ClipSource
from .dataset import Mixture
from .sample import KEYS, Sample, Source
from .scenes import CLASSES, SceneSource
from .sources import KINDS, make_source, pair_source, video_source
from .stills import StillSource

__all__ = [
    "CLASSES",
    "KEYS",
    "KINDS",
    "ClipSource",
    "FrameCache",
    "Mixture",
    "Sample",
    "SceneSource",
    "Source",
    "StillSource",
    "make_source",
    "pair_source",
    "video_source",
]
