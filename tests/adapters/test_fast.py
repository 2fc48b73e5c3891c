"""The tuned formulas against those of ``method.py``: values, gradients, every layout, odd sizes, low precision."""

from collections.abc import Callable

import formulas
import pytest
import torch
from torch import Tensor

from holdsteady.adapters import controller, fast, means, method
from holdsteady.adapters.choose import plain_formulas
from holdsteady.adapters.controller import Head, HeadShape, MotionHead
from holdsteady.adapters.fast import window
from holdsteady.adapters.fast.bands import in_bands

ORDERS = [torch.contiguous_format, torch.channels_last]


def maps(seed: int, number: int, shape: tuple[int, ...], scale: float = 1.0) -> list[Tensor]:
    return list(scale * torch.randn(number, *shape, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture(params=["whole", "strips"])
def height_of_strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps as small as those of the tests are computed whole; or else one or two rows at a time."""
    if request.param == "strips":
        monkeypatch.setattr("holdsteady.adapters.fast.window._STRIP", 1)
        monkeypatch.setattr("holdsteady.adapters.fast.window._PLACES", 8)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_layers_logits_need_not_exist_as_a_whole(
    rows: int, side: int, order: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdsteady.adapters.fast.window._STRIP", 1)
    monkeypatch.setattr("holdsteady.adapters.fast.window._PLACES", 6 * rows)
    present, memory = (value.contiguous(memory_format=order) for value in maps(0, 2, (2, 4, 7, 6)))
    hidden = maps(1, 1, (2, 5, 7, 6))[0].contiguous(memory_format=order)
    layer = torch.nn.Conv2d(5, 4 * 9, side, padding=side // 2)
    with torch.no_grad():
        whole = formulas.spatial(present, memory, layer(hidden), 3)
        most = 0

        def look(_layer: object, _inputs: object, output: Tensor) -> None:
            nonlocal most
            most = max(most, output.shape[2])

        layer.register_forward_hook(look)
        parts = window.spatial_by_layer(layer, present, memory, hidden, 3)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-6)
    assert most == (7 if rows == 7 else 0)
    layer.requires_grad_()
    trained = window.spatial_by_layer(layer, present, memory, hidden, 3)
    torch.testing.assert_close(trained, whole, atol=1e-6, rtol=1e-6)
    assert trained.requires_grad


@pytest.mark.parametrize("height", [2, 9, 30])
@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize(
    ("cached", "largest", "least", "rows"),
    [
        (1, 1, 0, lambda _: 1),  # never less than a row
        (20, 1, 0, lambda _: 2),  # what is in the cache, whatever the border
        (1, 1000, 0, lambda reach: 6 * reach),  # a multiple of what the border takes
        (1, 40, 0, lambda _: 4),  # if that is not too large
        (1, 40, 3, lambda reach: max(4, 3 * reach)),  # but a smaller multiple at the least
    ],
)
def test_bands_are_the_whole(
    height: int,
    reach: int,
    cached: int,
    largest: int,
    least: int,
    rows: Callable[[int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Maps of 2 channels and 5 columns: ten values a row."""
    for name, value in {"_CACHED": cached, "_LARGEST": largest, "_HEIGHT": 6, "_LEAST": least}.items():
        monkeypatch.setattr(f"holdsteady.adapters.fast.bands.{name}", value)
    (map_,) = maps(0, 1, (1, 2, height, 5))
    seen = []

    def blurred(rows: slice) -> Tensor:
        seen.append(map_[:, :, rows].shape[2])
        side = 2 * reach + 1
        return torch.nn.functional.avg_pool2d(map_[:, :, rows], side, 1, reach, count_include_pad=True)

    with torch.no_grad():
        parts = in_bands(blurred, map_, 2, reach)
        torch.testing.assert_close(parts, blurred(slice(0, height)), atol=1e-6, rtol=1e-6)
        seen.pop()
        assert (len(seen) == 1) == (height <= rows(reach))
        assert max(seen) <= rows(reach) + 2 * reach


@pytest.mark.usefixtures("height_of_strips")
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_backward_pass_written_out(groups: int, kernel: int, order: torch.memory_format) -> None:
    def leaf(value: Tensor) -> Tensor:
        return value.double().contiguous(memory_format=order).requires_grad_()

    present, memory = (leaf(value) for value in maps(0, 2, (1, 4, 3, 4)))
    logits = leaf(maps(1, 1, (1, kernel**2 * groups, 3, 4))[0])
    assert torch.autograd.gradcheck(lambda *values: window.spatial(*values, kernel), (present, memory, logits))


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2), (torch.float16, 3e-3)])
@pytest.mark.parametrize("logit", [0.0, 15.0, 100.0, 1e4])
def test_gradients_are_as_fine_where_logits_are_large(dtype: torch.dtype, near: float, logit: float) -> None:
    present, memory = (value.to(dtype) for value in maps(0, 2, (1, 2, 5, 6)))
    logits = (maps(1, 1, (1, 18, 5, 6))[0] + logit).to(dtype)

    def gradients(way: Callable[..., Tensor], kind: torch.dtype) -> list[Tensor]:
        leaves = [value.to(kind).requires_grad_() for value in (present, memory, logits)]
        return list(torch.autograd.grad(way(*leaves, 3).square().sum(), leaves))

    expected = gradients(formulas.spatial, torch.float64)
    for own, other in zip(gradients(window.spatial, dtype), expected, strict=True):
        assert (own - other).abs().max() <= near * max(1.0, float(other.abs().max()))


def test_large_values_stay_what_they_are() -> None:
    value = torch.full((1, 4, 8, 8), 1e33)
    fused = window.spatial(value, value, torch.full((1, 36, 8, 8), 39.0), 3)
    torch.testing.assert_close(fused[..., 1:-1, 1:-1], value[..., 1:-1, 1:-1], rtol=1e-5, atol=0)


def gradients(way: Callable[..., Tensor], values: list[Tensor]) -> tuple[Tensor, ...]:
    """A result, and its gradients for values that are wanted in the dtype and the order that they have."""
    leaves = [value.detach().clone().requires_grad_() for value in values]
    result = way(*leaves)
    weight = torch.linspace(0.5, 1.5, result.numel(), dtype=torch.float64).view_as(result)
    return result.detach(), *torch.autograd.grad((result.double() * weight).sum(), leaves)


@pytest.mark.usefixtures("height_of_strips")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 6e-2), (torch.float16, 6e-3)]
)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("kernel", "size"), [(1, (5, 6)), (3, (7, 5)), (5, (2, 9)), (3, (1, 1))])
def test_spatial_fusion_is_that_of_the_method(
    kernel: int, size: tuple[int, int], shared: bool, dtype: torch.dtype, near: float, order: torch.memory_format
) -> None:
    present, memory = (v.to(dtype).contiguous(memory_format=order) for v in maps(0, 2, (2, 12, *size)))
    channels = (1 if shared else 12) * kernel**2
    logits = maps(1, 1, (2, channels, *size), scale=3)[0].to(dtype).contiguous(memory_format=order)
    before = [value.clone() for value in (present, memory, logits)]
    for one, other in zip(
        gradients(lambda *values: window.spatial(*values, kernel), [present, memory, logits]),
        gradients(lambda *values: method.spatial(*values, kernel), [v.double() for v in (present, memory, logits)]),
        strict=True,
    ):
        torch.testing.assert_close(one.double(), other.double(), rtol=near, atol=near)
    with torch.no_grad():
        alone = window.spatial(present, memory, logits, kernel)
    torch.testing.assert_close(
        alone.double(), method.spatial(*(v.double() for v in before), kernel), rtol=near, atol=near
    )
    assert all(torch.equal(old, new) for old, new in zip(before, (present, memory, logits), strict=True))


HEADS = {
    "full": lambda: Head(HeadShape(4, 8, (0.1,) * 9, 5, 1)),
    "reduced": lambda: Head(HeadShape(4, 8, (0.1,) * 9 * 2, 5, 1, reduction=3)),
    "at a quarter": lambda: Head(HeadShape(4, 8, (0.1,) * 9, 5, 0, scale=4)),
    "motion": lambda: MotionHead(12, 5, (0.1,) * 9),
}


@pytest.mark.parametrize("bands", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("size", [(40, 7), (13, 10), (3, 2)])
def test_fusion_by_a_head_is_that_of_the_method(
    name: str, size: tuple[int, int], order: torch.memory_format, bands: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bands:
        for limit, value in {"_CACHED": 500, "_LARGEST": 0, "_LEAST": 0}.items():
            monkeypatch.setattr(f"holdsteady.adapters.fast.bands.{limit}", value)
        monkeypatch.setattr("holdsteady.adapters.fast.window._STRIP", 1)
        monkeypatch.setattr("holdsteady.adapters.fast.window._PLACES", 8)
    torch.manual_seed(0)
    head = HEADS[name]().to(memory_format=order).requires_grad_(False)
    present, memory = (v.contiguous(memory_format=order) for v in maps(0, 2, (1, 2, *size)))
    features, (own,) = maps(2, 1, (1, 4, *size))[0], maps(1, 1, (1, 8, *size))
    values = [features, own] if name == "motion" else head.seen(features, [own], size)

    def way(present: Tensor, memory: Tensor, *values: Tensor) -> Tensor:
        return method.spatial_by(head, list(values), present, memory, 3)

    with plain_formulas():
        plain = gradients(way, [present, memory, *values])
        other = way(present, memory, *values).detach()
    for one, expected in zip(gradients(way, [present, memory, *values]), plain, strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        one = way(present, memory, *values)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


#: Formulas of one map, by name.
TUNED: dict[str, Callable[[Tensor], Tensor]] = {
    "box mean": means.box_mean,
    "box mean of 3": lambda value: means.box_mean(value, 3),
    "shrunk to halves": lambda value: means.shrink(value, 2),
    "shrunk to eighths": lambda value: means.shrink(value, 8),
    "not shrunk": lambda value: means.shrink(value, 1),
    "enlarged": lambda value: means.enlarge(value, (23, 40)),
    "made smaller": lambda value: means.enlarge(value, (1, 3)),
    "of its size": lambda value: means.enlarge(value, (value.shape[2], value.shape[3])),
    "enlarged rows": lambda value: means.enlarge_rows(value, 4, slice(1, 4 * value.shape[2]), 4 * value.shape[3] - 3),
    "means over cells": means.cell_mean,
    "mean over channels": means.channel_mean,
    "energy": means.energy,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)]
)
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 2, 9), (7, 16, 24), (3, 21, 19)])
@pytest.mark.parametrize("name", TUNED)
def test_formulas_of_a_map_are_the_plain_ones(
    name: str, size: tuple[int, ...], dtype: torch.dtype, near: float, order: torch.memory_format
) -> None:
    (value,) = maps(0, 1, (2, *size))
    value = value.to(dtype).contiguous(memory_format=order)
    before = value.clone()
    with plain_formulas():
        plain = gradients(TUNED[name], [value.double()])
    for one, other in zip(gradients(TUNED[name], [value]), plain, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=near, atol=near)
    with torch.inference_mode():
        alone = TUNED[name](value)
    assert alone.dtype == dtype
    torch.testing.assert_close(alone.double(), plain[0], rtol=near, atol=near)
    assert torch.equal(value, before)


def test_every_tuned_form_has_a_formula() -> None:
    for name in {*fast.DIFFERENTIABLE, *fast.PLAIN}:
        formula = getattr(means, name, None) or getattr(method, name, None) or getattr(controller, name)
        assert formula.__wrapped__.__name__ == name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_pointwise_layer_is_the_plain_one(batch: int, order: torch.memory_format) -> None:
    (value,) = maps(0, 1, (batch, 5, 7, 6))
    value = value.contiguous(memory_format=order)
    layer = torch.nn.Conv2d(5, 4, 1)

    def trained() -> tuple[Tensor, ...]:
        result = controller.pointwise(value, layer)
        assert result.is_contiguous(memory_format=torch.channels_last)
        return result.detach(), *torch.autograd.grad(result.square().sum(), list(layer.parameters()))

    with plain_formulas():
        plain = trained()
    for one, other in zip(trained(), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "bands"), [((16, 12), 1), ((700, 210), 3)])
def test_a_head_in_bands_is_the_whole_head(size: tuple[int, int], bands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, for what a place depends on is in its band."""
    head = controller.RelativeHead(23, 32, (0.0,) * 4)
    torch.nn.init.normal_(head.logits.weight)
    (seen,) = maps(0, 1, (1, 23, *size))
    layers, calls = head.all_layers, []

    def counted(rows: Tensor) -> Tensor:
        calls.append(rows.shape[2])
        return layers(rows)

    monkeypatch.setattr(head, "all_layers", counted)
    with torch.inference_mode():
        assert torch.equal(head(seen), layers(seen))
    assert len(calls) == bands
