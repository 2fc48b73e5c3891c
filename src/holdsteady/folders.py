"""Folders and files for results, which leave nothing behind where nothing comes of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """Make a folder, with those that it lies in; on an error inside, those that were made go again if they are empty.

    Raises:
        OSError: it can't be made.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except BaseException:
        with suppress(OSError):  # one of them holds something
            for one in made:
                if one.exists():
                    one.rmdir()
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write a file to, which takes its name when it is whole; until then what has that name stays.

    Raises:
        OSError: it can't be put there.
    """
    part = path.with_name(f".{path.stem}.part-{os.getpid()}{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one stroke.

    Raises:
        OSError: it can't be written; what was there stays.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may be no text
