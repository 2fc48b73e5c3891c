"""What a model gave in one pass over a video, given again in another: the model runs once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Raw = npt.NDArray[np.float32]


class Recording:
    """A model whose last output can be had.

    Attributes:
        last: the output in float32; None if it was no floating tensor.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self.model = model
        self.last: Raw | None = None

    def __call__(self, frame: Any) -> Any:
        """The model's output."""
        output = self.model(frame)
        floating = isinstance(output, Tensor) and output.is_floating_point() and output.dtype is not torch.float64
        # A copy: the model may write there again.
        self.last = output.detach().to("cpu", torch.float32, copy=True).numpy() if floating else None
        return output


class Replay:
    """In a model's place, gives what was recorded of it; where nothing was, the model runs.

    Attributes:
        next: what to give next.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self._model = model
        self.next: Raw | None = None

    def __call__(self, frame: Tensor) -> Any:
        """What was recorded, on the device and in the dtype of the frame."""
        if self.next is None:
            return self._model(frame)
        return torch.from_numpy(self.next).to(frame.device, frame.dtype)
