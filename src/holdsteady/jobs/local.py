"""A batch in this process: one file after another, or several at a time through one model."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from holdsteady.jobs.inputs import Job
from holdsteady.jobs.manifest import Entry
from holdsteady.jobs.together import Together

if TYPE_CHECKING:
    from holdsteady.jobs.work import Worker

#: A file and the digest of its content.
Given = tuple[Job, str]
#: Is told a file's name, its frames done, and how many there are or None.
Progress = Callable[[str, int, int | None], None]


#: Is told what became of a file; None where it was stopped.
Note = Callable[[Job, Entry | None], None]


def one_by_one(
    worker: "Worker", given: Iterator[Given], note: Note, progress: Progress | None, stop: threading.Event
) -> None:
    """The files in order, until ``stop``."""
    while not stop.is_set() and (one := next(given, None)):
        job, source_digest = one
        note(job, worker.process(job, source_digest, progress=_of(job, progress), stop=stop))


def together(
    worker: "Worker", given: Iterator[Given], streams: int, note: Note, progress: Progress | None, stop: threading.Event
) -> None:
    """Several files at a time; their frames of equal size go through the model as a batch."""
    batch = Together()
    running: dict[Future[Entry | None], Job] = {}

    def work(job: Job, source_digest: str) -> Entry | None:
        try:
            return worker.process(job, source_digest, through=batch.through, progress=_of(job, progress), stop=stop)
        finally:
            batch.close()

    def feed() -> None:
        try:
            with ThreadPoolExecutor(streams, "holdsteady-stream") as pool:
                while True:
                    while len(running) < streams and not stop.is_set() and (one := next(given, None)):
                        batch.open()
                        running[pool.submit(work, *one)] = one[0]
                    if not running:
                        return
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        note(running.pop(done), done.result())
        finally:
            batch.end()

    with ThreadPoolExecutor(1, "holdsteady-feed") as feeding:
        fed = feeding.submit(feed)
        batch.serve()  # the model runs in the thread that called, whose team of workers is the only one
        fed.result()


def _of(job: Job, progress: Progress | None) -> Callable[[int, int | None], None] | None:
    return None if progress is None else lambda done, total: progress(job.name, done, total)
