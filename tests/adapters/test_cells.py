"""Every kind's cell: against the formula over several frames, and what holds for all of them."""

import math
from typing import Any

import formulas
import pytest
import torch
from cells import HEADS, IN_PLACE, KINDS, SHAPE, cell_of, clip, context_of, make_cell, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.cell import Cell, Context
from holdsteady.adapters.config import make_config
from holdsteady.adapters.missing import begin, step
from holdsteady.flow.dis import DISFlow

every_kind = pytest.mark.parametrize("kind", KINDS)


def slow(kind: str, cell: Any, values: list[Tensor]) -> list[Tensor]:
    """z̃_1 = z_1, then the formula of the kind; only the layers of the heads are taken from the cell."""
    name = KINDS[kind][0].partition(":")[0]
    stable = [values[0]]
    frames = context_of(0).frame
    fixed = (
        [formulas.MotionFixed(*pair) for pair in zip(values[0], frames, strict=True)] if name == "motion-fixed" else []
    )
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
                "backbone": [],
            }[settings_.get("head_input", "features")]
            if scale := settings_.get("head_scale"):
                means = F.avg_pool2d(torch.cat(seen, dim=1), scale, ceil_mode=True, count_include_pad=False)
                if context.features.shape[2:] == means.shape[2:]:  # as of a backbone of that scale
                    small = context.features
                else:
                    down, right = (scale * some - all_ for some, all_ in zip(means.shape[2:], SHAPE[2:], strict=True))
                    beyond = F.pad(g, (0, right, 0, down), mode="replicate")
                    small = F.interpolate(beyond, size=means.shape[2:], mode="bilinear")
                inside = cell.head.layers(torch.cat((small, cell.head.reduce(means)), dim=1))
                grown = F.interpolate(cell.head.logits(inside), scale_factor=float(scale), mode="bilinear")
                logits = grown[..., : SHAPE[2], : SHAPE[3]]
            else:
                logits = cell.head.logits(cell.head.layers(torch.cat((g, *seen), dim=1)))
            if name == "controlled":
                stable.append(formulas.ema(z, memory, 1 - torch.sigmoid(logits)))
            else:
                stable.append(formulas.spatial(z, memory, logits, cell.kernel))
        elif name == "motion-fixed":
            flow = DISFlow(smooth=1.0)(z, memory)
            steps = zip(fixed, z, context.frame, flow, strict=True)
            stable.append(torch.stack([one.step(*seen) for one, *seen in steps]))
        else:
            warped = formulas.warp(memory, DISFlow()(z, memory))
            difference = (z - warped).abs()
            seen = [context.frame, z, warped, difference, formulas.box_mean(difference)]
            stable.append(formulas.spatial(z, warped, cell.head(seen, SHAPE[2:]), cell.kernel))
    return stable


@every_kind
def test_the_formula_over_several_frames(kind: str) -> None:
    cell, values = cell_of(kind), clip(4)
    outputs, _ = run(cell, values)
    with torch.no_grad():
        expected = slow(kind, cell, values)
    assert torch.equal(outputs[0], values[0])
    # The search for motion sees eight bits: last digits may move it a little, as those of a running sum do.
    near = 2e-3 if kind == "motion-fixed" else 1e-4
    for output, reference, value in zip(outputs[1:], expected[1:], values[1:], strict=True):
        torch.testing.assert_close(output, reference, rtol=near, atol=near)
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


@pytest.mark.parametrize("fades", [False, True])
def test_motion_fixed_keeps_grain_and_follows_a_fade_as_its_formulas_do(fades: bool) -> None:
    """A network that adds noise during a fade, and one that hands the faint grain of its input through."""
    generator = torch.Generator().manual_seed(0)
    base = F.interpolate(torch.rand(1, 3, 6, 7, generator=generator), size=(40, 52), mode="bicubic")
    grain, added = torch.randn(2, 8, 1, 3, 40, 52, generator=generator) * torch.tensor([1 / 255, 0.03]).view(
        2, 1, 1, 1, 1, 1
    )
    frames = [(1 - 0.02 * t * fades) * base + grain[t] for t in range(8)]
    values = [1.5 * frame + added[t] * fades for t, frame in enumerate(frames)]
    cell = make_cell(make_config("motion-fixed"), 3, name="output")
    oracle = formulas.MotionFixed(values[0][0], frames[0][0])
    stable, memory = values[0], begin(cell, values[0])[1]
    for t in range(1, 8):
        flow = DISFlow(smooth=1.0)(values[t], stable)
        shown, memory = step(cell, values[t], memory, Context(frames[t], frames[t - 1]))
        stable = oracle.step(values[t][0], frames[t][0], flow[0])[None]
        torch.testing.assert_close(shown, stable, rtol=1e-4, atol=2e-5)
    assert (oracle.fade > 0.5) == fades
    assert (float(oracle.grain.max()) > 0.9) == (not fades)


def test_motion_fixed_tells_texture_from_noise_as_its_formulas_do() -> None:
    """Noise of the input, far more of it in a corner, between faint blocks: parts of the change are kept."""
    generator = torch.Generator().manual_seed(0)
    base = F.interpolate(torch.rand(1, 3, 6, 7, generator=generator), size=(72, 80), mode="bicubic")
    blocks = torch.rand(1, 1, 9, 10, generator=generator).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    noise = torch.randn(6, 1, 3, 72, 80, generator=generator) * (3.3 / 255)
    noise[..., :32, :40] *= torch.linspace(1, 4, 40)
    frames = [base + 0.05 * blocks + one for one in noise]
    cell = make_cell(make_config("motion-fixed"), 3, name="output")
    oracle = formulas.MotionFixed(1.3 * frames[0][0], frames[0][0])
    stable, memory = 1.3 * frames[0], begin(cell, 1.3 * frames[0])[1]
    for t in range(1, 6):
        value = 1.3 * frames[t]
        flow = DISFlow(smooth=1.0)(value, stable)
        shown, memory = step(cell, value, memory, Context(frames[t], frames[t - 1]))
        stable = oracle.step(value[0], frames[t][0], flow[0])[None]
        torch.testing.assert_close(shown, stable, rtol=1e-4, atol=2e-5)
        steeper = min(oracle.steeper(one) for one in (frames[t][0].mean(0)[::4], frames[t][0].mean(0).T[::4]))
        assert 1.25 < steeper < 1.45
        assert ((oracle.grain > 0.1) & (oracle.grain < 0.9)).any()


def _without_memory(kind: str) -> Cell:
    name = KINDS[kind][0].partition(":")[0]
    if name in ("output-fixed", "simple-fixed"):
        return make_cell(make_config(f"{name}:1"))
    if name == "motion-fixed":
        return make_cell(make_config("motion-fixed:0"))
    cell: Any = cell_of(kind)
    with torch.no_grad():
        if name == "simple-learned":
            cell.a.fill_(math.inf)
        else:
            cell.head.logits.weight.zero_()
            # Enlarged logits are sums, in which infinity times zero would be no number.
            cell.head.logits.bias.fill_(-1e4 if "head_scale" in KINDS[kind][1] else -math.inf)
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
    cell = cell_of("motion-fixed")
    output, memory = begin(cell, noisy)
    with torch.no_grad():
        for t in range(40):
            output, memory = step(cell, still, memory, Context(still, still))
            assert t or (output - still).abs().max() > 0.1
    torch.testing.assert_close(output, still, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.startswith(("spatial", "motion")) and "fixed" not in kind]
)
def test_a_flat_still_video_stays_as_it_is_away_from_the_border(kind: str) -> None:
    """A window mixes neighbours, which changes nothing where all are equal; zeros come in from outside."""
    cell: Any = cell_of(kind)
    flat = torch.full((1, 3, 32, 32), 0.7)
    memory, context = (
        begin(cell, flat)[1],
        Context(flat, flat, torch.zeros(1, 4, 32, 32), torch.zeros(1, 2, 32, 32)),
    )
    with torch.no_grad():
        for _ in range(4):
            output, memory = step(cell, flat, memory, context)
    assert output[..., 0, 0].max() < 0.699
    centre = output[..., 14:18, 14:18]
    torch.testing.assert_close(centre, torch.full_like(centre, 0.7))


@pytest.mark.parametrize("kind", ["controlled, backbone", "spatial, backbone", "motion"])
def test_initially_the_memory_has_the_weight_of_one_logit(kind: str) -> None:
    """All offsets of a window together weigh sigmoid(−4), so that a larger window does not start further off."""
    name, settings_ = KINDS[kind]
    config = make_config(name, **{**settings_, "initial_logit": -4.0})
    cell: Any = make_cell(config)
    ones, zeros = torch.ones(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    with torch.no_grad():
        if name == "motion":
            cell.head.logits.weight.zero_()
        fused, _ = step(cell, zeros, {"stabilized": ones}, Context(zeros, zeros, torch.zeros(1, 4, 9, 9)))
    expected = 1 / (1 + math.exp(4))
    torch.testing.assert_close(fused[..., 1:-1, 1:-1], torch.full((1, 3, 7, 7), expected), rtol=1e-4, atol=1e-6)


def test_a_window_can_start_at_its_centre() -> None:
    """With a lead of 3 the centre weighs e³ as much as any other offset, and all together what they would."""
    config = make_config("spatial", **{**HEADS, "head_input": "backbone", "initial_centre": 3.0})
    cell: Any = make_cell(config)
    spike, zeros = torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    spike[..., 4, 4] = 1
    with torch.no_grad():
        fused, _ = step(cell, zeros, {"stabilized": spike}, Context(zeros, zeros, torch.zeros(1, 4, 9, 9)))
    unit = 0.5 / (math.exp(3) + 8)  # half of all weight is the memory's
    for row, column, expected in ((4, 4, math.exp(3)), (3, 5, 1), (5, 4, 1), (6, 4, 0), (3, 2, 0)):
        torch.testing.assert_close(fused[0, :, row, column], torch.full((3,), expected * unit), rtol=1e-4, atol=1e-6)
