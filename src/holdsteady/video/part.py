"""Partial results: they are next to their final name, and get it when they are complete."""

import itertools
import os
import re
import shutil
import sys
import warnings
import zlib
from pathlib import Path
from typing import Protocol

# What file systems allow for a name, in bytes.
_LONGEST_NAME = 255
_OUR_IMAGE = re.compile(r"\d{6,}\.png")


class Part(Protocol):
    """A result in the making. `path` is where to write it, `target` its final name."""

    path: Path
    target: Path

    def publish(self) -> None:
        """Give it its final name."""

    def discard(self) -> None:
        """Delete it; whatever had the final name before is untouched."""


def keep_aside(part: Part, frames: int) -> str:
    """Keep what there was room for, under its name if that is free, else where it lies; says so, for a message."""
    place = part.path
    if not part.target.exists():
        part.publish()
        place = part.target
    kept = (
        "the one frame that there was room for is"
        if frames == 1
        else f"the {frames} frames that there was room for are"
    )
    return f"; {kept} in {place}"


class PartFile:
    """A temporary file beside `target`, so that renaming it can't fail half-way."""

    def __init__(self, target: Path) -> None:
        self.target = target.resolve()
        _name_what_is_left(self.target)
        self.path = _part_path(self.target)

    def sibling(self) -> "PartFile":
        """Another file for the same target, which may take this one's place."""
        return _Sibling(self.target)

    def publish(self) -> None:
        self.path.replace(self.target)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class _Sibling(PartFile):
    def __init__(self, target: Path) -> None:
        self.target, self.path = target, _part_path(target)


class PartFolder:
    """A temporary folder beside `target`. Of an existing target only numbered PNGs and namesakes are replaced."""

    def __init__(self, target: Path) -> None:
        self.target = target.resolve()
        _name_what_is_left(self.target)
        self.path = _part_path(self.target)
        self.path.mkdir()

    def publish(self) -> None:
        if not self.target.exists():
            self.path.rename(self.target)
            return
        new = {item.name for item in self.path.iterdir()}
        for name in sorted(new):
            (self.path / name).replace(self.target / name)
        for item in self.target.iterdir():
            if item.name not in new and _OUR_IMAGE.fullmatch(item.name):
                item.unlink()
        self.path.rmdir()

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def left_behind(target: Path) -> list[Path]:
    """Parts that runs to `target` left behind when they were killed; those of running processes are not among them."""
    target = target.resolve()
    before, after = _around_process(target)
    pattern = re.compile(re.escape(before) + r"(\d+)(?:-\d+)?" + re.escape(after))
    found = ((item, pattern.fullmatch(item.name)) for item in target.parent.iterdir())
    return sorted(item for item, match in found if match and not _runs(int(match[1])))


def _name_what_is_left(target: Path) -> None:
    parts = left_behind(target)
    if parts:
        warnings.warn(
            f"an earlier run to {target.name} was killed; what it had written is kept in "
            f"{', '.join(str(part) for part in parts)}; delete it if you don't need it",
            stacklevel=4,
        )


def _part_path(target: Path) -> Path:
    """A name that nothing has yet, and that is no longer than a name can be."""
    before, after = _around_process(target)
    for number in itertools.count():
        path = target.with_name(f"{before}{os.getpid()}{f'-{number}' if number else ''}{after}")
        if not path.exists():
            return path
    raise AssertionError  # itertools.count does not end


def _around_process(target: Path) -> tuple[str, str]:
    """What comes before and after the process's number in the names of the target's parts."""
    before, after = f".{target.stem}.part-", target.suffix
    room = _LONGEST_NAME - len(os.fsencode(after)) - len("4194304-99")  # the largest number of a process on Linux
    if len(os.fsencode(before)) > room:
        tail = f"-{zlib.crc32(os.fsencode(target.name)):08x}.part-"
        start = os.fsencode(before)[: room - len(tail)].decode(errors="ignore")
        before = start + tail
    return before, after


def _runs(process: int) -> bool:
    """Whether there is a process of that number."""
    if sys.platform == "win32":  # where looking would end it
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
