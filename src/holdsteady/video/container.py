"""Opening what FFmpeg reads, and the wording of its errors."""

import sys
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from holdsteady.errors import VideoError


def open_container(source: str) -> InputContainer:
    """Open what FFmpeg reads, with messages for what commonly goes wrong."""
    file: Any = source
    form: str | None = None
    if source == "-":
        file, form = sys.stdin.buffer, "yuv4mpegpipe"
    elif source.isdecimal():
        file, form = _camera(source)
    elif "://" not in source:
        path = Path(source)
        if not path.exists():
            raise VideoError(f"{source}: no such file or folder")
        if path.is_file() and path.stat().st_size == 0:
            raise VideoError(f"{source}: the file is empty (0 bytes)")
    try:
        opened: InputContainer = av.open(file, "r", format=form)
    except (FFmpegError, OSError) as error:
        what = "a y4m stream on stdin" if source == "-" else "a video"
        raise VideoError(f"{source}: can't be opened as {what}: {reason(error)}") from error
    return opened


def _camera(index: str) -> tuple[str, str]:
    """File and format by which FFmpeg opens a camera of this platform."""
    if sys.platform == "darwin":
        return index, "avfoundation"
    if sys.platform == "win32":
        return f"video={index}", "dshow"
    return f"/dev/video{index}", "v4l2"


def reason(error: Exception) -> str:
    """The short text of an error of FFmpeg or of the system, without its number and file name."""
    return getattr(error, "strerror", None) or str(error)
