"""A bounded hand-over of items between two threads that either side can end."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# Waits are cut into pieces so that Ctrl-C gets through on every platform.
_PATIENCE = 0.2


class ChannelClosedError(Exception):
    """The receiving side takes no more items."""


class Channel(Generic[T]):
    """A queue of at most `size` items. One thread puts, one iterates, until nothing comes or `stop` is set."""

    def __init__(self, size: int, stop: threading.Event | None = None) -> None:
        self._size, self._stop = size, stop or threading.Event()
        self._items: deque[T] = deque()
        self._change = threading.Condition()
        self._finished = self._abandoned = False

    def put(self, item: T) -> None:
        """Append an item, waiting for room.

        Raises:
            ChannelClosedError: The receiver has abandoned the channel.
        """
        with self._change:
            while len(self._items) >= self._size and not self._abandoned:
                self._change.wait(_PATIENCE)
            if self._abandoned:
                raise ChannelClosedError
            self._items.append(item)
            self._change.notify_all()

    def finish(self) -> None:
        """Sender: no more items follow; the receiver still gets those that wait."""
        with self._change:
            self._finished = True
            self._change.notify_all()

    def abandon(self) -> None:
        """Receiver: no more items are wanted; those that wait are dropped."""
        with self._change:
            self._abandoned = True
            self._items.clear()
            self._change.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._change:
                while not self._items and not self._finished and not self._stop.is_set():
                    self._change.wait(_PATIENCE)
                if not self._items or self._stop.is_set():
                    return
                item = self._items.popleft()
                self._change.notify_all()
            yield item
