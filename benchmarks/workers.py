"""Contenders in processes of their own, asked in turn: what kills one spares the others, and its peak is its own.

The peak is ``ru_maxrss``, as in ``memory.py``, less what it was when the process had imported everything and made
nothing: what is left is weights, states and what is computed with. The processes come from a fork server, since one
that is started directly inherits the peak of the process that starts it.
"""

import contextlib
import math
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from holdsteady.errors import in_one_line

_CONTEXT = multiprocessing.get_context("forkserver")
_WARM = 2  # the first has no state, the second is the first with one

#: Made in the worker from its arguments: one frame, or one training step, a call.
Unit = Callable[[], None]


class WorkerError(Exception):
    """A contender failed or was killed; the text says how."""


class Worker:
    """One contender.

    Args:
        prepare: a function of a module, which is called in the other process and gives the unit that is timed.
        arguments: of ``prepare``.
    """

    def __init__(self, prepare: Callable[..., Unit], *arguments: Any) -> None:
        _CONTEXT.set_forkserver_preload([])
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, prepare, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def peak(self) -> float:
        """MiB that the contender took at its peak so far, and its process did not have before."""
        return float(self._ask(0)[2])

    def time(self, units: int) -> tuple[float, float]:
        """Seconds a unit, on the clock and of CPU time, the mean over some units."""
        wall, cpu, _ = self._ask(units)
        return wall / units, cpu / units

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _ask(self, units: int) -> tuple[float, float, float]:
        with contextlib.suppress(OSError):  # it may have failed already, and has said why
            self._pipe.send(units)
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            why = "; most likely for want of memory" if code == -9 else ""
            raise WorkerError(f"its process was ended ({f'signal {-code}' if code < 0 else code}){why}") from None
        if isinstance(answer, str):
            raise WorkerError(answer)
        return answer


def _serve(pipe: Connection, prepare: Callable[..., Unit], arguments: Sequence[Any]) -> None:
    try:
        before = _peak()
        unit = prepare(*arguments)
        for _ in range(_WARM):
            unit()
        while True:
            count = pipe.recv()
            begun, begun_cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                unit()
            pipe.send((time.perf_counter() - begun, time.process_time() - begun_cpu, _peak() - before))
    except EOFError:
        return
    except Exception as error:  # a contender may fail in any way, and the others go on
        pipe.send(in_one_line(error)[:300])


def _peak() -> float:
    """MiB; the system counts in KiB, that of Apple in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


@dataclass
class Result:
    """What was measured of one contender.

    Attributes:
        wall, cpu: seconds a unit, one for each round.
        peak: MiB.
        error: why it did not get to the end; empty if it did.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = math.nan
    error: str = ""


def race(
    prepare: Callable[..., Unit], entries: Mapping[str, tuple[Any, ...]], rounds: int, units: int
) -> dict[str, Result]:
    """All contenders in turn, round after round, so that a machine that drifts is slow for all of them.

    Args:
        prepare: see :class:`Worker`.
        entries: the arguments of each contender.
        rounds: how often each has its turn.
        units: frames or steps in a turn.
    """
    results = {name: Result() for name in entries}
    workers: dict[str, Worker] = {}
    try:
        for name, arguments in entries.items():
            workers[name] = Worker(prepare, *arguments)
            _try(results[name], workers[name].peak)  # waits until it is warm: one after the other
        for _ in range(rounds):
            for name, worker in workers.items():
                timed = None if results[name].error else _try(results[name], partial(worker.time, units))
                if timed is not None:
                    results[name].wall.append(timed[0])
                    results[name].cpu.append(timed[1])
        for name, worker in workers.items():
            peak = None if results[name].error else _try(results[name], worker.peak)
            results[name].peak = math.nan if peak is None else peak
    finally:
        for worker in workers.values():
            worker.close()
    return results


def _try(result: Result, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except WorkerError as error:
        result.error = str(error)
        return None


def ratio(times: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and largest of the ratios round by round; NaN where one of them has none."""
    ratios = [a / b for a, b in zip(times, others, strict=False)]
    return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else (math.nan, math.nan, math.nan)
