"""What files the page takes."""

import re
from dataclasses import dataclass
from pathlib import Path

from holdsteady.errors import VideoError

#: What FFmpeg calls the containers that are taken. They name no other files, as playlists do.
FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
FORMATS_IN_WORDS = "MP4, MOV, MKV, WebM or AVI"
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PIXELS = 3840 * 2160
_RATE = 120


@dataclass(frozen=True)
class Limits:
    """What an upload may be.

    Attributes:
        megabytes: its size.
        seconds: how much of it is worked on.
    """

    megabytes: float = 200
    seconds: float = 20

    def part(self, seconds: float | None) -> float | None:
        """How much of a video of this length (None: unknown) is worked on; None for all of it."""
        return self.seconds if seconds is None or seconds > self.seconds else None

    def check_file(self, path: Path, name: str) -> None:
        """Refuse a file by its size and first bytes, before anything decodes it.

        Raises:
            VideoError: it is empty, too large, or no video file.
        """
        size = path.stat().st_size
        if not size:
            raise VideoError(f"{name}: the file is empty (0 bytes)")
        if size > self.megabytes * 1e6:
            raise VideoError(
                f"{name}: {size / 1e6:.0f} MB; this page takes up to {self.megabytes:g} MB. Cut it, or start "
                "holdsteady ui with --max-mb"
            )
        with path.open("rb") as file:
            head = file.read(16)
        if not (head[4:8] in _ATOMS or head[:4] == b"\x1aE\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")):
            raise VideoError(f"{name}: is no video file that this page takes; it takes {FORMATS_IN_WORDS}")


def check_pictures(name: str, width: int, height: int, rate: float) -> None:
    """Refuse pictures that would take all memory or time.

    Raises:
        VideoError: they are too large or too many.
    """
    if width * height > _PIXELS:
        raise VideoError(f"{name}: {width}×{height} pixels; this page takes up to 3840×2160. Scale it first")
    if rate > _RATE:
        raise VideoError(f"{name}: {rate:g} frames per second; this page takes up to {_RATE}")


def safe_name(name: str) -> str:
    """A file name from a stranger's: its last part, printable, of at most 80 characters, that no command takes for
    an option."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    stem, dot, suffix = kept.rpartition(".")
    short = f"{(stem if dot else suffix)[:72]}{dot}{suffix[:7] if dot else ''}".lstrip("-")
    return short or "video"
