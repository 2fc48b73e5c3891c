"""Warp error on scenes whose motion and occlusions are made by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from holdsteady.errors import MetricError
from holdsteady.flow.warp import warp
from holdsteady.metrics import visible, warp_error


def texture(seed: int, height: int = 24, width: int = 32) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def uniform_flow(x: float, y: float, height: int = 24, width: int = 32) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


@settings(max_examples=15, deadline=None)
@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_translated_clip_is_perfectly_steady(dx: int, dy: int) -> None:
    world = texture(0, 44, 52)
    previous, present = world[:, :, 10:34, 10:42], world[:, :, 10 + dy : 34 + dy, 10 + dx : 42 + dx]
    flow, back = uniform_flow(dx, dy), uniform_flow(-dx, -dy)  # present[p] = previous[p + (dx, dy)]
    torch.testing.assert_close(warp_error(present, previous, flow, back), torch.zeros(1), atol=1e-6, rtol=0)
    if (dx, dy) != (0, 0):
        still = uniform_flow(0, 0)
        assert warp_error(present, previous, still, still).item() > 0.1


def test_places_outside_of_the_previous_frame_are_left_out() -> None:
    seen = visible(uniform_flow(3, -2), uniform_flow(-3, 2))
    expected = torch.zeros(1, 1, 24, 32, dtype=torch.bool)
    expected[..., 2:, :-3] = True
    assert torch.equal(seen, expected)


def square_over_still_ground(shift: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A textured square moves right by ``shift`` over a still ground.

    Returns present, previous, flow, flow back, and where the ground was just uncovered (H, W).
    """
    ground, square = texture(1), texture(2, 8, 8)
    frames, flows = [], []
    for left, motion in ((10, shift), (10 + shift, -shift)):
        frame, flow = ground.clone(), uniform_flow(0, 0)
        frame[..., 8:16, left : left + 8] = square
        flow[:, 0, 8:16, left : left + 8] = motion
        frames.append(frame)
        flows.append(flow)
    (previous, present), (back, flow) = frames, flows
    uncovered = torch.zeros(24, 32, dtype=torch.bool)
    uncovered[8:16, 10 : 10 + shift] = True
    return present, previous, flow, back, uncovered


def test_uncovered_ground_and_motion_edges_are_left_out() -> None:
    present, previous, flow, back, uncovered = square_over_still_ground(4)
    seen = visible(flow, back)[0, 0]
    assert not seen[uncovered].any()
    assert not seen[8:16, 13:15].any()  # the square's left edge, on both sides
    assert seen[10:14, 16:20].all()  # the inside of the square
    assert seen[:6].all() and seen[18:].all()  # ground far from it
    assert warp_error(present, previous, flow, back).item() < 1e-6

    # What is shown in the uncovered place can't be judged; elsewhere it is.
    other = present.clone()
    other[..., uncovered] = 5.0
    assert warp_error(other, previous, flow, back).item() < 1e-6
    other = present.clone()
    other[..., 11, 17] += 1.0
    assert warp_error(other, previous, flow, back).item() == pytest.approx(1 / seen.sum().item(), rel=1e-2)


def test_visible_follows_its_two_formulas() -> None:
    generator = torch.Generator().manual_seed(3)
    # Whole displacements, so that the warp of the way back is a look-up; small, so that all cases occur.
    flow = torch.randint(-1, 2, (2, 2, 9, 9), generator=generator).float()
    flow[0] = flow[0, :, :1, :1]  # one stream without motion edges
    back = -flow + torch.randint(-1, 2, (2, 2, 9, 9), generator=generator) * (
        torch.rand(2, 1, 9, 9, generator=generator) < 0.5
    )
    seen = visible(flow, back)
    for b in range(2):
        u, v = flow[b]
        for y in range(9):
            for x in range(9):
                there = (y + int(v[y, x]), x + int(u[y, x]))
                expected = 0 <= there[0] < 9 and 0 <= there[1] < 9
                if expected:
                    f, g = (u[y, x].item(), v[y, x].item()), back[b, :, there[0], there[1]].tolist()
                    cycle = (f[0] + g[0]) ** 2 + (f[1] + g[1]) ** 2
                    expected = cycle <= 0.01 * (f[0] ** 2 + f[1] ** 2 + g[0] ** 2 + g[1] ** 2) + 0.5
                    edge = 0.0
                    for c in (u, v):
                        up, down, left, right = max(y - 1, 0), min(y + 1, 8), max(x - 1, 0), min(x + 1, 8)
                        edge += ((c[down, x] - c[up, x]).item() / (down - up)) ** 2
                        edge += ((c[y, right] - c[y, left]).item() / (right - left)) ** 2
                    expected = expected and edge <= 0.01 * (f[0] ** 2 + f[1] ** 2) + 0.002
                assert seen[b, 0, y, x].item() == expected, (b, y, x)
    assert 0 < seen[0].sum() < seen[0].numel()  # the table holds both answers


def test_streams_do_not_leak_into_each_other() -> None:
    scenes = [square_over_still_ground(shift)[:4] for shift in (2, 4)]
    noisy = [(present + 0.1 * texture(9), previous, flow, back) for present, previous, flow, back in scenes]
    together = warp_error(*(torch.cat(parts) for parts in zip(*noisy, strict=True)))
    torch.testing.assert_close(together, torch.cat([warp_error(*scene) for scene in noisy]))
    assert together.min() > 1e-4


def test_holes_and_what_is_interpolated_from_them_are_left_out() -> None:
    previous, flow, back = texture(4), uniform_flow(0.5, 0.3), uniform_flow(-0.5, -0.3)
    present = warp(previous, flow)
    holed = previous.clone()
    holed[0, :, 12, 16] = torch.nan
    # Neither the hole nor the tails of the interpolation around it may show; what remains is that
    # ``warp`` holds overshoot within the range of the known values.
    assert warp_error(present, holed, flow, back).item() < 1e-8
    other = texture(5)
    whole = warp_error(other, previous, flow, back).item()
    assert warp_error(other, holed, flow, back).item() == pytest.approx(whole, rel=0.1)

    present[0, 1, 3, 3] = torch.nan
    assert warp_error(present, previous, flow, back).item() < 1e-10
    assert warp_error(present, torch.full_like(previous, torch.nan), flow, back).isnan().all()


def test_nothing_visible_gives_nan() -> None:
    far = uniform_flow(100, 0)
    assert math.isnan(warp_error(texture(0), texture(1), far, -far).item())


def test_shapes_that_do_not_fit_are_named() -> None:
    flow = uniform_flow(0, 0)
    with pytest.raises(MetricError, match=r"\(1, 3, 24, 30\) and \(1, 2, 24, 32\)"):
        warp_error(texture(0, 24, 30), texture(1, 24, 30), flow, flow)
    with pytest.raises(MetricError, match=r"expected a flow \(B, 2, H, W\)"):
        visible(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
