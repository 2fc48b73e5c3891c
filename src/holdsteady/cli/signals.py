"""Ending early: what Ctrl-C, `kill` and a closed terminal do to a command."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Stop:
    """Whether a command was told to end.

    Attributes:
        event: Set when a command that ends in its own time must do so.
        signal: Number of the first signal that came, or None.
        told: Whether the user was told what became of the work.
    """

    event: threading.Event = field(default_factory=threading.Event)
    signal: int | None = None
    told: bool = False
    _gently: bool = False

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that such a signal ended."""
        return 128 + (self.signal or signal.SIGINT)

    @contextmanager
    def gently(self) -> Iterator[Callable[[], None]]:
        """Gives a function; between its first call and the end of the block, the first signal sets the event and no
        more, so that who runs there ends in its own time."""

        def begin() -> None:
            self._gently = True

        try:
            yield begin
        finally:
            self._gently = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler of a signal."""
        first = self.signal is None
        self.signal = self.signal or number
        self.event.set()
        if not (self._gently and first):
            raise KeyboardInterrupt


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """SIGINT, SIGTERM and SIGHUP end the command inside as Ctrl-C does; gives what tells whether one came.

    Shells start commands with `&` so that they ignore SIGINT; a process that sends it anyway means it. SIGHUP stays
    ignored where `nohup` wants it.
    """
    stop = Stop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
