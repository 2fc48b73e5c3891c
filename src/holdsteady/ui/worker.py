"""The process that does the work. It can be ended at any moment, in the midst of a frame too."""

import multiprocessing
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from holdsteady.errors import HoldsteadyError, in_one_line

if TYPE_CHECKING:
    from holdsteady.ui.job import Job
    from holdsteady.ui.work import Outcome, Progress

    #: What a worker says: how far it is, what it found, or what was wrong.
    Message = Progress | Outcome | str


class Worker:
    """Does one job at a time in another process, which is kept for the next one: to import PyTorch takes seconds."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Start the process, if there is none."""
        if self._process is not None and self._process.is_alive():
            return
        # Not forked: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, job: "Job", folder: Path) -> None:
        """Begin a job whose files go into a folder; the one before has to have ended."""
        self.start()
        assert self._pipe is not None
        self._pipe.send((job, folder))

    def heard(self) -> "list[Message]":
        """What it has said since this was last called. After an outcome or a text the job is over."""
        messages: list[Message] = []
        assert self._pipe is not None and self._process is not None
        try:
            while self._pipe.poll():
                messages.append(self._pipe.recv())
        except (EOFError, OSError):
            self._process.join(5)
            messages.append(f"the process that worked on it ended (exit code {self._process.exitcode})")
            self.stop()
        return messages

    def stop(self) -> None:
        """End the process now, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _serve(pipe: Connection) -> None:
    """Jobs one after the other, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal goes to all; the server ends this one
    from holdsteady.ui.work import work

    while True:
        try:
            job, folder = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(work(job, folder, pipe.send))
        except (BrokenPipeError, ConnectionResetError):
            return
        except HoldsteadyError as error:
            pipe.send(" ".join(str(error).split()))
        except Exception as error:
            pipe.send(in_one_line(error))
