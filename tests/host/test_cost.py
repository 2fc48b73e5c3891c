"""What an adapter costs: the published figures, closed forms, and each convolution counted by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LIGHT, NETWORKS, attach, cnn
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import AdapterError
from holdsteady.host.stabilized import StabilizedModel
from holdsteady.models.nafnet import NAFNet

PAIRS = [
    (name, kind) for name in LIGHT for kind in NETWORKS[name].kinds if kind in ("spatial", "motion", "composition")
]


def conv(inputs: int, outputs: int) -> int:
    """MACs for each pixel of a 3×3 convolution."""
    return 9 * inputs * outputs


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
def test_the_published_figures() -> None:
    """METHOD section 5; the counts of the base are 0.4% higher at 64×64, where means over the frame weigh more."""
    base, frame = NAFNet(32, (2, 2, 4, 8), 12, (2, 2, 2, 2)), torch.rand(1, 3, 64, 64)
    spatial = hs.stabilize(base, "spatial", example=frame, preset="paper").cost(frame)
    assert len(spatial.points) == 37, "36 blocks and the output"
    assert spatial.total.macs_per_pixel == pytest.approx(2.79e6, rel=0.002)
    assert spatial.total.parameters == pytest.approx(71.6e6, rel=0.002)
    assert spatial.base_macs_per_pixel == pytest.approx(0.245e6, rel=0.004)
    assert spatial.base_parameters == pytest.approx(29.2e6, rel=0.002)
    assert spatial.ratio == pytest.approx(11.4, rel=0.006)
    channels = [32] * 2 + [64] * 2 + [128] * 4 + [256] * 8 + [512] * 12 + [256] * 2 + [128] * 2 + [64] * 2 + [32] * 2
    # A block of c channels sees maps of 64 · 32 / c pixels a side; two of them are remembered, as 32-bit numbers.
    maps = [c * (64 * 32 // c) ** 2 for c in channels] + [3 * 64**2]
    assert [point.state_bytes for point in spatial.points] == [2 * 4 * values for values in maps]

    controlled = hs.stabilize(base, "controlled", example=frame, preset="paper").cost(frame)
    assert controlled.total.macs_per_pixel == pytest.approx(1.37e6, rel=0.002)
    assert controlled.ratio == pytest.approx(5.6, rel=0.006)


def test_simple_fixed_is_memory_alone() -> None:
    model, frame = cnn(), torch.rand(2, 3, 7, 9)
    cost = hs.stabilize(model, "simple-fixed", example=frame, points=["0", "output"]).cost(frame)
    assert [(point.name, point.state_bytes) for point in cost.points] == [("0", 4 * 6 * 63), ("output", 4 * 3 * 63)]
    assert (cost.total.parameters, cost.total.macs_per_pixel, cost.total.state_bytes) == (0, 0, 4 * 9 * 63)
    assert (cost.shared.parameters, cost.shared.macs_per_pixel, cost.shared.state_bytes) == (0, 0, 0)
    assert cost.base_macs_per_pixel == 2 * conv(3, 6)
    assert cost.base_parameters == size(model)
    assert cost.ratio == 0
    in_half = hs.stabilize(model, "simple-fixed", example=frame, points="output").to(dtype=torch.float16)
    assert in_half.cost(frame.half()).total.state_bytes == 2 * 3 * 63


def test_no_row_of_a_large_frame_is_counted_twice() -> None:
    frame = torch.rand(1, 3, 320, 320)  # on which heads work on bands, when they are not counted
    cost = hs.stabilize(nn.Conv2d(3, 3, 1), "spatial", example=frame, preset="paper", points="output").cost(frame)
    assert cost.points[0].macs_per_pixel == conv(32 + 3 * 3, 64) + 2 * conv(64, 64) + conv(64, 27)


def test_a_controlled_point_at_half_the_size() -> None:
    model, frame = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1)), torch.rand(1, 3, 12, 20)
    cost = hs.stabilize(model, "controlled", example=frame, preset="paper", points="0").cost(frame)
    head = conv(32 + 3 * 8, 64) + 2 * conv(64, 64) + conv(64, 8)
    assert cost.points[0].macs_per_pixel == head / 4
    assert cost.shared.macs_per_pixel == conv(6, 32) + 6 * conv(32, 32)
    assert cost.points[0].state_bytes == 2 * 4 * 8 * 6 * 10
    assert cost.shared.state_bytes == 4 * 3 * 12 * 20
    assert cost.ratio == pytest.approx(cost.total.macs_per_pixel / (conv(3, 8) / 4))


def count_by_hand(steady: StabilizedModel, frame: Tensor) -> dict[nn.Module, int]:
    """MACs of each convolution of the adapters in one step: the weights of one output value for each output value."""
    counted: dict[nn.Module, int] = {}

    def look(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        counted[layer] = counted.get(layer, 0) + output.numel() * layer.weight[0].numel()

    _, state = steady.step(frame)
    hooks = [m.register_forward_hook(look) for m in steady.adapters.modules() if isinstance(m, nn.Conv2d)]
    steady.step(frame, state)
    for hook in hooks:
        hook.remove()
    return counted


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(["controlled", "spatial"]),
    widths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    layers=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    shape=st.tuples(st.integers(1, 3), st.just(3), st.integers(3, 11), st.integers(3, 11)),
    head_input=st.sampled_from(["features", "backbone"]),
)
def test_each_convolution_is_counted_where_it_belongs(
    kind: str, widths: tuple[int, int], layers: tuple[int, int], shape: tuple[int, ...], head_input: str
) -> None:
    frame = torch.rand(shape)
    model = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.Conv2d(5, 2, 1))
    steady = hs.stabilize(
        model,
        kind,
        example=frame,
        points=["0", "1"],
        backbone_width=widths[0],
        head_width=widths[1],
        backbone_layers=layers[0],
        head_layers=layers[1],
        head_input=head_input,
    )
    cost, counted = steady.cost(frame), count_by_hand(steady, frame)
    pixels = shape[0] * shape[2] * shape[3]
    adapter = steady.adapter(0)
    for point, cell in zip(cost.points, adapter.cells.values(), strict=True):
        assert point.macs_per_pixel == pytest.approx(sum(counted.get(m, 0) for m in cell.modules()) / pixels)
        assert point.parameters == size(cell)
    assert adapter.backbone is not None
    assert cost.shared.macs_per_pixel == pytest.approx(
        sum(counted.get(m, 0) for m in adapter.backbone.modules()) / pixels
    )
    assert cost.total.macs_per_pixel == pytest.approx(sum(counted.values()) / pixels)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_two_streams_cost_each_as_much_as_one(name: str, kind: str) -> None:
    network = NETWORKS[name]
    one, two = network.clip(1)[0], network.clip(1, batch=2)[0]
    steady = attach(network.base, kind, one)
    cost = steady.cost(one)
    assert steady.cost(two) == cost
    state = steady.step(two)[1]
    assert state.nbytes - state.non_finite.nbytes == 2 * cost.total.state_bytes
    parts = (*cost.points, cost.shared)
    assert cost.total.parameters == sum(part.parameters for part in parts) == size(steady)
    assert cost.total.macs_per_pixel == sum(part.macs_per_pixel for part in parts) > 0
    assert cost.total.state_bytes == sum(part.state_bytes for part in parts)
    assert all(part.macs_per_pixel >= 0 for part in parts)


def test_a_composition_costs_the_sum_and_one_frame() -> None:
    model, frame = cnn(), torch.rand(1, 3, 8, 10)
    first = hs.stabilize(model, "controlled", example=frame, preset="paper", head_input="backbone", backbone_layers=1)
    second = hs.stabilize(model, "motion", example=frame)
    alone = [first.cost(frame), second.cost(frame)]
    both = StabilizedModel(model, [first.adapter(0), second.adapter(0)]).cost(frame)
    assert [point.name for point in both.points] == ["0:0", "0:output", "1:output"]
    figures = [(p.parameters, p.macs_per_pixel, p.state_bytes) for p in both.points]
    assert figures == [(p.parameters, p.macs_per_pixel, p.state_bytes) for cost in alone for p in cost.points]
    assert both.shared == alone[0].shared, "motion shares nothing but the frame, which is kept once"
    assert both.total.parameters == sum(cost.total.parameters for cost in alone)
    assert both.ratio == pytest.approx(sum(cost.ratio or 0 for cost in alone))


def test_parameters_that_points_share_are_counted_once() -> None:
    model, frame = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)), torch.rand(1, 3, 8, 10)
    steady = hs.stabilize(model, "controlled", example=frame, preset="paper", points=["0", "1"])
    apart, adapter = steady.cost(frame), steady.adapter(0)
    first, second = adapter.cells.values()
    second.head = first.head
    tied = steady.cost(frame)
    assert [point.parameters for point in tied.points] == [0, 0]
    assert tied.shared.parameters == apart.shared.parameters + apart.points[0].parameters
    assert tied.total.parameters == size(adapter)
    assert tied.total.macs_per_pixel == apart.total.macs_per_pixel, "the head works at both points all the same"

    twice = StabilizedModel(model, [adapter, adapter]).cost(frame)
    assert twice.total.parameters == size(adapter)
    assert twice.total.macs_per_pixel == 2 * tied.total.macs_per_pixel
    assert [point.macs_per_pixel for point in twice.points] == 2 * [point.macs_per_pixel for point in tied.points]


@pytest.mark.parametrize("model", [lambda frame: 1 - frame, nn.Identity()])
def test_a_base_without_counted_work_has_no_ratio(model: Callable[[Any], Any]) -> None:
    frame = torch.rand(1, 3, 16, 16)
    cost = hs.stabilize(model, "motion", example=frame).cost(frame)
    assert cost.ratio is None
    assert cost.total.macs_per_pixel > 5000
    assert str(cost).splitlines()[-1].split() == ["base", "–", "–", "–", "–"]
    assert {line.split()[-1] for line in str(cost).splitlines()[1:]} == {"–"}


def test_a_function_of_arrays() -> None:
    steady = hs.stabilize(lambda frame: frame / 2, "output-fixed")
    assert steady.cost(np.ones((2, 3, 4, 5), np.float32)).total.state_bytes == 4 * 3 * 4 * 5


def test_without_adapters_only_the_base_is_left() -> None:
    model, frame = cnn(), torch.rand(1, 3, 8, 10)
    steady = hs.stabilize(model, "controlled", example=frame, preset="paper")
    steady.remove()
    cost = steady.cost(frame)
    assert cost.points == ()
    assert (cost.total.parameters, cost.total.macs_per_pixel, cost.total.state_bytes) == (0, 0, 0)
    assert cost.base_macs_per_pixel == 2 * conv(3, 6)


def test_the_table_as_printed() -> None:
    model, frame = cnn(), torch.rand(1, 3, 8, 10)
    cost = hs.stabilize(model, "controlled", example=frame, preset="paper").cost(frame)
    lines = str(cost).splitlines()
    head, backbone = conv(32 + 18, 64) + 2 * conv(64, 64) + conv(64, 6), conv(6, 32) + 6 * conv(32, 32)
    assert [line.split()[0] for line in lines[1:]] == ["0", "output", "shared", "total", "base"]
    assert lines[1].split() == ["0", f"{head + 3 * 64 + 6:,}", f"{head:,}", f"{2 * 4 * 6 * 80:,}", f"{head / 324:.3f}"]
    assert lines[3].split()[2] == f"{backbone:,}"
    assert lines[5].split() == ["base", f"{324 + 9:,}", "324", "–", "1.000"]
    assert len({len(line) for line in lines}) == 1, "figures end in one column"


def test_counting_leaves_no_trace() -> None:
    network = NETWORKS["u-net"]
    model, (first, second) = network.fresh(), network.clip(2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steady, other = attach(model, "spatial", first), attach(model, "spatial", first)
    model.train()  # its norms would move with every frame that it sees
    steady(first)
    other(first)
    state = steady.state
    steady.cost(second)
    assert steady.state is state
    assert torch.equal(steady(second), other(second))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in steady.adapters.modules())
    assert model.training


def test_hooks_are_taken_off_after_an_error_too() -> None:
    steady = hs.stabilize(lambda frame: frame, "motion", example=torch.rand(1, 3, 16, 16))
    with pytest.raises(AdapterError, match="looks at floating-point frames"):
        steady.cost(torch.rand(1, 4, 16, 16))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in steady.adapters.modules())


def test_what_else_the_base_takes_is_passed_on() -> None:
    class Wide(nn.Conv2d):
        def forward(self, frame: Tensor, times: int, *, more: int) -> Tensor:
            for _ in range(times + more):
                frame = super().forward(frame)
            return frame

    steady = hs.stabilize(Wide(3, 3, 3, padding=1), "output-fixed")
    assert steady.cost(torch.rand(1, 3, 8, 8), 2, more=1).base_macs_per_pixel == 3 * conv(3, 3)
