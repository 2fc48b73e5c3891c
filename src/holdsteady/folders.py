"""Folders for results, which leave nothing behind where nothing comes of them."""

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
