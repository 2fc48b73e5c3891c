"""Files that others may read as new ones: temporary files and those of safetensors are for their owner alone."""

import uuid
from pathlib import Path


def as_new_files_are(path: Path) -> None:
    """Give a file the permissions that a new one gets beside it.

    Raises:
        OSError: of the file system.
    """
    # The mask itself can only be read by changing it, for all threads.
    new = path.with_name(f".{uuid.uuid4().hex}.new")
    new.touch(exist_ok=False)
    try:
        path.chmod(new.stat().st_mode)
    finally:
        new.unlink()
