"""Never below the start: weights count only if they are no worse in any clip of the validation."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from holdsteady.training.watch import Figures

#: What still counts as no worse: dB of accuracy; a share of the flicker error, and this much of it, 0.08 of 255.
LESS_DB, MORE_FLICKER, LITTLE_FLICKER = 0.05, 0.02, 3e-4
GAIN = 0.05  # dB, the least mean gain that is worth new weights
_BEST, _LEAST = 50.0, 1e-3  # dB of accuracy, and flicker error, that nothing better is told from


@dataclass
class Held:
    """The best weights so far, by clips of the validation.

    Attributes:
        names: of the clips.
        start: figures of each clip with the adapter that weights are held to.
        rivals: those with no adapter and with *motion-fixed*, by name.
        best: those of the best weights, or of the start.
        parameters: the best weights; none while nothing was better than the start.
        gain: of the best weights over the start, dB.
        step: theirs; 0 for the start.
        worse: the clips in which the weights offered last were worse than they may be, and by how much.
    """

    names: tuple[str, ...]
    start: list[Figures]
    rivals: dict[str, list[Figures]]
    best: list[Figures] = field(default_factory=list)
    parameters: list[Tensor] = field(default_factory=list)
    gain: float = GAIN
    step: int = 0
    worse: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.best = self.best or self.start

    @property
    def gained(self) -> bool:
        """Whether any weights were better than the start."""
        return self.step > 0

    @classmethod
    def restored(cls, saved: dict[str, Any], device: torch.device) -> "Held":
        """From its ``asdict``, as a checkpoint has it."""
        start, best = ([Figures(**one) for one in saved[name]] for name in ("start", "best"))
        rivals = {name: [Figures(**one) for one in found] for name, found in saved["rivals"].items()}
        parameters = [value.to(device) for value in saved["parameters"]]
        return cls(tuple(saved["names"]), start, rivals, best, parameters, saved["gain"], saved["step"])

    def clips(self) -> list[dict[str, Any]]:
        """Name and figures of each clip, for a file."""
        rows = {**self.rivals, "start": self.start, "kept": self.best}
        return [
            {"clip": name, **{row: asdict(figures[number]) for row, figures in rows.items()}}
            for number, name in enumerate(self.names)
        ]

    def offer(self, step: int, found: list[Figures], parameters: Sequence[Tensor]) -> bool:
        """Figures of each clip with the weights after a step, which are kept if they are the best; whether they are."""
        judged = (self._worse(number, now) for number, now in enumerate(found))
        self.worse = tuple(words for words in judged if words)
        gains = [
            level(now) - level(start)
            for start, now in zip(self.start, found, strict=True)
            for level in (_accuracy, _steadiness)
        ]
        gain = sum(gains) / len(gains)
        if not step or self.worse or gain <= self.gain:
            return False
        self.best, self.step, self.gain = found, step, gain
        self.parameters = [p.detach().clone() for p in parameters]
        return True

    def _worse(self, clip: int, now: Figures) -> str:
        """In which clip, and by how much; nothing if it is not worse there."""
        least = self.least(clip)
        if _accuracy(now) >= min(_accuracy(least), _BEST) - LESS_DB and _is_as_steady(now, least):
            return ""
        flicker = 100 * (now.flicker_error / max(least.flicker_error, 1e-9) - 1)
        return f"{self.names[clip]} ({_accuracy(now) - _accuracy(least):+.2f} dB, flicker {flicker:+.1f} %)"

    def least(self, clip: int) -> Figures:
        """What weights have to reach in a clip: the start, or a rival that is better in both accuracy and flicker."""
        best = self.start[clip]
        for rival in (figures[clip] for figures in self.rivals.values()):
            if _accuracy(rival) >= _accuracy(best) and not rival.flicker_error > best.flicker_error:
                best = rival
        return best

    def better_rivals(self) -> dict[str, list[str]]:
        """For each rival that is plainly better than the best weights in some clips, their names."""
        found: dict[str, list[str]] = {}
        for rival, figures in self.rivals.items():
            for name, other, own in zip(self.names, figures, self.best, strict=True):
                if min(_accuracy(other), _BEST) > _accuracy(own) + LESS_DB and _is_as_steady(other, own):
                    found.setdefault(rival, []).append(name)
        return found


def _accuracy(figures: Figures) -> float:
    """dB against the target; where it is class numbers, of the loss."""
    return -20 * math.log10(max(figures.accuracy, 1e-9)) if math.isnan(figures.psnr) else figures.psnr


def _steadiness(figures: Figures) -> float:
    """dB of the flicker error; 0 where it is not known."""
    return 0.0 if math.isnan(figures.flicker_error) else -20 * math.log10(max(figures.flicker_error, _LEAST))


def _is_as_steady(one: Figures, other: Figures) -> bool:
    return not one.flicker_error > (1 + MORE_FLICKER) * other.flicker_error + LITTLE_FLICKER
