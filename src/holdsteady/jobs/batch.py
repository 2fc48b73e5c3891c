"""A batch from its inputs to its manifest."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from holdsteady.errors import ConfigError, VideoError
from holdsteady.exports.manifest import is_export
from holdsteady.folders import made_folder
from holdsteady.jobs.inputs import Job, find_jobs
from holdsteady.jobs.keys import file_digest
from holdsteady.jobs.local import Given, Progress, one_by_one, together
from holdsteady.jobs.manifest import Entry, Manifest, read_entries
from holdsteady.jobs.on_ray import on_ray
from holdsteady.jobs.work import UNFINISHED, Order, Worker

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Report:
    """What a batch came to.

    Attributes:
        done: names of the results that were made.
        skipped: names of those that were there already, of the same input, model, adapter and options.
        failed: what was wrong, by name.
        left: names of files that were not finished because it was stopped.
    """

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: dict[str, str]
    left: tuple[str, ...]


def batch(
    inputs: Iterable[str | Path],
    out: str | Path,
    order: Order,
    *,
    engine: Engine = "local",
    streams: int = 1,
    workers: int | None = None,
    suffix: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Callable[[str, Entry | None], None] | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Run a model over many files; what is done already is skipped, and what was begun is gone on with.

    Args:
        inputs: video files, globs, folders.
        out: the folder of results and of ``manifest.json``; made if it is missing.
        order: the model, the adapter and how videos are read and written.
        engine: ``local`` for this process, ``ray`` for a cluster's workers.
        streams: how many files at a time go through one model as a batch; with ``local``.
        workers: how many processes; with ``ray``.
        suffix: type of the results; None for each file's own.
        overwrite: whether files that no earlier batch made may be replaced.
        progress: is told a file's name, its frames done, and how many there are or None; with ``local``.
        note: is told a file's name and what became of it; None where it was stopped.
        stop: set it to end after the current frames; a next run resumes.

    Raises:
        ConfigError, VideoError: nothing was begun.
        ModelError, AdapterError: the model or the adapter can't be loaded.
    """
    out, stop = Path(out), stop or threading.Event()
    if streams < 1 or (workers is not None and workers < 1):
        raise ConfigError(f"streams = {streams}, workers = {workers}: at least 1")
    if engine == "local" and workers is not None:
        raise ConfigError(f"--workers {workers} is for --engine ray; in this process give --streams")
    if engine == "ray" and streams > 1:
        raise ConfigError(f"--streams {streams} is for --engine local; on Ray give --workers")
    if isinstance(order.model, str) and is_export(order.model):
        raise ConfigError(f"--model {order.model}: an export, which holdsteady run takes, a file at a time")
    jobs = find_jobs(inputs, out, suffix)
    try:
        with made_folder(out), _alone_in(out):
            return _locked(jobs, out, order, engine, streams, workers, overwrite, progress, note, stop)
    except OSError as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{out}: can't be used for results: {error.strerror or error}") from error


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Inside, no other batch works in a folder. Where nothing was begun, the lock's file goes too.

    Raises:
        VideoError: another one does.
    """
    file = out / ".lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(file, timeout=0))
        except Timeout as error:
            raise VideoError(
                f"{out}: another batch works in this folder; wait for it, or choose another one"
            ) from error
        try:
            yield
        except BaseException:
            if [*out.iterdir()] == [file]:
                file.unlink()
            raise


def _locked(
    jobs: Sequence[Job],
    out: Path,
    order: Order,
    engine: Engine,
    streams: int,
    workers: int | None,
    overwrite: bool,
    progress: Progress | None,
    note: Callable[[str, Entry | None], None] | None,
    stop: threading.Event,
) -> Report:
    manifest = Manifest(
        version=version("holdsteady"),
        model=order.model if isinstance(order.model, str) else type(order.model).__name__,
        adapter=str(order.adapter),
        options={name: value if value is None else str(value) for name, value in vars(order.options).items()},
        files=read_entries(out),
    )
    worker = Worker(order, out)
    done: list[str] = []
    skipped: list[str] = []
    failed: dict[str, str] = {}

    def given() -> Iterator[Given]:
        """What is to be done; a file is read when its turn comes."""
        for job in jobs:
            was, sink = manifest.files.get(job.name), out / job.name
            try:
                source_digest = file_digest(job.source)
                is_there = was is not None and _is(sink, was)
            except VideoError as error:
                failed[job.name] = str(error)
                continue
            if sink.is_dir():
                failed[job.name] = f"{sink}: is a folder; rename it, or {job.source}"
                continue
            is_done = was is not None and was.status == "done"
            if was is not None and is_done and is_there and was.key == worker.key(job, source_digest):
                skipped.append(job.name)
            # What a batch finished is its own, also when it was damaged since; what it failed to make is not.
            elif sink.exists() and not (is_done or is_there or overwrite):
                failed[job.name] = f"{sink}: exists already, and no batch made it; give --overwrite to replace it"
            else:
                yield job, source_digest

    def noted(job: Job, entry: Entry | None) -> None:
        if entry is not None:
            was = manifest.files.get(job.name)
            if entry.status == "failed" and was is not None and not entry.result_digest:
                entry = entry.model_copy(update={"result_digest": was.result_digest})  # what may still be there
            manifest.files[job.name] = entry
            manifest.save(out)
            if entry.status == "done":
                done.append(job.name)
            else:
                failed[job.name] = entry.error
        if note is not None:
            note(job.name, entry)

    manifest.save(out)
    try:
        if engine == "ray":
            on_ray(order, out, given(), len(jobs), workers, noted, stop)
        elif streams > 1:
            together(worker, given(), streams, noted, progress, stop)
        else:
            one_by_one(worker, given(), noted, progress, stop)
    finally:
        _remove_empty(out / UNFINISHED)
    left = tuple(job.name for job in jobs if job.name not in {*done, *skipped, *failed})
    return Report(tuple(done), tuple(skipped), failed, left)


def _is(sink: Path, entry: Entry) -> bool:
    """Whether a result is still the one that was made."""
    return sink.is_file() and file_digest(sink) == entry.result_digest


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
