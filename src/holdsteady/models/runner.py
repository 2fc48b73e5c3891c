"""A model and an adapter as one function of frames: what the pipeline calls for each frame of a video."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdsteady import zoo
from holdsteady.adapters.config import KINDS, LEARNED_KINDS, make_config
from holdsteady.adapters.files import load_adapter
from holdsteady.errors import ConfigError, HoldsteadyError, ModelError, near
from holdsteady.host.attach import AdapterLike, stabilize
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.host.state import StreamState
from holdsteady.models.contract import Display, crop_to, in_one_line, pad_to, try_model


def resolve_adapters(spec: str) -> list[AdapterLike]:
    """Adapters as named on the command line; what has weights is loaded now.

    Args:
        spec: ``none``, a kind without weights, an adapter that ships here, a folder, or several joined by ``+``, which
            are chained at each point in this order.

    Raises:
        ConfigError: a kind that has to be trained first, or a name that is nothing of these.
        AdapterError: the folder holds no adapter that is whole.
    """
    if spec == "none":
        return []
    parts = [spec] if Path(spec).exists() else spec.split("+")
    return [_resolve_one(part.strip()) for part in parts]


def _resolve_one(spec: str) -> AdapterLike:
    kind = spec.partition(":")[0]
    ready = ", ".join(name for name in KINDS if name not in LEARNED_KINDS)
    if kind in LEARNED_KINDS:
        raise ConfigError(
            f"'{spec}' has to be trained first: give the folder of a trained adapter, "
            f"or a kind without weights ({ready})"
        )
    if kind in KINDS:
        return make_config(spec)
    if not Path(spec).exists():
        if spec in zoo.ADAPTERS:
            return load_adapter(zoo.ADAPTERS[spec])
        raise ConfigError(
            f"'{spec}' is neither a kind, nor an adapter that ships here, nor the folder of one"
            f"{near(spec, [*KINDS, *zoo.ADAPTERS])}; without training there is none, {ready}, {', '.join(zoo.ADAPTERS)}"
        )
    return load_adapter(spec)


class FrameRunner:
    """Runs a model frame by frame, stabilized, on frames of any size.

    The adapter is attached at the first frame, when the size is known; frames are padded by reflection to what the
    model's stride asks for, and results cropped back.

    Args:
        model: frames (1, 3, H, W) in [0, 1] → an image; pictures, depth or class logits are shown as such.
        adapter: what :func:`holdsteady.stabilize` takes; ``()`` for the model alone.
        strength: from 0 (the base) to 1 (the adapter).
        device, dtype: where and in what precision the model runs.
        compile: whether to compile the model and its adapter with torch.compile.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        adapter: AdapterLike | Sequence[AdapterLike],
        *,
        strength: float = 1.0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
    ) -> None:
        if isinstance(model, nn.Module):
            # Convolutions are faster this way, on CPUs and GPUs.
            model = model.to(device=device, dtype=dtype).to(memory_format=torch.channels_last).eval()
        self.model = model
        self.adapter, self.strength, self.compile = adapter, strength, compile
        self.device, self.dtype = device, dtype
        self._stride = 1
        self._steady: StabilizedModel | None = None
        self._compiled: Callable[..., tuple[Any, StreamState]] | None = None
        self._fresh: StreamState | None = None
        self._state: StreamState | None = None
        self._display = Display()
        self._frames = 0

    def step(self, frame: Tensor) -> Tensor:
        """One frame (1, 3, H, W) in [0, 1] → the picture (1, 3 or 1, h, w) of the model's stabilized output.

        Raises:
            ModelError: the model failed, or its output is no image.
        """
        try:
            if self._steady is None:
                self._steady = self._prepare(frame)
            padded = self._padded(frame)
            if self._compiled is None:
                output = self._steady(padded)
            else:
                output, state = self._compiled(padded, self._state)
                self._state = state.detach()
        except HoldsteadyError:
            raise
        except Exception as error:
            raise ModelError(f"the model failed at frame {self._frames}: {in_one_line(error)}") from error
        self._frames += 1
        picture = self._display(output)
        return crop_to(picture, (padded.shape[-2], padded.shape[-1]), (frame.shape[-2], frame.shape[-1]))

    def reset(self) -> None:
        """Forget what was seen: a new shot begins."""
        self._state = self._fresh
        if self._steady is not None:
            self._steady.reset()

    def _prepare(self, frame: Tensor) -> StabilizedModel:
        self._stride, example = try_model(self.model, frame)
        steady = stabilize(self.model, self.adapter, example=example, strength=self.strength)
        steady.to(device=self.device, dtype=self.dtype)
        if self.compile:
            # A stream that has seen nothing, and not None, which would be compiled for itself.
            self._state = self._fresh = steady.new_state(self._padded(frame))
            # Inductor of torch 2.15 may write over memories that a step hands out if it reuses their buffers in place.
            # The size of a video's frames stays.
            self._compiled = torch.compile(steady.step, dynamic=False, options={"inplace_buffers": False})
        return steady

    def _padded(self, frame: Tensor) -> Tensor:
        # Frames come in channels-last memory, as networks here are; what else there is may not know strides.
        return pad_to(frame if isinstance(self.model, nn.Module) else frame.contiguous(), self._stride)
