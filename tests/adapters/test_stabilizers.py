"""Every kind's cell: against the formula over several frames, and what holds for all of them."""

import math
from dataclasses import replace
from typing import Any

import formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters import fusion
from holdsteady.adapters.config import make_config
from holdsteady.adapters.kinds import Cell, make_stabilizer
from holdsteady.adapters.stabilizers import Context
from holdsteady.flow.dis import DISFlow

HEADS = {
    "preset": "paper",
    "backbone_width": 4,
    "head_width": 5,
    "head_layers": 1,
    "vector_width": 6,
    "initial_logit": 0.0,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "output-fixed": ("output-fixed:0.7", {}),
    "output-gaussian": ("output-gaussian:1", {}),
    "simple-fixed": ("simple-fixed:0.6", {}),
    "simple-learned": ("simple-learned", {"initial_a": 0.5}),
    "controlled": ("controlled", HEADS),
    "controlled, backbone": ("controlled", {**HEADS, "head_input": "backbone"}),
    "spatial": ("spatial", HEADS),
    "spatial, 5×5, dilated": ("spatial", {**HEADS, "kernel": 5, "dilations": (2,)}),
    "spatial, backbone": ("spatial", {**HEADS, "head_input": "backbone"}),
    "spatial, two windows": ("spatial", {**HEADS, "dilations": (1, 3), "kernel_channels": 0}),
    "spatial, pair, aligned": ("spatial", {**HEADS, "head_input": "pair", "align": "flow", "kernel_channels": 0}),
    "controlled, differences": ("controlled", {**HEADS, "head_input": "differences", "align": "flow"}),
    "spatial, separable at half": (
        "spatial",
        {**HEADS, "head_convolution": "separable", "head_reduction": 2, "head_scale": 2},
    ),
    "motion-fixed": ("motion-fixed", {}),
    "motion": ("motion", {"motion_width": 4, "initial_logit": 0.0}),
    "motion, 5×5, dilated": ("motion", {"motion_width": 4, "initial_logit": 0.0, "kernel": 5, "dilations": (2,)}),
}
SHAPE = (2, 3, 6, 7)
#: What is fused is the value's own past, from the same place.
IN_PLACE = [
    kind for kind, (name, more) in KINDS.items() if not name.startswith(("spatial", "motion")) and "align" not in more
]
every_kind = pytest.mark.parametrize("kind", KINDS)


def cell_of(kind: str, has_space: bool = True) -> Cell:
    name, settings_ = KINDS[kind]
    torch.manual_seed(0)
    return make_stabilizer(make_config(name, **settings_), SHAPE[1], 3, has_space)


def clip(frames: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> list[Tensor]:
    return list(torch.randn(frames, *shape, generator=torch.Generator().manual_seed(seed)))


def context_of(t: int) -> Context:
    """A frame, the one before, backbone features at half the size, and a flow; the same for the same t."""
    frame, previous = (clip(1, seed=100 + max(0, i))[0] for i in (t, t - 1))
    return Context(frame, previous, clip(1, 200 + t, (2, 4, 3, 4))[0], 2 * clip(1, 300 + t, (2, 2, 6, 7))[0])


@torch.no_grad()
def run(cell: Cell, values: list[Tensor]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    outputs, memories, memory = [], [], cell.new_memory(values[0])
    for t, value in enumerate(values):
        output, memory = cell(value, memory, context_of(t))
        outputs.append(output)
        memories.append(memory)
    return outputs, memories


@every_kind
def test_a_beginning_is_a_step_that_remembers_nothing(kind: str) -> None:
    cell = cell_of(kind)
    (z,) = clip(1)
    z[0, 0, 2, 3], z[1, 2, 4, 4] = math.nan, math.inf
    with torch.no_grad():
        shown, memory = cell.begin(z)
        expected, remembered = cell(z, cell.new_memory(z), context_of(0))
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
        done, memory = [], cell.begin(values[0])[1]
        with torch.no_grad():
            for t, value in enumerate(values[1:], 1):
                shown, memory = cell(value, memory, replace(context_of(t), strength=strength))
                done += [shown, *memory.values()]
        return done

    short = steps()
    monkeypatch.setattr(fusion, "is_all_finite", lambda *_: False)
    for one, other in zip(short, steps(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@every_kind
def test_what_is_remembered_shares_no_memory_with_what_goes_in_or_out(kind: str) -> None:
    """Layers that follow may work in place, and cameras write over their frames."""
    cell, values = cell_of(kind), clip(3)
    with torch.no_grad():
        memory: dict[str, Tensor] | None = None
        for t, value in enumerate(values):
            z = value.clone()
            shown, memory = cell.begin(z) if memory is None else cell(z, memory, context_of(t))
            assert shown.data_ptr() != z.data_ptr()
            before = {name: kept.clone() for name, kept in memory.items()}
            z.fill_(7)
            shown.fill_(8)
            for name, kept in before.items():
                torch.testing.assert_close(memory[name], kept, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("spatial") or kind == "motion"])
def test_a_head_may_work_on_bands(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = run(cell_of(kind), clip(3, shape=(2, 3, 40, 7)))
    monkeypatch.setattr("holdsteady.adapters.bands._CACHED", 1500)
    monkeypatch.setattr("holdsteady.adapters.bands._LARGEST", 0)
    monkeypatch.setattr("holdsteady.adapters.bands._LEAST", 0)
    banded, _ = run(cell_of(kind), clip(3, shape=(2, 3, 40, 7)))
    for one, other in zip(whole, banded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def slow(kind: str, cell: Any, values: list[Tensor]) -> list[Tensor]:
    """z̃_1 = z_1, then the formula of the kind; only the layers of the heads are taken from the cell."""
    name = KINDS[kind][0].partition(":")[0]
    stable = [values[0]]
    for t in range(1, len(values)):
        z, memory, context = values[t], stable[-1], context_of(t)
        if name in ("output-fixed", "simple-fixed"):
            stable.append(formulas.ema(z, memory, float(KINDS[kind][0].partition(":")[2])))
        elif name == "output-gaussian":
            stable.append(formulas.gaussian(values[: t + 1], 1.0))
        elif name == "simple-learned":
            stable.append(formulas.ema(z, memory, 1 / (1 + math.exp(-0.5))))
        elif name in ("controlled", "spatial"):
            g = F.interpolate(context.features, size=SHAPE[2:], mode="bilinear", align_corners=False)
            settings_ = KINDS[kind][1]
            if "align" in settings_:
                memory = formulas.warp(memory, context.flow)
            difference = (z - memory).abs()
            seen = {
                "features": [z, memory, values[t - 1]],
                "pair": [z, memory, difference, formulas.box_mean(difference)],
                "differences": [difference, (z - values[t - 1]).abs()],
                "backbone": [],
            }[settings_.get("head_input", "features")]
            if "separable" in kind:
                half = F.avg_pool2d(torch.cat(seen, dim=1), 2, ceil_mode=True, count_include_pad=False)
                small = F.avg_pool2d(F.pad(g, (0, 1, 0, 0), mode="replicate"), 2)
                inside = cell.head.layers(torch.cat((small, cell.head.reduce(half)), dim=1))
                grown = F.interpolate(cell.head.logits(cell.head.spread(inside)), scale_factor=2.0, mode="bilinear")
                logits = grown[..., : SHAPE[2], : SHAPE[3]]
            else:
                logits = cell.head.logits(cell.head.layers(torch.cat((g, *seen), dim=1)))
            if name == "controlled":
                stable.append(formulas.ema(z, memory, 1 - torch.sigmoid(logits)))
            else:
                stable.append(formulas.spatial(z, memory, logits, cell.kernel, cell.dilations))
        else:
            warped = formulas.warp(memory, DISFlow()(z, memory))
            if name == "motion-fixed":
                stable.append(formulas.ema(z, warped, 1 - formulas.motion_fixed_weight(z, warped, 0.6, 2.0)))
            else:
                difference = (z - warped).abs()
                seen = [context.frame, z, warped, difference, formulas.box_mean(difference)]
                stable.append(formulas.spatial(z, warped, cell.head(seen), cell.kernel, cell.dilations))
    return stable


@every_kind
def test_the_formula_over_several_frames(kind: str) -> None:
    cell, values = cell_of(kind), clip(4)
    outputs, _ = run(cell, values)
    with torch.no_grad():
        expected = slow(kind, cell, values)
    assert torch.equal(outputs[0], values[0])
    for output, reference, value in zip(outputs[1:], expected[1:], values[1:], strict=True):
        torch.testing.assert_close(output, reference, rtol=1e-4, atol=1e-4)
        assert (output - value).abs().max() > 0.1  # it did something


@pytest.mark.parametrize("kind", ["controlled", "spatial"])
def test_vectors_have_a_head_of_linear_layers_on_the_pooled_picture(kind: str) -> None:
    cell: Any = cell_of(kind, has_space=False)
    z1, z2 = clip(2, shape=(2, 3, 1, 1))
    (_, output), _ = run(cell, [z1, z2])
    context = context_of(1)
    seen = torch.cat([context.features.mean(dim=(2, 3)), z2[..., 0, 0], z1[..., 0, 0], z1[..., 0, 0]], dim=1)
    with torch.no_grad():
        logits = cell.head.logits(cell.head.layers(seen))[..., None, None]
    torch.testing.assert_close(output, formulas.ema(z2, z1, 1 - torch.sigmoid(logits)))


@every_kind
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_value_never_leaves_the_range_of_its_history(kind: str, seed: int, scale: float) -> None:
    values = [scale * z for z in clip(4, seed)]
    outputs, _ = run(cell_of(kind), values)
    own = kind in IN_PLACE
    dims = (0,) if own else (0, 3, 4)  # the value's own past, or that of its whole channel and zero
    for t, output in enumerate(outputs):
        history = torch.stack(values[: t + 1])
        low, high = history.amin(dim=dims, keepdim=True)[0], history.amax(dim=dims, keepdim=True)[0]
        if not own:
            low, high = low.clamp_max(0), high.clamp_min(0)
        slack = 1e-5 * scale
        assert ((output >= low - slack) & (output <= high + slack)).all()


def _without_memory(kind: str) -> Cell:
    name = KINDS[kind][0].partition(":")[0]
    if name in ("output-fixed", "simple-fixed"):
        return make_stabilizer(make_config(f"{name}:1"), 3, 3, True)
    if name == "motion-fixed":
        return make_stabilizer(make_config("motion-fixed:0"), 3, 3, True)
    cell: Any = cell_of(kind)
    with torch.no_grad():
        if name == "simple-learned":
            cell.a.fill_(math.inf)
        else:
            cell.head.logits.weight.zero_()
            # Enlarged logits are sums, in which infinity times zero would be no number.
            cell.head.logits.bias.fill_(-1e4 if "separable" in kind else -math.inf)
    return cell


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "output-gaussian"])
def test_without_weight_on_the_memory_it_is_the_base(kind: str) -> None:
    values = clip(3)
    outputs, _ = run(_without_memory(kind), values)
    assert all(torch.equal(output, value) for output, value in zip(outputs, values, strict=True))


@pytest.mark.parametrize("kind", IN_PLACE)
def test_a_video_that_comes_to_rest_converges_to_the_base(kind: str) -> None:
    before, still = clip(2)
    outputs, _ = run(cell_of(kind), [before, *[still] * 60])
    assert (outputs[1] - still).abs().max() > 0.1
    torch.testing.assert_close(outputs[-1], still, atol=1e-3, rtol=0)


def test_motion_fixed_comes_to_rest_too() -> None:
    """On a picture; on white noise DIS finds motion that is not there."""
    generator = torch.Generator().manual_seed(0)
    still = F.interpolate(torch.rand(1, 3, 6, 6, generator=generator), size=48, mode="bicubic")
    noisy = still + 0.1 * torch.randn(still.shape, generator=generator)
    outputs, _ = run(cell_of("motion-fixed"), [noisy, *[still] * 30])
    assert (outputs[1] - still).abs().max() > 0.1
    torch.testing.assert_close(outputs[-1], still, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.startswith(("spatial", "motion")) and "fixed" not in kind]
)
def test_a_flat_still_video_stays_as_it_is_away_from_the_border(kind: str) -> None:
    """A window mixes neighbours, which changes nothing where all are equal; zeros come in from outside."""
    cell: Any = cell_of(kind)
    flat = torch.full((1, 3, 32, 32), 0.7)
    memory, context = cell.new_memory(flat), Context(flat, flat, torch.zeros(1, 4, 32, 32), torch.zeros(1, 2, 32, 32))
    with torch.no_grad():
        for _ in range(4):
            output, memory = cell(flat, memory, context)
    assert output[..., 0, 0].max() < 0.699
    centre = output[..., 14:18, 14:18]
    torch.testing.assert_close(centre, torch.full_like(centre, 0.7))


@pytest.mark.parametrize("kind", ["controlled, backbone", "spatial, backbone", "motion"])
def test_initially_the_memory_has_the_weight_of_one_logit(kind: str) -> None:
    """All offsets of a window together weigh sigmoid(−4), so that a larger window does not start further off."""
    name, settings_ = KINDS[kind]
    config = make_config(name, **{**settings_, "initial_logit": -4.0})
    cell: Any = make_stabilizer(config, 3, 3, True)
    ones, zeros = torch.ones(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    with torch.no_grad():
        if name == "motion":
            cell.head.logits.weight.zero_()
        fused, _ = cell(zeros, {"stabilized": ones}, Context(zeros, zeros, torch.zeros(1, 4, 9, 9)))
    expected = 1 / (1 + math.exp(4))
    torch.testing.assert_close(fused[..., 1:-1, 1:-1], torch.full((1, 3, 7, 7), expected), rtol=1e-4, atol=1e-6)


def test_a_window_can_start_at_its_centre() -> None:
    """With a lead of 3 the centre weighs e³ as much as any other offset, and all together what they would."""
    config = make_config("spatial", **{**HEADS, "head_input": "backbone", "initial_centre": 3.0, "dilations": (1, 2)})
    cell: Any = make_stabilizer(config, 3, 3, True)
    spike, zeros = torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    spike[..., 4, 4] = 1
    with torch.no_grad():
        fused, _ = cell(zeros, {"stabilized": spike, "raw": spike}, Context(zeros, zeros, torch.zeros(1, 4, 9, 9)))
    # Two windows share their centre; half of all weight is the memory's.
    unit = 0.5 / (2 * math.exp(3) + 16)
    for row, column, expected in ((4, 4, 2 * math.exp(3)), (3, 5, 1), (6, 4, 1), (3, 2, 0)):
        torch.testing.assert_close(fused[0, :, row, column], torch.full((3,), expected * unit), rtol=1e-4, atol=1e-6)


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
    for name in memories[-1]:
        if name != "window":
            assert memories[-1][name].isfinite().all()
        elif when == 1:
            # Newest first: frames 3, 2, 1, of which 1 is the one with holes.
            assert torch.equal(memories[-1][name][:, 2].isnan(), hole)


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
    assert all(memory.isfinite().all() for name, memory in memories[-1].items() if name != "window")


@pytest.mark.parametrize("kind", ["output-fixed", "controlled", "motion-fixed"])
def test_strength_shows_a_part_and_remembers_all(kind: str) -> None:
    values = clip(3)
    full, memories = run(cell_of(kind), values)
    cell, memory = cell_of(kind), None
    with torch.no_grad():
        for t, value in enumerate(values):
            context = context_of(t)
            part, memory = cell(
                value,
                cell.new_memory(value) if memory is None else memory,
                replace(context, strength=0.25),
            )
            torch.testing.assert_close(part, 0.75 * value + 0.25 * full[t])
            assert all(torch.equal(memory[name], memories[t][name]) for name in memory)
