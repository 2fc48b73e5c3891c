"""One file of a batch, by a worker that holds the model."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdsteady.errors import HoldsteadyError, VideoError
from holdsteady.host.resolve import AdapterLike, resolve_ready
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.jobs.content import Content
from holdsteady.jobs.inputs import Job
from holdsteady.jobs.journal import Journal
from holdsteady.jobs.keys import adapters_digest, cuts_digest, digest, file_digest, model_digest
from holdsteady.jobs.manifest import Entry
from holdsteady.loading import card_of_adapters, load
from holdsteady.models.card import ModelCard
from holdsteady.models.display import Style
from holdsteady.models.model import with_card
from holdsteady.models.runner import FrameRunner, Step
from holdsteady.video import RunOptions, Summary, run
from holdsteady.video.part import left_behind
from holdsteady.video.tensors import Tensors, dtype_of

#: Where unfinished files are kept, in the folder of results.
UNFINISHED = ".unfinished"
# What says nothing of the result; of cuts, their numbers do.
_NOT_IN_KEY = ("overwrite", "cuts")


@dataclass(frozen=True)
class Order:
    """What is to be done with every file of a batch. It can be sent to another process if ``model`` is a name.

    Attributes:
        model, weights, card, trust, inside: as of :func:`holdsteady.load`, or any callable.
        adapter: as of :func:`holdsteady.stabilize`, ready to run.
        strength: from 0 (the base) to 1 (the adapter).
        style: how depth, classes and masks are shown.
        options: how videos are read and written.
        every: seconds between checkpoints.
    """

    model: str | Callable[..., Any]
    adapter: AdapterLike | Sequence[AdapterLike] = "motion-fixed"
    weights: Path | None = None
    card: ModelCard | None = None
    trust: bool = False
    inside: bool = False
    strength: float = 1.0
    style: Style | None = None
    options: RunOptions = field(default_factory=RunOptions)
    every: float = 20.0


class Worker:
    """Holds the model, and works on one file after another.

    Args:
        order: what is to be done.
        out: the folder of results.

    Raises:
        HoldsteadyError: the model or the adapter can't be loaded.
    """

    def __init__(self, order: Order, out: Path) -> None:
        self.order, self.out = order, out
        self._lock = threading.Lock()  # files that are begun at the same time try the model one after the other
        self._adapters = resolve_ready(order.adapter)
        card = (order.card or ModelCard()).over(card_of_adapters(self._adapters) or ModelCard())
        if isinstance(order.model, str):
            model = load(order.model, order.weights, card=card, trust=order.trust, inside=order.inside)
        else:
            model = with_card(order.model, card)
        self._model = model
        name = order.model if isinstance(order.model, str) else ""
        settings = {
            "strength": order.strength,
            "style": Content().of(order.style),  # with every pixel of a background
            "options": {name: str(value) for name, value in vars(order.options).items() if name not in _NOT_IN_KEY},
            "cuts": cuts_digest(order.options.cuts),
        }
        self._base_key = [model_digest(model, name), adapters_digest(self._adapters), settings]

    def key(self, job: Job, source_digest: str) -> str:
        """A digest of all that a result depends on."""
        return digest([*self._base_key, source_digest, job.name])

    def process(
        self,
        job: Job,
        source_digest: str,
        *,
        through: Callable[[StabilizedModel], Step] | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Entry | None:
        """Make the result of a file, from its last checkpoint on.

        Args:
            job: the file.
            source_digest: of its content.
            through: as of :class:`FrameRunner`.
            progress, stop: as of :func:`holdsteady.video.run`.

        Returns:
            What to note of it; None if ``stop`` ended it, which can be resumed.
        """
        key = self.key(job, source_digest)
        entry = Entry(source=str(job.source), source_digest=source_digest, key=key, status="failed")
        folder, sink = self.out / UNFINISHED / digest(job.name), self.out / job.name
        was = _stamp(sink)
        try:
            while True:
                options = self.order.options
                border = Tensors(options.device, options.dtype)
                with self._lock:
                    runner = self._runner(through)
                journal = Journal(folder, key, runner, border, self._lock, self.order.every)
                try:
                    summary = self._run(job, journal, progress, stop)
                    break
                except HoldsteadyError:
                    journal.discard()
                    if not journal.resumed:
                        raise
                    # What was kept may not fit, for whatever reason: once more from the beginning.
        except HoldsteadyError as error:
            # The frames before a fault are kept, and are this batch's own.
            part = {"result_digest": file_digest(sink)} if _stamp(sink) not in (None, was) else {}
            return entry.model_copy(update={"error": str(error), **part})
        if summary.interrupted:
            journal.checkpoint()
            sink.unlink(missing_ok=True)
            return None
        journal.discard()
        done = {"status": "done", "result_digest": file_digest(sink), "frames": summary.frames}
        return entry.model_copy(update=done | {"seconds": round(summary.seconds, 3), "resumed": journal.resumed})

    def _runner(self, through: Callable[[StabilizedModel], Step] | None) -> FrameRunner:
        order = self.order
        return FrameRunner(
            self._model,
            self._adapters,
            strength=order.strength,
            device=order.options.device,
            dtype=dtype_of(order.options.dtype),
            style=order.style,
            through=through,
        )

    def _run(
        self,
        job: Job,
        journal: Journal,
        progress: Callable[[int, int | None], None] | None,
        stop: threading.Event | None,
    ) -> Summary:
        sink = self.out / job.name
        try:
            sink.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VideoError(f"{sink.parent}: this folder can't be made: {error.strerror}") from error
        for part in left_behind(sink):  # of a killed run: the journal has what was in it
            part.unlink(missing_ok=True)
        options = replace(self.order.options, overwrite=True)  # what may be replaced was decided before
        return run(
            str(job.source),
            str(sink),
            journal.step,
            options,
            on_cut=journal.reset,
            border=journal,
            progress=progress,
            stop=stop,
        )


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None where there is no file."""
    if not file.is_file():
        return None
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_ino
