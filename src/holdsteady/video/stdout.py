"""Stdout for a stream of pictures alone."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

_STDOUT, _STDERR = 1, 2


@contextmanager
def own_stdout() -> Iterator[BinaryIO]:
    """Gives stdout to write to; what anyone else writes there meanwhile, in Python or not, lands on stderr."""
    shown = sys.stdout
    shown.flush()
    try:
        is_real = shown.fileno() == _STDOUT
    except (io.UnsupportedOperation, AttributeError):
        is_real = False
    sys.stdout = sys.stderr
    try:
        if not is_real:
            yield cast(BinaryIO, shown.buffer)
            return
        kept = os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
        try:
            with os.fdopen(kept, "wb", closefd=False) as stream:
                yield stream
        finally:
            os.dup2(kept, _STDOUT)
            os.close(kept)
    finally:
        sys.stdout = shown
