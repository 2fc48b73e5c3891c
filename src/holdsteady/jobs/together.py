"""Several streams through one model: their frames of equal size are stacked and run as a batch."""

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from holdsteady.errors import ModelError, in_one_line
from holdsteady.host.outputs import open_image
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.host.state import StreamState


@dataclass
class _Request:
    """A frame that waits, and what comes of it."""

    steady: StabilizedModel
    frame: Tensor
    state: StreamState | None
    done: threading.Event = field(default_factory=threading.Event)
    output: Any = None
    after: StreamState | None = None
    error: BaseException | None = None

    @property
    def kind(self) -> tuple[Any, ...]:
        """Frames of one kind can be stacked."""
        return tuple(self.frame.shape), self.frame.dtype, self.frame.device, self.state is None


class Together:
    """Runs the steps of several threads in the thread that calls :meth:`serve`, once each of them waits for one.

    A frame waits for those of all streams that are open, so that a batch is the same in every run.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = 0
        self._waiting: list[_Request] = []
        self._ended = False

    def open(self) -> None:
        """One more stream."""
        with self._changed:
            self._open += 1

    def close(self) -> None:
        """One stream less."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def end(self) -> None:
        """No stream comes any more: :meth:`serve` returns."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def through(self, steady: StabilizedModel) -> Callable[[Tensor, StreamState | None], tuple[Any, StreamState]]:
        """What :class:`FrameRunner` calls for a step; blocks until it was made.

        Args:
            steady: all of them have the same base and adapters.
        """

        def step(frame: Tensor, state: StreamState | None) -> tuple[Any, StreamState]:
            request = _Request(steady, frame, state)
            with self._changed:
                self._waiting.append(request)
                self._changed.notify_all()
            request.done.wait()
            if request.error is not None:
                raise request.error
            assert request.after is not None
            return request.output, request.after

        return step

    def serve(self) -> None:
        """Run what waits, until :meth:`end`."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (self._open and len(self._waiting) >= self._open) or (self._ended and not self._open)
                )
                requests, self._waiting = self._waiting, []
            if not requests:
                return
            kinds: dict[tuple[Any, ...], list[_Request]] = {}
            for request in requests:
                kinds.setdefault(request.kind, []).append(request)
            for alike in kinds.values():
                _run(alike)


def _run(requests: list[_Request]) -> None:
    """The steps of frames that can be stacked; where that fails, of each alone."""
    if len(requests) > 1:
        try:
            with torch.inference_mode():
                _step_stacked(requests)
        except Exception as error:
            if all(_step_alone(request) for request in requests):
                warnings.warn(
                    f"the model does not take {len(requests)} frames at a time ({in_one_line(error)}): they go through "
                    "one by one, and --streams gains nothing",
                    stacklevel=2,
                )
    else:
        _step_alone(requests[0])
    for request in requests:
        request.done.set()


def _step_alone(request: _Request) -> bool:
    """Whether it went well."""
    try:
        with torch.inference_mode():
            request.output, request.after = request.steady.step(request.frame, request.state)
    except BaseException as error:
        request.error = error
        return False
    return True


def _step_stacked(requests: list[_Request]) -> None:
    first = requests[0]
    states = [request.state for request in requests if request.state is not None]
    state = StreamState.merge(states) if states else None
    output, after = first.steady.step(torch.cat([request.frame for request in requests]), state)
    image = open_image(output)
    if image is None or image[0].shape[0] != len(requests):
        raise ModelError("its output is not a batch")
    for number, request in enumerate(requests):
        request.output = image[1](image[0][number : number + 1])
        request.after = after.select([number])
