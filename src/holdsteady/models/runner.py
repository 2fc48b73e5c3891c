"""A model and an adapter as one function of frames: what the pipeline calls for each frame of a video."""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.errors import ConfigError, HoldsteadyError, ModelError, in_one_line
from holdsteady.host.attach import stabilize
from holdsteady.host.outputs import as_tensor, get_leaf
from holdsteady.host.resolve import AdapterLike
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.host.state import StreamState
from holdsteady.models.advice import advice
from holdsteady.models.card import Kind, ModelCard
from holdsteady.models.display import Display, Memory, Style
from holdsteady.models.further import try_further
from holdsteady.models.guess import guess
from holdsteady.models.model import Model, card_of
from holdsteady.models.place import in_eval, place
from holdsteady.models.replay import Raw, Recording, Replay
from holdsteady.models.sizes import Trial, crop_to, fit, resize, try_model
from holdsteady.models.value_files import ValueWriter
from holdsteady.models.values import UnknownClassError, image_path, planes

#: A step of a stabilized model: a frame and a state → the output and the next state.
Step = Callable[[Tensor, StreamState | None], tuple[Any, StreamState]]

# Channels of logits that are enlarged at a time: all at once they would take gigabytes.
_TOGETHER = 8


@dataclass(frozen=True)
class Snapshot:
    """A runner between two frames.

    Attributes:
        frames: how many it has seen.
        state: what its adapters remember.
        display: what its display remembers.
    """

    frames: int
    state: StreamState | None
    display: Memory


class FrameRunner:
    """Runs a model frame by frame, stabilized, on frames of any size.

    The adapter is attached at the first frame, when the size is known. Frames are padded or resized to what the model
    takes, and results brought to the frame's size, or to the model's scale.

    Args:
        model: frames (1, 3, H, W) in [0, 1] → an image, depth, class logits, …; what a :class:`Model`'s card does not
            say is guessed from the first output.
        adapter: what :func:`holdsteady.stabilize` takes; ``()`` for the model alone.
        strength: from 0 (the base) to 1 (the adapter).
        device, dtype: where and in what precision the model runs.
        compile: whether to compile the model and its adapter with torch.compile.
        style: how depth, classes and masks are shown.
        values: where to keep the values themselves.
        note: is told in one line what the model's output was taken for, where no card says it.
        records: whether what the model gives is recorded for a twin, see :meth:`twin`.
        through: makes of the stabilized model what runs its steps, where that is not itself.
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
        style: Style | None = None,
        values: ValueWriter | None = None,
        note: Callable[[str], None] | None = None,
        records: bool = False,
        through: Callable[[StabilizedModel], Step] | None = None,
    ) -> None:
        if isinstance(model, nn.Module):
            # Convolutions are faster with channels last, on CPUs and GPUs.
            model = place(in_eval(model), device, dtype, channels_last=True)
        self.model = model
        self.adapter, self.strength, self.compile = adapter, strength, compile
        self.device, self.dtype = device, dtype
        self.style, self.values, self.note, self.records = style, values, note, records
        self.through = through
        self._fitting = ModelCard()
        self._least = 1
        self._stretched = False
        self._channels_last = False
        self._counted = True
        self._steady: StabilizedModel | None = None
        self._stepping: Step | None = None  # in place of the stabilized model itself
        self._fresh: StreamState | None = None
        self._state: StreamState | None = None
        self._display = Display("image")
        self._frames = 0
        self._recording: Recording | None = None
        self._replay: Replay | None = None

    @property
    def kind(self) -> Kind:
        """What the output is, once a frame was seen."""
        return self._display.kind

    def step(self, frame: Tensor) -> Tensor:
        """One frame (1, 3, H, W) in [0, 1] → the picture (1, C, h, w) of the model's stabilized output.

        Raises:
            ModelError: the model failed, or its output is not an image.
        """
        shown = frame
        try:
            self.prepare(frame)
            fitted = self._fit(frame)
            if fitted is frame and (self.style is not None or self.values is not None):
                shown = frame.clone()  # the model may write into its input
            output = self._run(fitted)
        except HoldsteadyError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model failed at frame {self._frames}: {in_one_line(error)}{advice(error)}"
            ) from error
        values = self._values(output, fitted, frame)
        if self.values is not None:
            kept = self._display.as_mask(values) if self.kind == "mask" else values
            self.values.write(self._frames, kept, self.kind)
        self._frames += 1
        return self._display(values, shown)

    def prepare(self, frame: Tensor) -> None:
        """Attach the adapters, if that is not done; what the card does not say is guessed from this frame.

        Raises:
            ModelError: as of :meth:`step`.
        """
        if self._steady is None:
            self._steady = self._prepare(frame)

    def snapshot(self) -> Snapshot:
        """All that the next step depends on, beside the model."""
        assert self._steady is not None
        state = self._steady.state if self._stepping is None else self._state
        return Snapshot(self._frames, state, self._display.memory)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on after what a runner like this one has seen; call :meth:`prepare` before, with the same first frame."""
        assert self._steady is not None
        self._frames, self._display.memory = snapshot.frames, snapshot.display
        if self._stepping is None:
            self._steady.state = snapshot.state
        else:
            self._state = snapshot.state

    def twin(self) -> "FrameRunner":
        """Another runner of the same model and adapters, with a memory of its own; takes a frame to be seen first.

        Raises:
            ConfigError: the model gives classes, whose colours can't be averaged.
        """
        assert self._steady is not None
        if self.kind in ("classes", "labels"):
            raise ConfigError(f"--both-ways averages pictures, and can't average {self.kind}; leave it out")
        twin = copy.copy(self)
        twin._steady = self._steady.twin()
        if self._recording is not None:
            twin._replay = Replay(self._recording.model)
            twin._steady = _over(twin._replay, self._steady)
        twin._display = Display(self.kind, self.style)
        twin.values, twin._state = None, self._fresh
        return twin

    @property
    def recorded(self) -> Raw | None:
        """What the model gave for the last frame, where a twin does without the model: adapters at the output alone."""
        return None if self._recording is None else self._recording.last

    def replayed(self, frame: Tensor, recorded: Raw | None) -> Tensor:
        """A step of a twin, with what the model gave for the frame if it was recorded."""
        if self._replay is not None:
            self._replay.next = recorded
        return self.step(frame)

    def set_strength(self, strength: float) -> None:
        """Show more or less of the stabilization from the next frame on, from 0 (the base) to 1 (the adapter)."""
        self.strength = strength
        if self._steady is not None:
            self._steady.strength = strength

    def reset(self) -> None:
        """Forget what was seen: a new shot begins."""
        self._state = self._fresh
        self._display.reset()
        if self._steady is not None:
            self._steady.reset()

    def _prepare(self, frame: Tensor) -> StabilizedModel:
        card = card_of(self.model)
        # Not in inference mode: what is made here, as a state or a quantized weight, is used outside of it too.
        with torch.inference_mode(False), torch.no_grad():
            trial = self._try(frame, card)
            self._stretched, self._least = trial.stretched, trial.least
            self._channels_last = trial.channels_last
            self._fitting = ModelCard(multiple=trial.multiple, size=card.size or trial.size)
            found = guess(trial, self._fit(frame), card, self.style)
            if self.note is not None and card.kind is None:
                self.note(found.line)
            for doubt in found.doubts:
                warnings.warn(doubt, stacklevel=2)
            if found.kind == "labels" and card.classes is None:
                self.model, self._counted = Model(self.model, kind="labels", classes=found.classes), False
            elif not found.floating:
                self.model = Model(self.model, kind=found.kind)
            self._display = Display(found.kind, self.style)
            return self._attach(trial.example, self._fit(frame))

    def _try(self, frame: Tensor, card: ModelCard) -> Trial:
        try:
            return try_model(self.model, frame, card)
        except ModelError as error:
            if card.size is not None or card.multiple is not None or card.layout != "bchw":
                raise
            return try_further(self.model, frame, error)

    def _attach(self, example: Tensor, fitted: Tensor) -> StabilizedModel:
        with torch.inference_mode(False), torch.no_grad():
            steady = stabilize(self.model, self.adapter, example=example, strength=self.strength)
            place(steady.adapters, self.device, self.dtype)
            at = {point.name for number in range(len(steady.adapters)) for point in steady.adapter(number).points}
            if self.records and at <= {"output"} and not self.compile:
                self._recording = Recording(steady.base)
                steady = _over(self._recording, steady)
            if self.compile:
                # An empty state rather than None, which would be compiled separately.
                self._state = self._fresh = steady.new_state(fitted.clone())
                # Inductor of torch 2.15 may write over memories that a step hands out if it reuses their buffers in
                # place. The size of a video's frames stays.
                self._stepping = torch.compile(steady.step, dynamic=False, options={"inplace_buffers": False})
            elif self.through is not None:
                self._stepping = self.through(steady)
        return steady

    def _run(self, fitted: Tensor) -> Any:
        assert self._steady is not None
        if self._counted:
            return self._output(fitted, self._steady)
        try:
            return self._output(fitted.clone(), self._steady)
        except UnknownClassError as unknown:
            if unknown.number < 0:
                raise
            # Memories have a channel for each class.
            classes = 1 << unknown.number.bit_length()
            warnings.warn(
                f"class {unknown.number} comes up at frame {self._frames}: from now on there are {classes} classes, "
                "and the past is forgotten; state how many there are (--classes)",
                stacklevel=2,
            )
            self.model = Model(self.model, classes=classes)
            example = fitted.clone()
            self._steady = self._attach(example, example)
            return self._output(fitted, self._steady)

    def _output(self, fitted: Tensor, steady: StabilizedModel) -> Any:
        if self._stepping is None:
            return steady(fitted)
        output, state = self._stepping(fitted, self._state)
        self._state = state.detach()
        return output

    def _fit(self, frame: Tensor) -> Tensor:
        # Frames come in channels-last memory, which suits our networks; other models may not handle strides.
        return fit(frame if isinstance(self.model, nn.Module) else frame.contiguous(), self._fitting, self._least)

    def _values(self, output: Any, fitted: Tensor, frame: Tensor) -> Tensor:
        """The image in an output (1, C, h, w), or the numbers of its classes (1, h, w), in the size to be shown."""
        path = image_path(output)
        if path is None:
            raise ModelError("the model stopped giving an image")
        image = planes(as_tensor(get_leaf(output, path)), self._channels_last)
        (height, width), (rows, columns) = frame.shape[-2:], fitted.shape[-2:]
        if self._stretched:
            natural = 1.0
        else:
            natural = max(1.0, image.shape[-2] / rows)
            if self._fitting.size is None:
                image = crop_to(image, (rows, columns), (height, width))
        scale = card_of(self.model).scale or natural
        size = (round(height * scale), round(width * scale))
        return largest(image, size) if self.kind in ("classes", "labels") else resize(image, size)


def _over(base: Recording | Replay, steady: StabilizedModel) -> StabilizedModel:
    """The same adapters over what stands for their base."""
    return StabilizedModel(base, [steady.adapter(n) for n in range(len(steady.adapters))], steady.strength)


class LaterTwin:
    """The twin of a runner that has yet to see its first frame."""

    def __init__(self, runner: FrameRunner) -> None:
        self._runner = runner
        self._twin: FrameRunner | None = None

    def step(self, frame: Tensor, recorded: Raw | None = None) -> Tensor:
        """See :meth:`FrameRunner.step`.

        Args:
            frame: to be shown to the model.
            recorded: what the model gave for it, see :attr:`FrameRunner.recorded`; None to run it again.
        """
        if self._twin is None:
            self._twin = self._runner.twin()
        return self._twin.replayed(frame, recorded)

    def reset(self) -> None:
        """See :meth:`FrameRunner.reset`."""
        if self._twin is not None:
            self._twin.reset()


def largest(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The number of the largest of the channels (B, C, H, W) at every pixel of another size: (B, h, w)."""
    if logits.shape[-2:] == size:
        return logits.argmax(dim=1)
    best, number = None, None
    for start in range(0, logits.shape[1], _TOGETHER):
        some = F.interpolate(logits[:, start : start + _TOGETHER], size=size, mode="bilinear", antialias=True)
        value, index = some.max(dim=1)
        if best is None or number is None:
            best, number = value, index
        else:
            wins = value > best
            best, number = torch.where(wins, value, best), torch.where(wins, index + start, number)
    assert number is not None
    return number
