"""*universal*: convex, blind to channels and range, and of use on any output."""

import math
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.cell import Cell, Context, Memory
from holdsteady.adapters.config import make_config
from holdsteady.adapters.missing import begin, step
from holdsteady.adapters.universal import SEEN, Candidates, Universal, blend

seeds = st.integers(0, 2**32 - 1)


def make(seed: int = 0, **settings: Any) -> Adapter:
    """An untrained one whose last layer is not zero, so that it does something everywhere."""
    torch.manual_seed(seed)
    adapter = Adapter(make_config("universal", universal_width=8, **settings), [Point("output")]).eval()
    torch.nn.init.normal_(cell_of(adapter).head.logits.weight, std=0.3)
    return adapter


def cell_of(adapter: Adapter) -> Universal:
    cell = next(iter(adapter.cells.values()))
    assert isinstance(cell, Universal)
    return cell


def picture(seed: int, channels: int, size: tuple[int, int], knots: int = 5) -> Tensor:
    still = torch.rand(1, channels, knots, knots, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(still, size=size, mode="bicubic")


def noisy(clean: Tensor, frames: int, sigma: float = 0.05, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [clean + sigma * torch.randn(clean.shape, generator=generator) for _ in range(frames)]


@torch.no_grad()
def run(adapter: Adapter, values: list[Tensor], frames: list[Tensor] | None = None) -> list[Tensor]:
    memory: Memory | None = None
    outputs, cell, before = [], cast(Cell, next(iter(adapter.cells.values()))), None
    for t, z in enumerate(values):
        frame = None if frames is None else frames[t]
        output, memory = begin(cell, z) if memory is None else step(cell, z, memory, Context(frame, before))
        outputs.append(output)
        before = frame
    return outputs


def test_it_is_small_and_an_untrained_one_is_motion_fixed() -> None:
    adapter = Adapter(make_config("universal"), [Point("output")])
    assert sum(p.numel() for p in adapter.parameters()) < 30_000
    fixed = Adapter(make_config("motion-fixed"), [Point("output")])
    values = noisy(picture(0, 3, (48, 56)), 5)
    frames = noisy(picture(0, 3, (48, 56)), 5, seed=1)
    outputs, others = run(adapter, values, frames), run(fixed, values, frames)
    assert (outputs[-1] - values[-1]).abs().max() > 0.1
    for output, other in zip(outputs, others, strict=True):
        torch.testing.assert_close(output, other, rtol=0, atol=5e-3)


def test_the_blend_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    values = Candidates(*torch.randn(4, 1, 2, 11, 13, generator=generator))
    weight, share = torch.rand(2, 1, 1, 11, 13, generator=generator)
    logits = 2 * torch.randn(1, 4, 6, 7, generator=generator)
    expected = torch.zeros(1, 2, 11, 13)
    for y in range(11):
        for x in range(13):
            # Bilinear between the middles of squares of two pixels.
            down, right = [(p + 0.5) / 2 - 0.5 for p in (y, x)]
            top, left = max(math.floor(down), 0), max(math.floor(right), 0)
            below, beside = min(top + 1, 5), min(left + 1, 6)
            part, side = max(down, 0) - top, max(right, 0) - left
            grown = logits.exp()
            factors = (1 - part) * ((1 - side) * grown[0, :, top, left] + side * grown[0, :, top, beside])
            factors = factors + part * ((1 - side) * grown[0, :, below, left] + side * grown[0, :, below, beside])
            e, p = weight[0, 0, y, x].item(), share[0, 0, y, x].item()
            likely = torch.tensor([1 - e, e * (1 - p) + 0.003, e * p + 0.003, 0.003]) * factors
            for part_of, value in zip(likely / likely.sum(), values, strict=True):
                expected[0, :, y, x] += part_of * value[0, :, y, x]
    torch.testing.assert_close(blend(values, weight, share, logits), expected)


@settings(max_examples=12, deadline=None)
@given(seeds, st.integers(1, 6), st.sampled_from([(1, 1), (2, 9), (17, 8), (33, 47)]), st.booleans())
def test_a_value_never_leaves_the_range_of_its_history(
    seed: int, channels: int, size: tuple[int, int], with_frames: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = list(torch.randn(4, 2, channels, *size, generator=generator))
    frames = list(torch.rand(4, 2, 3, 20, 30, generator=generator)) if with_frames else None
    # Scores that are seen to be logits are mixed as probabilities: tests/adapters/test_classes.py.
    for t, output in enumerate(run(make(fuse_as="values"), values, frames)):
        history = torch.stack(values[: t + 1])
        low, high = history.amin(dim=(0, 3, 4)), history.amax(dim=(0, 3, 4))
        assert output.isfinite().all()
        assert (output >= low[..., None, None] - 1e-5).all()
        assert (output <= high[..., None, None] + 1e-5).all()


@pytest.mark.parametrize(("scale", "shift"), [(255.0, 0.0), (2.0**-10, 0.0), (4.0, -2.0), (-8.0, 16.0)])
def test_it_is_blind_to_the_range(scale: float, shift: float) -> None:
    """f(a·z + b) = a·f(z) + b. Of the flow, which rounds to eight bits, this is not asked: the frames' is followed."""
    clean = picture(0, 2, (48, 56))
    frames = [picture(t, 3, (48, 56)) for t in range(4)]
    values = noisy(clean, 4)
    plain = run(make(), values, frames)
    other = run(make(), [scale * z + shift for z in values], frames)
    assert (plain[-1] - values[-1]).abs().max() > 0.02
    for a, b in zip(plain, other, strict=True):
        torch.testing.assert_close(b, scale * a + shift, rtol=0, atol=2e-3 * abs(scale))


def test_channels_in_any_order_and_number_are_one() -> None:
    clean, frames = picture(0, 3, (32, 40)), [picture(t, 3, (32, 40)) for t in range(3)]
    frames = [frame[:, :2] for frame in frames]  # of other channels than the value, so that theirs is the flow
    values = noisy(clean, 3)
    plain = run(make(), values, frames)
    turned = run(make(), [z[:, [2, 0, 1]] for z in values], frames)
    doubled = run(make(), [z.repeat(1, 4, 1, 1) for z in values], frames)
    torch.testing.assert_close(turned[-1], plain[-1][:, [2, 0, 1]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(doubled[-1], plain[-1].repeat(1, 4, 1, 1), atol=1e-4, rtol=1e-4)


def test_streams_know_nothing_of_each_other() -> None:
    first, second = noisy(picture(0, 3, (40, 40)), 3), noisy(picture(1, 3, (40, 40)), 3, sigma=0.3)
    together = run(make(), [torch.cat(pair) for pair in zip(first, second, strict=True)])
    for i, alone in enumerate((first, second)):
        torch.testing.assert_close(together[-1][i : i + 1], run(make(), alone)[-1], atol=1e-5, rtol=1e-5)


def test_values_that_are_not_finite_pass_and_are_not_remembered() -> None:
    values = noisy(picture(0, 3, (40, 40)), 5)
    broken = [z.clone() for z in values]
    broken[2][..., 10:20, 10:20] = math.nan
    outputs = run(make(), broken)
    assert outputs[2][..., 10:20, 10:20].isnan().all()
    assert outputs[2].isnan().sum() == 300
    assert outputs[3].isfinite().all()
    assert outputs[4].isfinite().all()


def test_a_flat_picture_and_one_that_stands_still_stay_as_they_are() -> None:
    flat = [torch.full((1, 3, 24, 24), 0.25)] * 4
    still = [picture(0, 3, (48, 48))] * 4
    for values, allowed in ((flat, 1e-6), (still, 0.03)):
        for output in run(make(), values):
            assert (output - values[0]).abs().max() < allowed


def test_what_the_head_sees_is_without_unit() -> None:
    adapter = make()
    cell = cell_of(adapter)
    values, frames = noisy(picture(0, 3, (33, 41)), 3), noisy(picture(1, 3, (66, 82)), 3)
    _, memory = begin(cell, values[0])
    kept: dict[str, Any] = {}
    cell.head.register_forward_pre_hook(lambda _module, inputs: kept.update(seen=inputs[0]))
    with torch.no_grad():
        step(cell, values[1], memory, Context(frames[1], frames[0]))
    first = kept["seen"]
    assert first.shape == (1, SEEN, 17, 21)
    assert first.abs().max() < 8
    scaled = {name: 16 * value for name, value in memory.items()}
    with torch.no_grad():
        step(cell, 16 * values[1], scaled, Context(frames[1], frames[0]))
    torch.testing.assert_close(kept["seen"], first, atol=1e-4, rtol=1e-4)


def test_it_compiles_without_a_break() -> None:
    cell, values = cell_of(make()), noisy(picture(0, 3, (48, 56)), 2)
    _, memory = begin(cell, values[0])
    frames = noisy(picture(1, 3, (48, 56)), 2)
    context = Context(frames[1], frames[0])
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(
            compiled(cell, values[1], memory, context)[0], step(cell, values[1], memory, context)[0]
        )


@pytest.mark.parametrize("channels", [1, 3, 19])
def test_one_adapter_goes_with_models_of_any_output(channels: int) -> None:
    adapter = make()
    weights = torch.rand(channels, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    steady = hs.stabilize(lambda frame: F.conv2d(frame, weights), adapter)
    still = picture(0, 3, (40, 48))
    outputs = [steady(frame) for frame in noisy(still, 4)]
    truth = F.conv2d(still, weights)
    errors = [(output - truth).square().mean().item() for output in outputs]
    assert errors[-1] < 0.8 * errors[0]


def test_gradients_reach_the_head() -> None:
    cell, values = cell_of(make()), noisy(picture(0, 3, (24, 24)), 2)
    output, _ = step(cell, values[1], begin(cell, values[0])[1], Context())
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in cell.head.parameters())
