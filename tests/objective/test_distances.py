"""Each distance against a loop written from its formula, its gradient against finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from holdsteady.errors import LayoutError
from holdsteady.objective.distances import DISTANCES, as_target, cross_entropy, l1, l2, rmse

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))

FORMULAS = {
    "rmse": lambda d: math.sqrt(sum(x * x for x in d) / len(d) + 1e-6),
    "l1": lambda d: sum(map(abs, d)) / len(d),
    "l2": lambda d: math.sqrt(sum(x * x for x in d)),
    "charbonnier": lambda d: sum(math.sqrt(x * x + 1e-6) for x in d) / len(d),
}


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_holes(frame: Tensor, seed: int) -> Tensor:
    holes = torch.rand(frame.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    return frame.masked_fill(holes, torch.nan)


def soft_labels(seed: int, *shape: int) -> Tensor:
    return torch.softmax(random(seed, *shape), dim=1)


def test_every_distance_of_a_recipe_is_tested_here() -> None:
    assert set(DISTANCES) == {*FORMULAS, "cross-entropy"}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, shape=shapes)
def test_values_are_those_of_the_formula_over_known_elements(name: str, seed: int, shape: tuple[int, ...]) -> None:
    pred, target = random(seed, *shape), with_holes(random(seed + 1, *shape), seed)
    value = DISTANCES[name](pred, target)
    assert value.shape == shape[:1]
    for b in range(shape[0]):
        pairs = zip(pred[b].flatten().tolist(), target[b].flatten().tolist(), strict=True)
        differences = [p - q for p, q in pairs if not math.isnan(q)]
        assert value[b].item() == pytest.approx(FORMULAS[name](differences) if differences else 0, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, shapes)
def test_cross_entropy_is_that_of_the_formula(seed: int, shape: tuple[int, ...]) -> None:
    batch, classes, height, width = shape
    logits, labels = random(seed, *shape), soft_labels(seed + 1, *shape)
    numbers = torch.randint(classes, (batch, height, width), generator=torch.Generator().manual_seed(seed))
    labels[0, -1, 0, 0] = torch.nan
    numbers[0, 0, 0] = 255
    for target in (labels, numbers):
        value = cross_entropy(logits, target)
        for b in range(batch):
            costs = []
            for y in range(height):
                for x in range(width):
                    if b or y or x:
                        scores = logits[b, :, y, x].tolist()
                        total = math.log(sum(map(math.exp, scores)))
                        if target is labels:
                            q = labels[b, :, y, x].tolist()
                            costs.append(-sum(w * (score - total) for w, score in zip(q, scores, strict=True)))
                        else:
                            costs.append(total - scores[int(numbers[b, y, x])])
            assert value[b].item() == pytest.approx(sum(costs) / max(len(costs), 1), rel=1e-9, abs=1e-12)


def test_class_numbers_of_every_integer_type_and_classes_without_pixels() -> None:
    logits = random(0, 4, 5, dtype=torch.float32)
    numbers = torch.tensor([0, 4, 255, 2])
    expected = torch.nn.functional.cross_entropy(logits, numbers, ignore_index=255, reduction="none")
    for dtype in (torch.uint8, torch.int32, torch.int64):
        torch.testing.assert_close(cross_entropy(logits, numbers.to(dtype)), expected)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("holes", [False, True])
def test_gradients_agree_with_finite_differences(name: str, holes: bool) -> None:
    pred = random(1, 2, 3, 4, 2).requires_grad_()
    target = soft_labels(2, 2, 3, 4, 2) if name == "cross-entropy" else random(2, 2, 3, 4, 2)
    mask = torch.rand(2, 1, 4, 2, generator=torch.Generator().manual_seed(3)) < (0.4 if holes else 0)
    assert mask.any() == holes

    def masked(p: Tensor, q: Tensor) -> Tensor:
        return DISTANCES[name](p, torch.where(mask, torch.nan, q))

    assert torch.autograd.gradcheck(masked, (pred, target.requires_grad_()))


def test_gradients_of_class_numbers_agree_with_finite_differences() -> None:
    numbers = torch.tensor([[0, 2, 255], [1, 1, 0]])
    assert torch.autograd.gradcheck(lambda p: cross_entropy(p, numbers), random(1, 2, 3, 3).requires_grad_())


@pytest.mark.parametrize("name", DISTANCES)
def test_a_hole_has_no_gradient_and_an_empty_frame_is_zero(name: str) -> None:
    pred, target = random(1, 2, 3, 4), soft_labels(2, 2, 3, 4)
    target[0, :, 1] = torch.nan
    target[1] = torch.nan
    pred.requires_grad_()
    target.requires_grad_()
    value = DISTANCES[name](pred, target)
    assert value[0] > 0
    assert value[1] == 0
    value.sum().backward()
    for grad in (pred.grad, target.grad):
        assert grad is not None and grad.isfinite().all()
        assert grad[0, :, 1].eq(0).all() and grad[1].eq(0).all()
        assert grad[0, :, [0, 2, 3]].ne(0).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_are_zero_and_finite_where_frames_are_equal(name: str) -> None:
    frame = random(0, 2, 3, 4)
    pred = frame.clone().requires_grad_()
    value = DISTANCES[name](pred, frame)
    value.sum().backward()
    assert pred.grad is not None and pred.grad.eq(0).all()
    expected = 1e-3 if name in ("rmse", "charbonnier") else 0
    torch.testing.assert_close(value, torch.full((2,), expected, dtype=torch.float64))


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_l1_l2_and_rmse_are_metrics(seed: int) -> None:
    a, b, c = random(seed, 3, 2, 5)[:, None]
    for delta in (l1, l2, rmse):
        torch.testing.assert_close(delta(a, b), delta(b, a))
        assert delta(a, c) <= delta(a, b) + delta(b, c) + 1e-12
    assert l1(a, a) == l2(a, a) == 0


def test_cross_entropy_is_least_at_the_labels_but_not_zero() -> None:
    labels = soft_labels(0, 1, 4, 6)
    logits = labels.log()
    entropy = -(labels * logits).sum(dim=1).mean()
    torch.testing.assert_close(cross_entropy(logits, labels)[0], entropy)
    assert entropy > 0
    for seed in range(1, 5):
        assert cross_entropy(logits + 0.1 * random(seed, 1, 4, 6), labels) > entropy


def test_streams_do_not_leak_into_each_other() -> None:
    pred, target = random(0, 3, 2, 5), soft_labels(1, 3, 2, 5)
    target[1, :, 2] = torch.nan
    for name, delta in DISTANCES.items():
        alone = torch.cat([delta(pred[b : b + 1], target[b : b + 1]) for b in range(3)])
        torch.testing.assert_close(delta(pred, target), alone, msg=name)


def test_only_cross_entropy_turns_outputs_into_labels() -> None:
    outputs = random(0, 2, 4, 3)
    torch.testing.assert_close(as_target("cross-entropy", outputs).sum(dim=1), torch.ones(2, 3, dtype=torch.float64))
    assert all(as_target(name, outputs) is outputs for name in FORMULAS)


def test_eight_bit_frames_do_not_wrap_around_and_halves_do_not_overflow() -> None:
    dark, bright = torch.zeros(1, 4, dtype=torch.uint8), torch.full((1, 4), 255, dtype=torch.uint8)
    assert l1(dark, bright).item() == 255
    assert l2(bright, dark).item() == 510
    assert rmse(torch.zeros(1, 4).half(), torch.full((1, 4), 6e4).half()).item() == 6e4


@pytest.mark.parametrize("name", DISTANCES)
def test_shapes_that_differ_are_named(name: str) -> None:
    with pytest.raises(LayoutError, match=r"\(1, 3, 4, 4\) and .*\(1, 3, 4, 5\)"):
        DISTANCES[name](torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
    with pytest.raises(LayoutError, match=r"\(B, \.\.\.\)"):
        DISTANCES[name](torch.zeros(4), torch.zeros(4))
