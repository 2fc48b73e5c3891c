"""The unified loss against its formula frame by frame, along motion, and its gradients."""

import math

import pytest
import torch
from formulas import warp as slow_warp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from holdsteady.errors import ConfigError, LayoutError
from holdsteady.objective import DISTANCES, unified_loss


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def labels_for(distance: str, clip: Tensor) -> Tensor:
    return torch.softmax(clip, dim=2) if distance == "cross-entropy" else clip


@pytest.mark.parametrize("distance", DISTANCES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 3), length=st.integers(1, 5), lam=st.floats(0, 8))
def test_it_is_the_formula(distance: str, seed: int, batch: int, length: int, lam: float) -> None:
    outputs = random(seed, batch, length, 3, 2, 4)
    targets = labels_for(distance, random(seed + 1, batch, length, 3, 2, 4))
    targets[0, 0, :, 1, 1] = torch.nan
    delta = DISTANCES[distance]
    accuracy = stability = 0.0
    for b in range(batch):
        frames = outputs[b].split(1)
        for t in range(length):
            accuracy += delta(frames[t], targets[b, t][None]).item() / length / batch
            if t:
                before = torch.softmax(frames[t - 1], 1) if distance == "cross-entropy" else frames[t - 1]
                stability += delta(frames[t], before).item() / length / batch
    terms = unified_loss(outputs, targets, stability=lam, distance=distance)
    assert terms.accuracy.item() == pytest.approx(accuracy)
    assert terms.stability.item() == pytest.approx(stability)
    assert terms.total.item() == pytest.approx(accuracy + lam * stability)


def test_a_closed_form() -> None:
    """Truth 0, output t = 1, 2, 3: accuracy (1+2+3)/3, stability 2/3, up to RMSE's ε."""
    outputs = torch.arange(1.0, 4).view(1, 3, 1, 1, 1).expand(2, 3, 3, 4, 5)
    terms = unified_loss(outputs, torch.zeros_like(outputs), stability=0.4)
    assert terms.accuracy.item() == pytest.approx(2, abs=1e-5)
    assert terms.stability.item() == pytest.approx(2 / 3, abs=1e-5)
    assert terms.total.item() == pytest.approx(2 + 0.8 / 3, abs=1e-5)


def test_class_numbers_are_targets_too() -> None:
    outputs = random(0, 2, 3, 4, 2, 2)
    numbers = torch.randint(4, (2, 3, 2, 2), generator=torch.Generator().manual_seed(1))
    soft = torch.nn.functional.one_hot(numbers, 4).movedim(-1, 2).double()
    both = [unified_loss(outputs, t, stability=0.4, distance="cross-entropy") for t in (numbers, soft)]
    torch.testing.assert_close(both[0], both[1])


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 4, 6, 8), (2, 2, 3, 4, 5)])
def test_features_of_any_layout(shape: tuple[int, ...]) -> None:
    features, clean = random(0, *shape), random(1, *shape)
    expected = DISTANCES["l2"](features.flatten(0, 1), clean.flatten(0, 1)).mean()
    torch.testing.assert_close(unified_loss(features, clean, stability=0.0, distance="l2").total, expected)


def translated_clip(length: int = 4, step: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """A window that moves over a world: frames (1, T, 3, 16, 20), exact flow, and what was in view before."""
    world = torch.rand(1, 3, 16, 20 + length * step, generator=torch.Generator().manual_seed(0))
    clip = torch.stack([world[..., t * step : t * step + 20] for t in range(length)], dim=1)
    flow = torch.zeros(1, length - 1, 2, 16, 20)
    flow[:, :, 0] = step  # what is seen at x was at x + step before
    valid = torch.ones(1, length - 1, 1, 16, 20, dtype=torch.bool)
    valid[..., -step:] = False
    return clip, flow, valid


def test_true_motion_costs_nothing_when_it_is_compensated() -> None:
    clip, flow, valid = translated_clip()
    assert unified_loss(clip, clip, stability=1.0, distance="l1").stability > 0.1
    assert unified_loss(clip, clip, stability=1.0, distance="l1", flows=flow).stability > 0.005
    terms = unified_loss(clip, clip, stability=1.0, distance="l1", flows=flow, valid=valid)
    assert terms.stability.item() == pytest.approx(0, abs=1e-6)
    assert terms.accuracy == 0


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_warped_stability_term_is_the_formula(distance: str) -> None:
    outputs, flows = random(0, 2, 3, 3, 5, 4, dtype=torch.float32), 1.5 * random(1, 2, 2, 2, 5, 4, dtype=torch.float32)
    valid = random(2, 2, 2, 1, 5, 4) > -0.5
    targets = labels_for(distance, outputs)
    terms = unified_loss(outputs, targets, stability=0.4, distance=distance, flows=flows, valid=valid)
    expected = 0.0
    for b in range(2):
        for t in (1, 2):
            before = slow_warp(outputs[b, t - 1][None], flows[b, t - 1][None])
            before = torch.softmax(before, dim=1) if distance == "cross-entropy" else before
            seen = valid[b, t - 1, 0]
            # Masked by cutting out, where the code masks by NaN.
            present, before = outputs[b, t][:, seen][None], before[..., seen]
            expected += DISTANCES[distance](present, before).item() / 6
    assert terms.stability.item() == pytest.approx(expected, rel=1e-4)


def test_a_clip_with_nothing_visible_has_no_stability_term() -> None:
    clip, flow, valid = translated_clip()
    outputs = clip.clone().requires_grad_()
    terms = unified_loss(outputs, 1 - clip, stability=5.0, flows=flow, valid=valid & False)
    assert terms.stability == 0
    terms.stability.backward()
    assert outputs.grad is not None and outputs.grad.eq(0).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_agree_with_finite_differences(distance: str) -> None:
    outputs = random(0, 2, 3, 3, 2, 3).requires_grad_()
    targets = labels_for(distance, random(1, 2, 3, 3, 2, 3))
    targets[:, 1, :, 0] = torch.nan
    targets[1, 2] = torch.nan
    assert torch.autograd.gradcheck(
        lambda o: unified_loss(o, targets, stability=0.4, distance=distance).total, (outputs,)
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_of_the_warped_term_agree_with_finite_differences(distance: str) -> None:
    outputs = random(0, 1, 3, 2, 4, 5).requires_grad_()
    targets = labels_for(distance, random(1, 1, 3, 2, 4, 5))
    flows, valid = 1.3 * random(2, 1, 2, 2, 4, 5), random(3, 1, 2, 1, 4, 5) > -0.7

    def stability(o: Tensor) -> Tensor:
        return unified_loss(o, targets, stability=0.4, distance=distance, flows=flows, valid=valid).stability

    assert torch.autograd.gradcheck(stability, (outputs,), eps=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(stability(outputs), outputs)
    assert all(gradient[:, t].abs().max() > 1e-3 for t in range(3)), "both frames of a pair get gradients"


def test_half_precision_is_summed_in_full() -> None:
    outputs = random(0, 1, 2, 3, 4, 4).bfloat16()
    terms = unified_loss(outputs, torch.zeros_like(outputs), stability=0.4)
    assert all(term.dtype == torch.float32 for term in terms)


def test_what_does_not_fit_is_named() -> None:
    clip = torch.zeros(1, 3, 3, 4, 5)
    flows, valid = torch.zeros(1, 2, 2, 4, 5), torch.ones(1, 2, 1, 4, 5, dtype=torch.bool)
    with pytest.raises(ConfigError, match="unknown distance 'mse'; choose one of rmse, l1"):
        unified_loss(clip, clip, stability=0.4, distance="mse")
    for wrong in (-0.1, math.nan):
        with pytest.raises(ConfigError, match="must be 0 or more"):
            unified_loss(clip, clip, stability=wrong)
    with pytest.raises(ConfigError, match="without flows"):
        unified_loss(clip, clip, stability=0.4, valid=valid)
    with pytest.raises(LayoutError, match="same B and T"):
        unified_loss(clip, clip[:, :2], stability=0.4)
    with pytest.raises(LayoutError, match="same B and T"):
        unified_loss(clip[:, :0], clip[:, :0], stability=0.4)
    for shape in ((1, 3, 2, 4, 5), (1, 2, 2, 8, 10), (2, 2, 4, 5)):
        with pytest.raises(LayoutError, match=r"flows must be \(B, T−1, 2, H, W\)"):
            unified_loss(clip, clip, stability=0.4, flows=torch.zeros(shape))
    with pytest.raises(LayoutError, match=r"valid must be \(B, T−1, 1, H, W\)"):
        unified_loss(clip, clip, stability=0.4, flows=flows, valid=valid[:, :1])
    with pytest.raises(LayoutError, match="flows must be"):
        unified_loss(clip[..., 0], clip[..., 0], stability=0.4, flows=flows)
