"""Masks and scores of classes under *motion fixed*: what they are read as, and how they are fused."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.adapters.classes import entropy, log_probabilities, memory_share, read
from holdsteady.flow.warp import warp_nearest
from holdsteady.metrics import class_flips


def pan(frames: int, height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
    """A slow pan, (T, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4 + 4, width // 4 + 4 + frames // 4, generator=generator)
    big = F.interpolate(coarse, scale_factor=4, mode="bicubic")[0].clamp(0, 1)
    return torch.stack([big[:, :height, t : t + width] for t in range(frames)])


def held(outputs: Tensor, frames: Tensor, adapter: str = "motion-fixed", **settings_: Any) -> Tensor:
    """Recorded outputs (T, C, H, W) for frames, stabilized."""
    recorded = iter(outputs)
    steady = hs.stabilize(lambda _: next(recorded)[None], adapter, **settings_)
    return torch.cat([steady(frame[None]) for frame in frames])


def scores(frames: Tensor, classes: int = 6, noise: float = 3.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy logits (T, C, H, W), and the true classes (T, H, W), which hang on the frame's grey alone."""
    truth = (frames.mean(dim=1) * classes).long().clamp(0, classes - 1)
    logits = 8 * F.one_hot(truth, classes).movedim(-1, 1).float() - 4
    return logits + noise * torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed)), truth


def blob(size: int = 32) -> Tensor:
    """A disc with a soft edge, (1, 1, H, W) in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.sigmoid(8 - ((y - 15.0) ** 2 + (x - 15.0) ** 2).sqrt())[None, None]


NOISE = torch.randn(1, 6, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("z", "form"),
    [
        ((4 * (blob() - 0.5)).mul(4).sigmoid(), "mask"),
        ((blob() > 0.5).float().expand(-1, 3, -1, -1), "mask"),
        (torch.zeros(1, 1, 32, 32), "values"),  # a mask of nothing, or a black picture: there is nothing to fuse
        (pan(1)[:, :1], "values"),
        (pan(1), "values"),
        (7 + 3 * NOISE[:, :1], "values"),
        ((5 * NOISE).softmax(dim=1), "probabilities"),
        (NOISE[:, :2].softmax(dim=1), "probabilities"),
        (5 * NOISE, "logits"),
        (5 * NOISE[:, :3], "values"),
        (0.1 * NOISE, "values"),  # of a picture of many channels
        (500 * NOISE, "values"),
    ],
)
def test_what_is_plainly_visible(z: Tensor, form: str) -> None:
    assert read(z, z, "auto") == [form]
    assert read(z, z, "values") == ["values"]


def test_what_is_stated_is_not_guessed() -> None:
    given_ = [(NOISE[:, :2], "classes"), (NOISE[:, :2].softmax(dim=1), "classes"), (pan(1), "mask"), (NOISE, "mask")]
    assert [read(z, z, kind)[0] for z, kind in given_] == ["logits", "probabilities", "mask", "mask logits"]


def test_entropies_are_shares_of_the_largest() -> None:
    even = torch.zeros(1, 4, 1, 1)
    torch.testing.assert_close(entropy(log_probabilities(even, "logits"), "logits"), torch.ones(1, 1, 1, 1))
    sure = torch.tensor([60.0, 0, 0, 0])[None, :, None, None]
    assert entropy(log_probabilities(sure, "logits"), "logits").abs().max() < 1e-6
    # A quarter: 2 − ¾ log2 3 bits.
    mask = torch.full((1, 1, 1, 1), 0.25)
    expected = torch.full_like(mask, 2 - 0.75 * math.log2(3))
    torch.testing.assert_close(entropy(log_probabilities(mask, "mask"), "mask"), expected)
    logit = torch.full_like(mask, -math.log(3))
    torch.testing.assert_close(entropy(log_probabilities(logit, "mask logits"), "mask logits"), expected)


def test_the_surer_counts_more() -> None:
    half, one = torch.tensor(0.5), torch.ones(())
    torch.testing.assert_close(memory_share(half, half, 0.6, one), torch.tensor(0.6))
    assert memory_share(half, one, 0.6, one) < 0.6 < memory_share(one, half, 0.6, one) < 1
    assert memory_share(one, half, 0.6, torch.zeros(())) == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 9))
def test_where_nothing_moves_it_is_the_formula(seed: int, classes: int) -> None:
    """Place by place, in plain Python."""
    generator = torch.Generator().manual_seed(seed)
    frame = pan(1, seed=seed).expand(3, -1, -1, -1)
    logits = 6 * torch.randn(3, classes, 48, 64, generator=generator)
    shown = held(logits, frame)
    place = (seed % 48, seed % 64)

    def softmax(values: list[float]) -> list[float]:
        powers = [math.exp(v - max(values)) for v in values]
        return [power / sum(powers) for power in powers]

    def surprise(p: list[float]) -> float:
        return -sum(x * math.log(x) for x in p if x > 0) / math.log(classes)

    memory = softmax(logits[0, :, *place].tolist())
    for t in (1, 2):
        present = softmax(logits[t, :, *place].tolist())
        odds = 0.54 / 0.46 * math.exp((surprise(present) - surprise(memory)) / 0.4)
        share = odds / (1 + odds)
        memory = [(1 - share) * p + share * m for p, m in zip(present, memory, strict=True)]
        assert shown[t, :, *place].softmax(dim=0).tolist() == pytest.approx(memory, abs=1e-5)


def test_logits_and_their_probabilities_are_one_thing() -> None:
    frames = pan(5)
    logits, _ = scores(frames)
    shown, fused = held(logits, frames), held(logits.softmax(dim=1), frames)
    torch.testing.assert_close(shown.softmax(dim=1), fused, atol=1e-5, rtol=1e-4)
    assert (fused.sum(dim=1) - 1).abs().max() < 1e-5
    # Logits keep the scale of the present ones.
    torch.testing.assert_close(shown.logsumexp(dim=1), logits.logsumexp(dim=1), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("adapter", ["motion-fixed", "universal"])
def test_classes_flip_less_and_are_more_often_right(hard: bool, adapter: str) -> None:
    frames = pan(12)
    logits, truth = scores(frames)
    given_ = F.one_hot(logits.argmax(dim=1), 6).movedim(-1, 1).float() if hard else logits
    shown = held(given_, frames, adapter)
    flow = torch.zeros(1, 2, 48, 64)
    flow[:, 0] = 1  # the pan

    def flips(z: Tensor) -> float:
        pairs = zip(z[1:, None], z[:-1, None], strict=True)
        return float(torch.stack([class_flips(now, before, flow, -flow) for now, before in pairs]).mean())

    assert flips(shown) < 0.6 * flips(given_)
    right, before = ((z.argmax(dim=1) == truth).float().mean() for z in (shown, given_))
    assert right > before + 0.02


def test_a_mask_that_flickers_is_held_and_one_that_moves_is_followed() -> None:
    frames = pan(10)
    truth = (frames.mean(dim=1, keepdim=True) > 0.5).float()
    flickering = truth.clone()
    flickering[6] = 0  # one frame without it
    shown = held(flickering, frames)
    wrong, before = (((z[6] > 0.5) != (truth[6] > 0.5)).float().mean() for z in (shown, flickering))
    assert wrong < 0.2 * before
    assert ((held(truth, frames) > 0.5) != (truth > 0.5)).float().mean() < 0.02


def test_nothing_is_left_of_another_shot() -> None:
    frames = torch.cat((pan(4), pan(2, seed=7)))
    logits, _ = scores(frames, noise=0.5)
    shown = held(logits, frames)
    assert (shown[4].argmax(dim=0) != logits[4].argmax(dim=0)).float().mean() < 0.01


def test_streams_of_different_sorts_do_not_see_each_other() -> None:
    frames, other = pan(4), pan(4, seed=3)
    mask, grey = (frames[:, :1] > 0.5).float(), other[:, :1]
    recorded = iter(torch.stack((mask, grey), dim=1))
    steady = hs.stabilize(lambda _: next(recorded), "motion-fixed")
    both = torch.stack([steady(pair) for pair in torch.stack((frames, other), dim=1)])
    torch.testing.assert_close(both[:, 0], held(mask, frames))
    torch.testing.assert_close(both[:, 1], held(grey, other))


def test_the_card_of_a_model_says_what_it_gives() -> None:
    frames = pan(3)
    logits = 4 * torch.randn(3, 2, 48, 64, generator=torch.Generator().manual_seed(0))

    def by_card(kind: str) -> Tensor:
        recorded = iter(logits)
        steady = hs.stabilize(hs.Model(lambda _: next(recorded)[None], kind=kind), "motion-fixed")
        return torch.cat([steady(frame[None]) for frame in frames])

    torch.testing.assert_close(by_card("classes"), held(logits, frames, fuse_as="classes"))
    torch.testing.assert_close(by_card("depth"), held(logits, frames, fuse_as="values"))
    torch.testing.assert_close(held(logits, frames), held(logits, frames, fuse_as="values"))
    assert (by_card("classes") - by_card("depth")).abs().max() > 0.1


def test_values_that_are_not_finite_pass_through() -> None:
    frames = pan(3)
    logits, _ = scores(frames)
    logits[1, :, 5, 5] = math.nan
    shown = held(logits, frames)
    assert shown[1, :, 5, 5].isnan().all()
    assert shown.isnan().sum() == 6


def test_the_nearest_place() -> None:
    generator = torch.Generator().manual_seed(0)
    value, flow = torch.rand(2, 3, 7, 9, generator=generator), 3 * torch.randn(2, 2, 7, 9, generator=generator)
    moved = warp_nearest(value, flow)
    for b in range(2):
        for y in range(7):
            for x in range(9):
                to_x, to_y = x + float(flow[b, 0, y, x]), y + float(flow[b, 1, y, x])
                at = min(max(round(to_y), 0), 6), min(max(round(to_x), 0), 8)
                assert torch.equal(moved[b, :, y, x], value[b, :, *at])
