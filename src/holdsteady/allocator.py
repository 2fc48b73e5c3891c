"""What a program does with the memory that it has freed, which on Linux decides how fast a network runs on a CPU."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h


def keep_freed_memory() -> bool:
    """Keep the memory of large tensors that were freed for the next ones, for the whole process and for good.

    glibc returns such memory to the system, which clears it page by page each time that it is asked for again. With
    NAFNet-32 on frames of 640×480 that takes over half of the time (``benchmarks/allocator.py``). The commands of
    ``holdsteady`` begin with this; a program of your own may, before it runs a model on a CPU.

    Returns:
        Whether the process has this allocator; elsewhere nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    allocator = ctypes.CDLL(None)
    kept = allocator.mallopt(_TRIM_THRESHOLD, -1)  # the top of the heap is never given back
    own = allocator.mallopt(_MMAP_MAX, 0)  # and no block has pages of its own, which go when it is freed
    return bool(kept and own)
