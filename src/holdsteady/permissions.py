"""The permissions of new files, for those that temporary files and safetensors' keep for their owner alone."""

import uuid
from contextlib import suppress
from pathlib import Path


def as_new_files_are(path: Path) -> None:
    """Give a file the permissions that a new one gets beside it; it stays as it is where the file system has none."""
    # The mask itself can only be read by changing it, for all threads.
    new = path.with_name(f".{uuid.uuid4().hex}.new")
    with suppress(OSError):
        try:
            new.touch(exist_ok=False)
            path.chmod(new.stat().st_mode)
        finally:
            new.unlink(missing_ok=True)
