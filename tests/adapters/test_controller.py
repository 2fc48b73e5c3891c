"""The controller's sizes, which are the published ones, and how its weights start."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.controller import (
    Backbone,
    Head,
    HeadShape,
    MotionHead,
    VectorHead,
    enlarge_rows,
    shrink,
)
from holdsteady.adapters.layout import Layout


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def conv(inputs: int, outputs: int, side: int = 3) -> int:
    return inputs * outputs * side**2 + outputs


def nafnet32() -> list[Point]:
    """The 36 blocks of the published NAFNet of width 32, and the output."""
    counts = [2, 2, 4, 8, 12, 2, 2, 2, 2]
    widths = [32, 64, 128, 256, 512, 256, 128, 64, 32]
    channels = [width for width, count in zip(widths, counts, strict=True) for _ in range(count)] + [3]
    return [Point(f"block{i}", shape=(c, 8, 8), layout=Layout("map")) for i, c in enumerate(channels)]


@pytest.mark.parametrize(("kind", "millions"), [("spatial", 71.6), ("simple-learned", None), ("controlled", None)])
def test_parameters_at_every_block_of_the_published_network(kind: str, millions: float | None) -> None:
    points = nafnet32()
    with torch.device("meta"):
        adapter = Adapter(make_config(kind, None if kind == "simple-learned" else "paper"), points)
    channels = [point.shape[0] for point in points if point.shape]
    if kind == "simple-learned":
        assert size(adapter) == sum(channels)
        return
    window = 9 if kind == "spatial" else 1
    heads = sum(conv(32 + 3 * c, 64) + 2 * conv(64, 64) + conv(64, window * c) for c in channels)
    assert size(adapter) == heads + conv(6, 32) + 6 * conv(32, 32)
    if millions is not None:
        assert size(adapter) == pytest.approx(millions * 1e6, rel=0.01)


def test_the_motion_head_has_5400_parameters_for_pictures() -> None:
    points = [Point("output", shape=(3, 8, 8), layout=Layout("map"))]
    assert 5350 <= size(Adapter(make_config("motion"), points)) < 5450


def test_a_head_that_sees_the_backbone_alone_is_smaller() -> None:
    config = make_config("controlled", "paper", head_input="backbone")
    adapter = Adapter(config, [Point("a", shape=(10, 8, 8), layout=Layout("map"))])
    assert adapter.backbone is not None
    assert size(adapter) - size(adapter.backbone) == conv(32, 64) + 2 * conv(64, 64) + conv(64, 10)


def test_a_vector_gets_linear_layers() -> None:
    config = make_config("spatial", "paper")
    adapter = Adapter(config, [Point("a", shape=(10,), layout=Layout("vector"))])
    assert adapter.backbone is not None
    linear = conv(32 + 30, 256, 1) + 2 * conv(256, 256, 1) + conv(256, 10, 1)
    assert size(adapter) - size(adapter.backbone) == linear


@pytest.mark.parametrize(
    "module",
    [
        Backbone(3, 32, 6),
        Head(HeadShape(32, 12, (-4.0,) * 36, 64, 2)),
        Head(HeadShape(32, 12, (-4.0,) * 9, 24, 1, reduction=8, scale=4)),
        VectorHead(HeadShape(32, 12, (-4.0,) * 4, 256, 2)),
        MotionHead(15, 24, (-4.0,) * 9),
    ],
)
def test_weights_are_xavier_uniform_and_biases_zero_but_the_last(module: nn.Module) -> None:
    layers = {name: m for name, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert layers
    for name, layer in layers.items():
        linear = name in ("logits", "reduce") or (isinstance(layer, nn.Conv2d) and layer.groups > 1)
        gain = 1.0 if linear else math.sqrt(2 / (1 + 0.01**2))
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = gain * math.sqrt(6 / (fan_in + fan_out))
        assert bound * 0.9 < layer.weight.abs().max().item() <= torch.tensor(bound).item()
        assert layer.bias is not None
        assert torch.equal(layer.bias, torch.full_like(layer.bias, -4.0 if name == "logits" else 0.0))


@pytest.mark.parametrize("layers", [0, 2])
def test_the_number_of_layers(layers: int) -> None:
    assert size(Backbone(3, 8, layers)) == conv(6, 8) + layers * conv(8, 8)
    assert size(Head(HeadShape(8, 12, (0.0,) * 5, 7, layers))) == conv(20, 7) + layers * conv(7, 7) + conv(7, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), st.integers(0, 11), st.integers(1, 12))
def test_some_rows_are_enlarged_as_all_of_them(scale: int, height: int, width: int, start: int, count: int) -> None:
    value = torch.randn(1, 2, -(-height // scale), -(-width // scale))
    whole = enlarge_rows(value, scale, slice(0, height), width)
    expected = F.interpolate(value, scale_factor=float(scale), mode="bilinear", align_corners=False)
    torch.testing.assert_close(whole, expected[..., :height, :width])
    rows = slice(min(start, height - 1), min(start + count, height))
    torch.testing.assert_close(enlarge_rows(value, scale, rows, width), whole[:, :, rows])


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("size_", [(16, 24), (9, 11), (1, 3)])
def test_a_head_at_a_lower_resolution_gives_logits_of_the_points_size(scale: int, size_: tuple[int, int]) -> None:
    head = Head(HeadShape(4, 6, (0.0,) * 5, 7, 1, scale=scale))
    features, values = torch.randn(2, 4, 5, 6), [torch.randn(2, 6, *size_)]
    logits = head(head.seen(features, values, size_), size_)
    assert logits.shape == (2, 5, *size_)
    # Values that are flat are the same at every resolution, and so are their logits away from the border.
    large, small = (
        head(head.seen(torch.ones(2, 4, 5, 6), [torch.ones(2, 6, side, side)], (side, side)), (side, side))
        for side in (64, 32)
    )
    torch.testing.assert_close(large[..., 32, 32], small[..., 16, 16])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 2, 4]), st.integers(1, 23), st.integers(1, 23))
def test_features_and_values_lie_upon_each_other(scale: int, height: int, width: int) -> None:
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))[None].float()
    features, values = Head(HeadShape(2, 2, (0.0,), 3, 0, scale=scale)).seen(place, [place], (height, width))
    inside = (slice(None), slice(None), slice(0, height // scale), slice(0, width // scale))
    torch.testing.assert_close(features[inside], values[inside], atol=1e-4, rtol=1e-4)
    assert features.shape == values.shape


def test_shrinking_takes_means_of_what_there_is() -> None:
    value = torch.randn(1, 2, 5, 4)
    small = shrink(value, 2)
    assert small.shape == (1, 2, 3, 2)
    torch.testing.assert_close(small[..., 0, 0], value[..., :2, :2].mean(dim=(-2, -1)))
    torch.testing.assert_close(small[..., 2, 1], value[..., 4:, 2:].mean(dim=(-2, -1)))
