"""Video in and out: reading, writing, cuts between shots, and running a model from one to the other.

What needs PyTorch is imported when it is asked for: exports run without it.
"""

from typing import TYPE_CHECKING, Any

from .both_ways import Backward
from .codecs import check_codec
from .cuts import CutDetector, open_cuts, read_cuts
from .frame import Pixels, VideoFrame, VideoInfo
from .options import RunOptions
from .pairing import Pairing, mismatch
from .pipeline import Summary, run
from .reader import Reader, open_video
from .sink import as_text, check_apart, check_folder, check_report, check_sink
from .stdout import own_stdout
from .writer import open_writer
from .writer_base import Writer

if TYPE_CHECKING:
    from .tensors import upright_tensor, upright_tensors

__all__ = [
    "Backward",
    "CutDetector",
    "Pairing",
    "Pixels",
    "Reader",
    "RunOptions",
    "Summary",
    "VideoFrame",
    "VideoInfo",
    "Writer",
    "as_text",
    "check_apart",
    "check_codec",
    "check_folder",
    "check_report",
    "check_sink",
    "mismatch",
    "open_cuts",
    "open_video",
    "open_writer",
    "own_stdout",
    "read_cuts",
    "run",
    "upright_tensor",
    "upright_tensors",
]


def __getattr__(name: str) -> Any:
    if name in ("upright_tensor", "upright_tensors"):
        from . import tensors

        return getattr(tensors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
