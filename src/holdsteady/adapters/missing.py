"""What NaN, infinities and first frames mean, once, around any cell.

*NaN in a memory means that nothing is remembered there*: so a new stream, a stream that was reset and a value that was
never finite are one case. Values that are not finite pass through for that frame and leave the memory as it was; where
nothing is remembered, the present stands in for the past, so that the first value is the base's. A cell remembers
``stabilized`` z̃_{t−1} (B, C, H, W), ``raw`` z_{t−1}, z_{t−2}, … (B, N, C, H, W), and more of its own.

A mask is None where it is certain that all of it holds: ``_where`` then takes no pass over the map.
"""

import math

import torch
from torch import Tensor

from holdsteady.adapters.cell import Cell, Context, Memory, Moment
from holdsteady.eager import can_look


def remembers(cell: Cell) -> tuple[str, ...]:
    """The names in a cell's memory."""
    own = cell.more(torch.empty(0, 1, 1, 1))
    return (*(("stabilized",) if cell.keeps_memory else ()), *(("raw",) if cell.keeps_raw else ()), *own)


def advance(cell: Cell, z: Tensor, memory: Memory | None, context: Context) -> tuple[Tensor, Memory, Tensor]:
    """One frame at any time: ``step``, or ``begin`` where there is no memory, and what was left out.

    Returns:
        What the following layers see, the memory for the next frame, and how many values of each stream were not
        finite (B,).
    """
    if memory is None:
        shown, after = begin(cell, z, check_finite=context.check_finite)
    else:
        shown, after = step(cell, z, memory, context)
    return shown, after, count_non_finite(z) if context.check_finite else _none(z)


def begin(cell: Cell, z: Tensor, *, check_finite: bool = True) -> tuple[Tensor, Memory]:
    """The first frame, z̃_1 = z_1: what ``step`` makes of a memory without anything in it, without its work."""
    kept, memory = _where(finite_mask(z) if check_finite else None, z, math.nan), {}
    if cell.keeps_memory:
        memory["stabilized"] = _like(kept, z)
    if cell.keeps_raw:
        older = z.new_full((len(z), cell.keeps_raw - 1, *z.shape[1:]), math.nan)
        memory["raw"] = _history(kept, older, z)
    return _like(z, z), memory | cell.more(z)


def step(cell: Cell, z: Tensor, memory: Memory, context: Context) -> tuple[Tensor, Memory]:
    """One frame: z_t (B, C, H, W) → what the following layers see, and the memory for the next frame.

    What is remembered is never what is handed out or was handed in: layers that follow may write over theirs.

    Args:
        cell: of any kind.
        z: z_t.
        memory: from the last frame.
        context: of this frame.
    """
    before, raw = memory.get("stabilized"), memory.get("raw")
    finite = finite_mask(z) if context.check_finite else None
    known = None if before is None else finite_mask(before)
    known_raw = None if raw is None else finite_mask(raw)
    present = _where(finite, z, 0.0 if before is None else _where(known, before, 0.0))
    past = present.unsqueeze(1)[:, :0] if raw is None else _where(known_raw, raw, present.unsqueeze(1))
    everywhere = torch.ones((), dtype=torch.bool, device=z.device).expand_as(past)
    moment = Moment(
        present,
        present if before is None else _where(known, before, present),
        past,
        everywhere if known_raw is None else known_raw,
        {name: kept for name, kept in memory.items() if name not in ("stabilized", "raw")},
        finite,
    )
    fused, carried, more = cell(moment, context)
    fused = _where(known, fused.to(z.dtype), present)
    shown = fused if context.strength == 1.0 else torch.lerp(present, fused, context.strength)
    after = {}
    if before is not None:
        after["stabilized"] = _like(_where(finite, fused, _where(known, carried.to(z.dtype), math.nan)), z)
    if raw is not None:
        after["raw"] = _history(_where(finite, z, raw[:, 0]), raw[:, :-1], z)
    if known is not None:  # a stream that is new learns nothing from comparing the present with itself
        begun = known.flatten(1).any(dim=1)
        more = {
            name: torch.where(begun.reshape(-1, *(1,) * (kept.ndim - 1)), kept, math.nan) for name, kept in more.items()
        }
    after |= more
    # In the order that a compiled graph was made for.
    return _like(_where(finite, shown, z), z), {name: after[name] for name in memory}


def fill_frames(x: Tensor, before: Tensor, *, check_finite: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """x_t and x_{t−1} as cells see them, finite, and the frame to remember, NaN where nothing is known.

    Args:
        x: the frame (B, C, H, W), which the network may write over.
        before: what was remembered.
        check_finite: False if the caller promises that all of x is finite.
    """
    finite, known = finite_mask(x) if check_finite else None, finite_mask(before)
    kept = x.clone() if finite is None else torch.where(finite, x, before)
    present = kept if finite is None else torch.where(finite, x, before.nan_to_num(0.0))
    return present, _where(known, before, present), kept


def count_non_finite(z: Tensor) -> Tensor:
    """How many values of each stream are NaN or infinite: (B, …) → (B,)."""
    finite = finite_mask(z)
    return _none(z) if finite is None else (~finite).flatten(1).sum(dim=1)


def finite_mask(value: Tensor) -> Tensor | None:
    """Where a value is neither NaN nor infinite; None where all of it is and that is cheap to check.

    That is on a CPU, by one pass for a sum. If the sum of finite values overflows the mask is made anyway, which only
    costs time.
    """
    if can_look(value) and bool(value.detach().sum(dtype=torch.float32).isfinite()):
        return None
    return (value - value) == 0  # torch.isfinite takes three times as long on a CPU


def _none(z: Tensor) -> Tensor:
    return torch.zeros(len(z), dtype=torch.long, device=z.device)


def _where(mask: Tensor | None, value: Tensor, other: Tensor | float) -> Tensor:
    return value if mask is None else torch.where(mask, value, other)


def _history(last: Tensor, older: Tensor, z: Tensor) -> Tensor:
    """Raw values (B, N, C, H, W), newest first."""
    newest = _like(last, z).unsqueeze(1)
    return newest if older.shape[1] == 0 else torch.cat((newest, older), dim=1)


def _along(streams: Tensor, value: Tensor) -> Tensor:
    """One value for each stream (B,), with as many axes as another value has."""
    return streams.reshape(-1, *(1,) * (value.ndim - 1))


def _like(value: Tensor, z: Tensor) -> Tensor:
    """A copy with the memory layout of z: kernels round differently in another layout."""
    return torch.empty_like(z, requires_grad=False).copy_(value)
