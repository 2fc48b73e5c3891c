"""What a program does with the memory that it has freed, which on Linux decides how fast a network runs on a CPU."""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # M_… of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Keep the memory of large tensors that were freed for the next ones, for the whole process and for good.

    glibc returns such memory to the system, which clears it page by page each time that it is asked for again. With
    NAFNet-32 on frames of 640×480 that takes over half of the time; kept, it makes the process up to half as large
    again (``benchmarks/allocator.py``). The commands of ``holdsteady`` begin with this; a program of your own may,
    before it starts threads and runs a model on a CPU.

    Returns:
        Whether the process runs on glibc, whose allocator this is about; elsewhere nothing is done.
    """
    if not _runs_on_glibc():
        return False
    allocator = ctypes.CDLL(None)
    kept = allocator.mallopt(_TRIM_THRESHOLD, -1)  # the top of the heap is never given back
    own = allocator.mallopt(_MMAP_MAX, 0)  # and no block has pages of its own, which go when it is freed
    # Threads that are started from now on share this heap: those of their own are small, and given back all the same.
    shared = allocator.mallopt(_ARENA_MAX, 1)
    return bool(kept and own and shared)


def _runs_on_glibc() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):  # another library
        return False
