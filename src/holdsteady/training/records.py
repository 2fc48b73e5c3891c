"""What *universal* meets in a clip, recorded, so that its head learns from it in many small steps that cost little.

The adapter as it is runs over clips, without gradients. What is recorded are the candidates, what the head sees of
them, and the truth; steps are over windows of the last recordings, and gradients stay within a frame.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from holdsteady.adapters.adapter import Adapter
from holdsteady.adapters.cell import Context, Moment
from holdsteady.adapters.universal import Candidates, Universal, blend, halves, seen
from holdsteady.data.dataset import item_generator
from holdsteady.data.sample import pick
from holdsteady.errors import ConfigError
from holdsteady.objective.distances import rmse
from holdsteady.objective.loss import unified_loss
from holdsteady.training.synthesis.clips import Example
from holdsteady.training.synthesis.draws import chance
from holdsteady.training.unroll import Batch, Unroll, Unrolled

_KEPT = 24  # recordings that are learned from
_WINDOWS, _SIDE = 12, 32  # of a step, and their side in pixels of half the size
_STABILITY = 0.1  # weight of the flicker error, in which weights must not be worse either
_LEAST = 0.04  # error that counts as none, of the truth's standard deviation


class Record(NamedTuple):
    """What an adapter met in a batch: (N, C, H, W) each, in half precision, of N frames of its clips.

    Attributes:
        present, moved, still, raw: the candidates.
        weight, share: of the memory by the formulas.
        seen: what the head sees, at half the size.
        truth: what should be shown.
        error: of what was shown in the frame before.
        unit: (N,) error of the clip, frame by frame.
    """

    present: Tensor
    moved: Tensor
    still: Tensor
    raw: Tensor
    weight: Tensor
    share: Tensor
    seen: Tensor
    truth: Tensor
    error: Tensor
    unit: Tensor


class Recorder:
    """The last recordings of a training, and steps from them.

    Args:
        unroll: the model with its adapter, which must be *universal*.
        seed: of the windows.

    Raises:
        ConfigError: it is another adapter.
    """

    def __init__(self, unroll: Unroll, seed: int) -> None:
        adapters = unroll.steady.adapters
        cells = [cell for adapter in adapters for cell in cast(Adapter, adapter).cells.values()]
        if len(cells) != 1 or not isinstance(cells[0], Universal):
            raise ConfigError("recorded: only universal learns from recordings; for other adapters take recorded = 0")
        self._unroll, self._cell, self._seed = unroll, cells[0], seed
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._random = torch.Generator()

    @torch.no_grad()
    def meet(self, batch: Batch, step: int) -> Unrolled:
        """Record a batch, and what was shown."""
        self._random = item_generator(self._seed + 2**35, step)
        outputs, targets = self._unroll.base_outputs(batch["corrupted"]), self._unroll.targets(batch)
        # Of one scale whatever the model gives, so that half precision will do.
        places = (1, 2, 3, 4)
        middle, scale = outputs.mean(places, keepdim=True), outputs.std(places, keepdim=True).clamp_min(1e-6)
        scaled = {"output": (outputs - middle) / scale, "truth": (targets - middle) / scale}
        made, shown = record(self._cell, {"input": batch["corrupted"], **scaled}, _LEAST)
        self._records.append(made)
        shown = shown * scale + middle
        objective = self._unroll.objective
        terms = unified_loss(shown, targets, stability=objective.stability, distance=objective.distance)
        return Unrolled(terms, shown, targets)

    def loss(self) -> Tensor:
        """Of new windows, to be differentiated."""
        side = min(_SIDE, *self._records[-1].seen.shape[-2:])
        return loss_of(self._cell, windows(self._records, _WINDOWS, side, self._random), _STABILITY)


@torch.no_grad()
def record(cell: Universal, batch: Example, least: float) -> tuple[Record, Tensor]:
    """Run over a batch of clips; also gives what was shown, (B, T, C, H, W).

    Args:
        cell: *universal*.
        batch: ``input``, ``output`` and ``truth``, (B, T, C, H, W) each.
        least: the error that counts as none, of the truth's standard deviation.
    """
    inputs, outputs, truths = (batch[key].unbind(1) for key in ("input", "output", "truth"))
    base = (batch["output"] - batch["truth"]).flatten(1).square().mean(dim=1)
    unit = (base + (least * batch["truth"].flatten(1).std(dim=1).clamp_min(1e-3)) ** 2).sqrt()
    shown, more, rows = outputs[0], cell.more(outputs[0]), list[list[Tensor]]()
    given = [shown]
    for t in range(1, len(inputs)):
        none = outputs[t].unsqueeze(1)[:, :0]
        context = Context(inputs[t], inputs[t - 1])
        found = cell.find(Moment(outputs[t], shown, none, none > 0, more), context)
        values = Candidates(found.present, found.moved, found.still, outputs[t])
        looked, error = seen(halves(found, context)), shown - truths[t - 1]
        shown, _, more = found.settled(blend(values, found.weight, found.share, cell.head(looked).float()))
        maps = (*values, found.weight, found.share, looked, truths[t], error)
        rows.append([value.half() for value in maps])
        given.append(shown)
    made = Record._make([*map(torch.cat, zip(*rows, strict=True)), unit.repeat(len(inputs) - 1)])
    return made, torch.stack(given, dim=1)


def windows(pool: Sequence[Record], count: int, side: int, random: torch.Generator) -> Record:
    """Windows of ``side`` places of what the head sees, of random frames, mirrored and turned at random."""

    def window(record: Record) -> Record:
        height, width = record.seen.shape[-2:]
        frame, turns = pick(random, len(record.seen)), [chance(random, 0.5) for _ in range(3)]
        top, left = pick(random, height - side + 1), pick(random, width - side + 1)

        def cut(value: Tensor) -> Tensor:
            scale = value.shape[-1] // width
            rows, columns = (slice(scale * first, scale * (first + side)) for first in (top, left))
            part = value[frame : frame + 1, :, rows, columns].float()
            part = part.flip(-1) if turns[0] else part
            part = part.flip(-2) if turns[1] else part
            return part.transpose(-1, -2) if turns[2] else part

        return Record._make([*map(cut, record[:-1]), record.unit[frame : frame + 1]])

    drawn = [window(pool[pick(random, len(pool))]) for _ in range(count)]
    return Record._make(map(torch.cat, zip(*drawn, strict=True)))


def loss_of(cell: Universal, record: Record, stability: float) -> Tensor:
    """Decibels, so that clips with little noise and with much count the same: log(r + 0.3) + λ log(f + 0.3).

    r and f are the error and the flicker error of a window in units of the error frame by frame; a window that is worse
    than frame by frame costs more. Logits are held near zero, where their softmax can still learn.
    """
    unit = record.unit[:, None, None, None]
    logits = cell.head(record.seen)
    error = (blend(Candidates(*record[:4]), record.weight, record.share, logits) - record.truth) / unit
    left, flicker = rmse(error, torch.zeros_like(error)), rmse(error, record.error / unit)
    cost = (left + 0.3).log() + stability * (flicker + 0.3).log() + 0.2 * (left - 1).relu()
    return cost.mean() + 1e-3 * logits.square().mean()
