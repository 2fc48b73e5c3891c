import os
import subprocess
import sys

import pytest

from holdsteady import allocator

_PROGRAM = """
import resource, sys, threading, torch
from holdsteady.allocator import keep_freed_memory
from holdsteady.cli import main

if "keep" in sys.argv:
    assert keep_freed_memory()
if "command" in sys.argv:
    sys.argv = ["holdsteady", "--help"]
    try:
        main()
    except SystemExit:
        pass

def work():
    for round in range(12):
        if round == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        parts = [torch.zeros(9 * 2**20 + 2**18 * i).add_(1) for i in range(3)]
        del parts
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if "thread" in sys.argv:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
else:
    work()
"""
on_glibc = pytest.mark.skipif(not allocator._runs_on_glibc(), reason="another allocator")


def _pages_cleared(*arguments: str) -> int:
    """Pages that the system had to provide to eight rounds of tensors of 36 MiB, after four to warm up."""
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


@pytest.mark.slow  # it counts page faults, which other work on the machine changes
@on_glibc
@pytest.mark.parametrize("how", ["keep", "command"])
@pytest.mark.parametrize("where", [(), ("thread",)])
def test_freed_memory_is_used_again(how: str, where: tuple[str, ...]) -> None:
    """By a program that asks for it, and by the commands."""
    assert _pages_cleared(how, *where) * 5 < _pages_cleared(*where)


@pytest.mark.parametrize("answer", [ValueError, OSError, "", None])
def test_other_allocators_are_left_alone(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def confstr(_name: str) -> object:
        if isinstance(answer, type) and issubclass(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "confstr", confstr)
    monkeypatch.setattr(allocator.ctypes, "CDLL", pytest.fail)
    assert not allocator.keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "confstr")
    monkeypatch.setattr(allocator.ctypes, "CDLL", pytest.fail)
    assert not allocator.keep_freed_memory()
