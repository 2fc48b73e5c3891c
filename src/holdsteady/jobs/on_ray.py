"""A batch on Ray: actors that hold the model, on one machine or a cluster whose machines share the files."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra
from holdsteady.jobs.inputs import Job
from holdsteady.jobs.local import Given, Note
from holdsteady.jobs.manifest import Entry

if TYPE_CHECKING:
    from holdsteady.jobs.work import Order

# How often a file is tried again when its worker or machine dies; then it is a fault of the file.
_RETRIES = 3


class Actor:
    """A worker in a process of its own; it loads the model once."""

    def __init__(self, order: "Order", out: str) -> None:
        from holdsteady.jobs.work import Worker

        options = replace(order.options, device=pick_device(str(order.options.device)))
        self._worker = Worker(replace(order, options=options), Path(out))

    def process(self, job: Job, source_digest: str) -> Entry | None:
        """As of :class:`Worker`."""
        return self._worker.process(job, source_digest)


def on_ray(
    order: "Order",
    out: Path,
    given: Iterator[Given],
    most: int,
    workers: int | None,
    note: Note,
    stop: threading.Event,
) -> None:
    """The files on Ray's workers; a file whose worker was lost is gone on with by another, from its last checkpoint.

    The cluster is the one that RAY_ADDRESS names, or a new one on this machine.

    Args:
        order: its model is a name, so that each worker loads it.
        out: the folder of results, which every machine sees under this path, as it does the sources.
        given: the files.
        most: how many there are at most.
        workers: how many; None for one a GPU, or one a CPU where there is none.
        note: is told what became of each file.
        stop: set it to leave the files that are not done.

    Raises:
        ConfigError: the model is no name.
        MissingExtraError: Ray is not installed.
    """
    if not isinstance(order.model, str):
        raise ConfigError("on Ray each worker loads the model: give its name, as file.py:name, not an object")
    with extra("ray", "batches on a cluster"):
        import ray
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        _spread(ray, order, out, given, most, workers, note, stop)
    finally:
        if started:
            ray.shutdown()


def _spread(
    ray: Any,
    order: "Order",
    out: Path,
    given: Iterator[Given],
    most: int,
    workers: int | None,
    note: Note,
    stop: threading.Event,
) -> None:
    have = ray.cluster_resources()
    gpus = int(have.get("GPU", 0))
    count = min(most, workers or gpus or max(1, int(have.get("CPU", 1))))
    make = ray.remote(num_cpus=1, num_gpus=1 if gpus >= count else 0)(Actor)
    idle = [make.remote(order, str(out)) for _ in range(count)]
    tries: dict[str, int] = {}
    running: dict[Any, tuple[Any, Given]] = {}
    while True:
        while idle and not stop.is_set() and (one := next(given, None)):
            actor = idle.pop()
            running[actor.process.remote(*one)] = (actor, one)
        if not running:
            return
        done, _ = ray.wait(list(running), timeout=1.0)
        for reference in done:
            actor, (job, source_digest) = running.pop(reference)
            try:
                note(job, ray.get(reference))
                idle.append(actor)
            except ray.exceptions.RayActorError as error:
                ray.kill(actor)
                idle.append(make.remote(order, str(out)))
                tries[job.name] = tries.get(job.name, 0) + 1
                if tries[job.name] <= _RETRIES:
                    given = chain([(job, source_digest)], given)
                else:
                    note(job, _lost(job, source_digest, error))
        if stop.is_set():
            for actor, _given in running.values():
                ray.kill(actor)
            return


def _lost(job: Job, source_digest: str, error: Exception) -> Entry:
    text = f"its worker died {_RETRIES + 1} times; the last time: {str(error).strip().splitlines()[0]}"
    return Entry(source=str(job.source), source_digest=source_digest, key="", status="failed", error=text)
