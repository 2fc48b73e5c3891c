"""What a corruption is: an immutable description, started as a stream of frames that can be replayed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from holdsteady.errors import ConfigError, LayoutError, StateError

Stream = Callable[[Tensor], Tensor]
"""Frames (B, C, H, W) in [0, 1], one call a frame in order → corrupted frames of the same shape, dtype and device."""

SEVERITIES = (1, 2, 3, 4, 5)


class Corruption(BaseModel, ABC):
    """A corruption and its settings; ``str()`` gives the spec that :func:`make_corruption` reads.

    A new one is a subclass with ``name``, ``severities``, its settings as fields with defaults, and ``begin``;
    then its class is added to ``CORRUPTIONS``.

    Attributes:
        name: The name in a spec, in kebab case.
        severities: For each setting that the severity sets, its values at severities 1 to 5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ClassVar[str]
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {}

    @abstractmethod
    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        """What a new stream does to each of its frames.

        Args:
            shape: (B, C, H, W) of every frame; the items of a batch get independent draws.
            generator: Of this stream alone, on the CPU; the source of all its randomness.

        Returns:
            A function of float32 frames in [0, 1]. Its result is clamped to [0, 1] by :meth:`start`.
        """

    def start(self, generator: torch.Generator) -> Stream:
        """A stream over one clip, or over a batch of clips in step.

        The stream draws from a generator of its own, seeded by one draw from the one given: streams started from
        equal generators give the same frames bit for bit, whatever else is drawn from them later.

        Raises:
            ConfigError: the generator is not on the CPU, so results would depend on the device.
            LayoutError: from the stream, on frames that are not floating (B, 1 or 3, H, W).
            StateError: from the stream, on a frame of another shape than the first.
        """
        own = spawn(generator)
        begun: list[tuple[torch.Size, Stream]] = []

        def stream(frame: Tensor) -> Tensor:
            check_frame(frame)
            if not begun:
                begun.append((frame.shape, self.begin(frame.shape, own)))
            shape, change = begun[0]
            if frame.shape != shape:
                raise StateError(
                    f"'{self}' was started on frames {tuple(shape)} and can't continue with {tuple(frame.shape)}; "
                    "start a new stream"
                )
            return change(frame.float()).clamp(0, 1).to(frame.dtype)

        return stream

    @classmethod
    def settings_at(cls, severity: int) -> dict[str, float]:
        """The settings of a severity from 1 to 5.

        Raises:
            ConfigError: there is no such severity.
        """
        if severity not in SEVERITIES:
            raise ConfigError(f"'{cls.name}:{severity}': a severity is 1, 2, 3, 4 or 5")
        return {setting: values[severity - 1] for setting, values in cls.severities.items()}

    @classmethod
    def at(cls, severity: int) -> Self:
        """This corruption at a severity from 1 to 5. Raises ConfigError if there is no such severity."""
        return cls.model_validate(cls.settings_at(severity))

    def __str__(self) -> str:
        changed = {key: value for key, value in self if value != type(self).model_fields[key].default}
        if not changed:
            return self.name
        level = next((severity for severity in SEVERITIES if self.at(severity) == self), None)
        settings = (f"{key}={str(value).removesuffix('.0')}" for key, value in changed.items())
        return f"{self.name}:{level or ','.join(settings)}"


def spawn(generator: torch.Generator) -> torch.Generator:
    """A new generator on the CPU, seeded by a draw from the given one. Raises ConfigError if that is elsewhere."""
    if generator.device.type != "cpu":
        raise ConfigError(
            f"corruptions draw on the CPU, so that they don't depend on the device; got {generator.device}"
        )
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def check_frame(frame: Any) -> None:
    """Raises LayoutError unless this is a floating tensor (B, C, H, W) with one channel or three."""
    if not isinstance(frame, Tensor):
        raise LayoutError(f"a frame is a tensor (B, C, H, W), not {type(frame).__name__}")
    if frame.ndim != 4 or frame.shape[1] not in (1, 3) or not frame.is_floating_point() or not frame.numel():
        raise LayoutError(
            f"corruptions take floating frames (B, 1 or 3, H, W) in [0, 1], not {frame.dtype} {tuple(frame.shape)}"
        )
