"""Corruptions made of corruptions: one after the other, or some drawn for each clip."""

from typing import ClassVar

import torch
from pydantic import Field, SerializeAsAny, field_validator, model_validator
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream


class Chain(Corruption):
    """Corruptions one after the other, written ``gaussian+patch-drop``."""

    name: ClassVar[str] = "chain"

    parts: tuple[SerializeAsAny[Corruption], ...] = Field(min_length=2)

    @field_validator("parts")
    @classmethod
    def _flat(cls, parts: tuple[Corruption, ...]) -> tuple[Corruption, ...]:
        return tuple(link for part in parts for link in (part.parts if isinstance(part, Chain) else (part,)))

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        return _one_after_another([part.start(generator) for part in self.parts])

    def __str__(self) -> str:
        return "+".join(map(str, self.parts))


class Mix(Corruption):
    """One corruption, or several different ones, drawn afresh for each clip of a batch.

    Written ``mix(gaussian|jpeg:3|flicker)`` for one a clip and ``mix2(…)`` for two. Several are applied in the
    order in which they are written.
    """

    name: ClassVar[str] = "mix"

    choices: tuple[SerializeAsAny[Corruption], ...] = Field(min_length=1)
    count: int = Field(1, ge=1, description="how many are drawn for a clip")

    @model_validator(mode="after")
    def _enough(self) -> "Mix":
        if self.count > len(self.choices):
            raise ValueError(f"{self.count} can't be drawn from {len(self.choices)}")
        return self

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        streams = [self._drawn(generator) for _ in range(shape[0])]
        return lambda frame: torch.cat([stream(item) for stream, item in zip(streams, frame.split(1), strict=True)])

    def _drawn(self, generator: torch.Generator) -> Stream:
        drawn = sorted(torch.randperm(len(self.choices), generator=generator)[: self.count].tolist())
        return _one_after_another([self.choices[index].start(generator) for index in drawn])

    def __str__(self) -> str:
        return f"mix{self.count if self.count > 1 else ''}({'|'.join(map(str, self.choices))})"


def _one_after_another(streams: list[Stream]) -> Stream:
    def change(frame: Tensor) -> Tensor:
        for stream in streams:
            frame = stream(frame)
        return frame

    return change
