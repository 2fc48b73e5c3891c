"""Opening what FFmpeg reads, and the wording of its errors."""

import errno
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.format import Flags
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from holdsteady.errors import VideoError

# What is done with tags of bytes that are not UTF-8, as old cameras and programs write them: they stay these bytes.
TAG_ERRORS = "surrogateescape"
# Pictures without any header.
_RAW = {".yuv", ".rgb", ".raw", ".nv12", ".i420", ".yuyv"}


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
        opened: InputContainer = av.open(file, "r", format=form, metadata_errors=TAG_ERRORS)
    except (FFmpegError, OSError) as error:
        what = "a y4m stream on stdin" if source == "-" else "a video"
        raise VideoError(f"{source}: can't be opened as {what}: {reason(error)}{_hint(path, error)}") from error
    if opened.format.name == "tty":  # FFmpeg draws what is written in it
        opened.close()
        raise VideoError(f"{source}: is a text file, not a video")
    return opened


def _hint(path: Path, error: Exception) -> str:
    """What may be wrong with a file that can't be opened, and what to do."""
    if path.suffix.lower() in _RAW:
        return "; raw pictures don't tell their size and rate: convert them to .y4m"
    if isinstance(error, InvalidDataError) and path.suffix.lower() in (".mp4", ".m4v", ".mov"):
        begin = b""
        with suppress(OSError), path.open("rb") as file:  # it may be no file, or be gone
            begin = file.read(12)
        if begin[4:8] == b"ftyp":
            return "; where a recording or a copy ended early, the index (moov) is missing: copy it again, or repair it"
    return ""


def main_video(container: InputContainer) -> VideoStream | None:
    """The first video stream that can be decoded, and is no cover picture or still before an animation; if there is
    none, the first that is no cover picture."""
    films = [stream for stream in container.streams.video if not is_cover(stream)]
    known = [stream for stream in films if stream.codec_context is not None]
    moving = [stream for stream in known if not is_still(stream)]
    return next(iter([*moving, *known, *films]), None)


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a single picture that belongs to the file."""
    return bool(stream.disposition & Disposition.attached_pic)


def is_still(stream: Stream) -> bool:
    """Whether a stream is a picture without a time, as AVIF has it, also before an animation."""
    return stream.type == "video" and stream.frames == 1 and stream.duration is None and stream.time_base == 1


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
