"""Opening what FFmpeg reads, and the wording of its errors."""

import errno
import sys
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.video.stream import VideoStream

from holdsteady.errors import VideoError


def open_container(source: str) -> InputContainer:
    """Open what FFmpeg reads, with messages for what commonly goes wrong."""
    file: Any = source
    form: str | None = None
    path = Path(source)
    if source == "-":
        file, form = sys.stdin.buffer, "yuv4mpegpipe"
    elif exists(path):
        if path.is_file() and path.stat().st_size == 0:
            raise VideoError(f"{source}: the file is empty (0 bytes)")
        file = f"file:{source}"  # else FFmpeg takes what is before a colon for a protocol
    elif source.isdecimal():
        file, form = _camera(source)
    elif "://" not in source:
        raise VideoError(f"{source}: no such file or folder")
    try:
        opened: InputContainer = av.open(file, "r", format=form)
    except (FFmpegError, OSError) as error:
        what = "a y4m stream on stdin" if source == "-" else "a video"
        raise VideoError(f"{source}: can't be opened as {what}: {reason(error)}") from error
    return opened


def exists(path: Path) -> bool:
    """Whether there is such a file; a name that is too long is none."""
    try:
        return path.exists()
    except OSError:
        return False


def has_flag(container: InputContainer, flag: Flags) -> bool:
    """Whether the container's format has a property."""
    return bool(container.format.flags & cast(int, flag.value))


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


def ends_early(container: InputContainer, stream: VideoStream, last: int, end: int) -> bool:
    """Whether the header promises pictures of a stream after its last packet.

    Args:
        last, end: The time of that packet and where it ends, in the stream's time base.
    """
    formats = container.format.name
    if "mp4" in formats:
        index = stream.index_entries
        return len(index) > 0 and index[-1].timestamp > last
    if "matroska" in formats:
        stated, base = stated_end(stream), stream.time_base or 1
        # It counts for how long the last picture stands, which not all files tell with the picture.
        return stated is not None and stated > max(last * base + 0.5, end * base + 0.1)
    return False


def stated_end(stream: VideoStream) -> float | None:
    """Seconds at which a stream ends by Matroska's tag for it, such as `00:01:02.5`; None without a sound one."""
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def is_full(error: BaseException) -> bool:
    """Whether an error of FFmpeg or of the system means that there is no room for more."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
