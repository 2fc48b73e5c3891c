"""Video in and out: reading, writing, cuts between shots, and running a model from one to the other."""

from .codecs import check_codec
from .cuts import CutDetector, open_cuts, read_cuts
from .frame import Pixels, VideoFrame, VideoInfo
from .options import RunOptions
from .pipeline import Summary, run
from .reader import Reader, open_video
from .sink import check_sink
from .tensors import upright_tensors
from .writer import open_writer
from .writer_base import Writer

__all__ = [
    "CutDetector",
    "Pixels",
    "Reader",
    "RunOptions",
    "Summary",
    "VideoFrame",
    "VideoInfo",
    "Writer",
    "check_codec",
    "check_sink",
    "open_cuts",
    "open_video",
    "open_writer",
    "read_cuts",
    "run",
    "upright_tensors",
]
