import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys, torch
from holdsteady.allocator import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
for round in range(12):
    if round == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.zeros(2**21 + 2**18 * i).add_(1) for i in range(6)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_cleared(*arguments: str) -> int:
    """Pages that the system had to provide to ten rounds of large tensors, after two to warm up."""
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_is_used_again() -> None:
    assert _pages_cleared("keep") * 20 < _pages_cleared()


def test_other_allocators_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdsteady import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", pytest.fail)
    assert not allocator.keep_freed_memory()
