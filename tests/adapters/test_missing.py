"""NaN, infinities and first frames, around every kind's cell."""

import math
from dataclasses import replace

import pytest
import torch
from cells import KINDS, SHAPE, cell_of, clip, context_of, run
from torch import Tensor

from holdsteady.adapters import missing
from holdsteady.adapters.cell import Cell
from holdsteady.adapters.missing import Memory, begin, step

every_kind = pytest.mark.parametrize("kind", KINDS)


def nothing(cell: Cell, z: Tensor) -> Memory:
    """A memory in which nothing is remembered."""
    return {name: torch.full_like(kept, math.nan) for name, kept in begin(cell, z)[1].items()}


@every_kind
def test_a_beginning_is_a_step_that_remembers_nothing(kind: str) -> None:
    cell = cell_of(kind)
    (z,) = clip(1)
    z[0, 0, 2, 3], z[1, 2, 4, 4] = math.nan, math.inf
    with torch.no_grad():
        shown, memory = begin(cell, z)
        expected, remembered = step(cell, z, nothing(cell, z), context_of(0))
    torch.testing.assert_close(shown, expected, rtol=0, atol=0, equal_nan=True)
    assert memory.keys() == remembered.keys()
    for name, value in memory.items():
        torch.testing.assert_close(value, remembered[name], rtol=0, atol=0, equal_nan=True)


@every_kind
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_finite_values_take_a_shorter_way_to_the_same(
    kind: str, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, values = cell_of(kind), clip(4)

    def steps() -> list[Tensor]:
        done, memory = [], begin(cell, values[0])[1]
        with torch.no_grad():
            for t, value in enumerate(values[1:], 1):
                shown, memory = step(cell, value, memory, replace(context_of(t), strength=strength))
                done += [shown, *memory.values()]
        return done

    short = steps()
    monkeypatch.setattr(missing, "can_look", lambda _: False)
    for one, other in zip(short, steps(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@every_kind
def test_what_is_remembered_shares_no_memory_with_what_goes_in_or_out(kind: str) -> None:
    """Layers that follow may work in place, and cameras write over their frames."""
    cell, values = cell_of(kind), clip(3)
    with torch.no_grad():
        memory: Memory = {}
        for t, value in enumerate(values):
            z = value.clone()
            shown, memory = step(cell, z, memory, context_of(t)) if t else begin(cell, z)
            assert shown.data_ptr() != z.data_ptr()
            before = {name: kept.clone() for name, kept in memory.items()}
            z.fill_(7)
            shown.fill_(8)
            for name, kept in before.items():
                torch.testing.assert_close(memory[name], kept, rtol=0, atol=0, equal_nan=True)


def _hole() -> Tensor:
    """Which values of a frame are not finite: some of the first stream, none of the second."""
    hole = torch.zeros(SHAPE, dtype=torch.bool)
    hole[0, 1, 2:4, 3] = True
    hole[0, :, 5, 6] = True
    return hole


@every_kind
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("when", [0, 1])
def test_what_is_not_finite_passes_through_once_and_is_not_remembered(kind: str, bad: float, when: int) -> None:
    values, hole = clip(4), _hole()
    good, _ = run(cell_of(kind), values)
    values[when] = values[when].masked_fill(hole, bad)
    outputs, memories = run(cell_of(kind), values)
    for t, output in enumerate(outputs):
        assert torch.equal(~output.isfinite(), hole & (t == when))
        torch.testing.assert_close(output[1], good[t][1])  # the other stream saw nothing of it
    torch.testing.assert_close(outputs[when][hole], values[when][hole], rtol=0, atol=0, equal_nan=True)
    assert all(not memory[name].isinf().any() for memory in memories for name in memory)
    for name in memories[-1].keys() - {
        "evidence"
    }:  # which begins anew where a frame is unlike the last, as all are here
        assert memories[-1][name].isfinite().all()
    if when and "raw" in memories[when]:  # what was seen last stands in
        newest, before = memories[when]["raw"][:, 0], memories[when - 1]["raw"][:, 0]
        torch.testing.assert_close(newest[hole], before[hole], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["output-fixed", "simple-learned", "controlled, backbone"])
def test_where_a_value_was_lost_the_memory_stays_as_it_was(kind: str) -> None:
    values, hole = clip(3), _hole()
    values[1] = values[1].masked_fill(hole, math.nan)
    _, memories = run(cell_of(kind), values)
    torch.testing.assert_close(memories[1]["stabilized"][hole], memories[0]["stabilized"][hole], rtol=0, atol=0)
    assert (memories[1]["stabilized"][~hole] != memories[0]["stabilized"][~hole]).any()


@every_kind
def test_a_frame_without_any_finite_value_is_as_if_it_were_dropped(kind: str) -> None:
    values = clip(3)
    outputs, memories = run(cell_of(kind), [torch.full(SHAPE, math.nan), *values[1:]])
    assert outputs[0].isnan().all()
    assert torch.equal(outputs[1], values[1])  # nothing is remembered, so this is a first frame
    assert memories[-1]["stabilized" if "stabilized" in memories[-1] else "raw"].isfinite().any()


@pytest.mark.parametrize("kind", ["output-fixed", "controlled", "motion-fixed"])
def test_strength_shows_a_part_and_remembers_all(kind: str) -> None:
    values = clip(3)
    full, memories = run(cell_of(kind), values)
    cell, memory = cell_of(kind), None
    with torch.no_grad():
        for t, value in enumerate(values):
            context = context_of(t)
            context = replace(context, strength=0.25)
            part, memory = step(cell, value, nothing(cell, value) if memory is None else memory, context)
            torch.testing.assert_close(part, 0.75 * value + 0.25 * full[t])
            torch.testing.assert_close(memory, memories[t], rtol=0, atol=0, equal_nan=True)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@every_kind
def test_values_that_are_promised_to_be_finite_need_no_check(kind: str) -> None:
    cell, values = cell_of(kind), clip(3)
    expected, _ = run(cell, values)
    with torch.no_grad():
        shown, memory = begin(cell, values[0], check_finite=False)
        assert torch.equal(shown, expected[0])
        for t in (1, 2):
            shown, memory = step(cell, values[t], memory, replace(context_of(t), check_finite=False))
            assert torch.equal(shown, expected[t])
    spoiled = values[2].clone()
    spoiled[0, 0, 0, 0] = math.nan
    with torch.no_grad():
        _, memory = step(cell, spoiled, memory, replace(context_of(2), check_finite=False))
    assert any(kept.isnan().any() for kept in memory.values())  # the promise was broken, and it shows


def test_values_that_are_not_finite_are_counted() -> None:
    z = torch.zeros(3, 2, 4, 4)
    z[0, 0, 0, :3], z[2, 1, 1, 1] = math.nan, -math.inf
    assert missing.count_non_finite(z).tolist() == [3, 0, 1]
    assert missing.count_non_finite(torch.full((1, 4), 3e38)).tolist() == [0]  # the sum overflows, no value does
