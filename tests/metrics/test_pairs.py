"""The pair functions against loops written from the formulas, and their properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from holdsteady.errors import MetricError
from holdsteady.metrics import categorical_instability, flicker_error, instability, instability_rms

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))


def frames(seed: int, number: int, shape: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(number, *shape, generator=generator))


def with_holes(frame: Tensor, seed: int) -> Tensor:
    holes = torch.rand(frame.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    return frame.masked_fill(holes, torch.nan)


def slow_rms(values: list[float]) -> float:
    return math.sqrt(sum(v * v for v in values) / len(values)) if values else math.nan


@settings(max_examples=30, deadline=None)
@given(seeds, shapes)
def test_instability_is_the_norm_over_known_elements(seed: int, shape: tuple[int, ...]) -> None:
    now, before = (with_holes(frame, seed + i) for i, frame in enumerate(frames(seed, 2, shape)))
    norm, rms = instability(now, before), instability_rms(now, before)
    assert norm.shape == rms.shape == shape[:1]
    for b in range(shape[0]):
        pairs = zip(now[b].flatten().tolist(), before[b].flatten().tolist(), strict=True)
        changes = [p - q for p, q in pairs if not math.isnan(p) and not math.isnan(q)]
        expected = slow_rms(changes)
        assert rms[b].item() == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert norm[b].item() == pytest.approx(expected * math.sqrt(len(changes)), rel=1e-5, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seeds, shapes)
def test_mean_square_times_size_is_the_squared_norm(seed: int, shape: tuple[int, ...]) -> None:
    now, before = frames(seed, 2, shape)
    torch.testing.assert_close(
        instability_rms(now, before) ** 2 * now[0].numel(),
        torch.linalg.vector_norm(now - before, dim=(1, 2, 3)) ** 2,
    )
    torch.testing.assert_close(instability(now, before), (now - before).flatten(1).norm(dim=1))


@settings(max_examples=30, deadline=None)
@given(seeds, shapes)
def test_flicker_error_is_the_rms_of_the_difference_of_changes(seed: int, shape: tuple[int, ...]) -> None:
    pred, pred_before, truth, truth_before = frames(seed, 4, shape)
    truth, truth_before = with_holes(truth, seed + 1), with_holes(truth_before, seed + 2)
    result = flicker_error(pred, pred_before, truth, truth_before)
    for b in range(shape[0]):
        columns = (f[b].flatten().tolist() for f in (pred, pred_before, truth, truth_before))
        errors = [(p - q) - (y - z) for p, q, y, z in zip(*columns, strict=True)]
        expected = slow_rms([e for e in errors if not math.isnan(e)])
        assert result[b].item() == pytest.approx(expected, rel=1e-4, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seeds, shapes)
def test_categorical_instability_counts_changed_classes(seed: int, shape: tuple[int, ...]) -> None:
    now, before = frames(seed, 2, shape)
    now[0, 0, 0, 0] = torch.nan
    result = categorical_instability(now, before)
    batch, classes, height, width = shape
    for b in range(batch):
        changed = []
        for y in range(height):
            for x in range(width):
                scores = [[f[b, c, y, x].item() for c in range(classes)] for f in (now, before)]
                if not any(math.isnan(score) for score in scores[0]):
                    changed.append(scores[0].index(max(scores[0])) != scores[1].index(max(scores[1])))
        expected = sum(changed) / len(changed) if changed else math.nan
        assert result[b].item() == pytest.approx(expected, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seeds, shapes)
def test_flicker_error_of_the_truth_is_zero_even_with_an_offset(seed: int, shape: tuple[int, ...]) -> None:
    truth, truth_before, offset = frames(seed, 3, shape)
    assert flicker_error(truth, truth_before, truth, truth_before).eq(0).all()
    off = flicker_error(truth + offset, truth_before + offset, truth, truth_before)
    torch.testing.assert_close(off, torch.zeros(shape[0]), atol=1e-5, rtol=0)


def test_frozen_output_of_a_moving_scene_is_steady_but_flickers() -> None:
    truth_before = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    truth = truth_before.roll(1, dims=-1)
    frozen = truth_before
    assert instability(frozen, frozen).eq(0).all()
    torch.testing.assert_close(flicker_error(frozen, frozen, truth, truth_before), instability_rms(truth, truth_before))
    assert flicker_error(frozen, frozen, truth, truth_before).min() > 0.1


@pytest.mark.parametrize("metric", [instability, instability_rms, categorical_instability])
def test_streams_do_not_leak_into_each_other(metric) -> None:
    now, before = frames(3, 2, (3, 4, 5, 6))
    alone = torch.cat([metric(now[b : b + 1], before[b : b + 1]) for b in range(3)])
    torch.testing.assert_close(metric(now, before), alone)
    disturbed = now.clone()
    disturbed[1] = torch.nan
    changed = metric(disturbed, before)
    assert changed[1].isnan()
    torch.testing.assert_close(changed[[0, 2]], alone[[0, 2]])


def test_masked_elements_count_as_if_they_were_not_there() -> None:
    pred, pred_before, truth, truth_before = frames(4, 4, (2, 10))
    masked, masked_before = truth.clone(), truth_before.clone()
    masked[:, 7] = torch.nan
    masked_before[:, 8:] = torch.nan
    torch.testing.assert_close(
        flicker_error(pred, pred_before, masked, masked_before),
        flicker_error(pred[:, :7], pred_before[:, :7], truth[:, :7], truth_before[:, :7]),
    )
    torch.testing.assert_close(instability(masked, masked_before), instability(truth[:, :7], truth_before[:, :7]))


def test_a_missing_prediction_is_no_excuse() -> None:
    pred, pred_before, truth, truth_before = frames(5, 4, (2, 10))
    pred[0, 3] = torch.nan
    result = flicker_error(pred, pred_before, truth, truth_before)
    assert result[0] == torch.inf
    assert result[1].isfinite()


def test_eight_bit_frames_do_not_wrap_around_and_halves_do_not_overflow() -> None:
    dark, bright = torch.zeros(1, 4, dtype=torch.uint8), torch.full((1, 4), 255, dtype=torch.uint8)
    assert instability(dark, bright).item() == instability(bright, dark).item() == 510
    assert instability_rms(torch.zeros(1, 4).half(), torch.full((1, 4), 6e4).half()).item() == 6e4


@pytest.mark.parametrize("metric", [instability, instability_rms, categorical_instability])
def test_shapes_that_differ_are_named(metric) -> None:
    with pytest.raises(MetricError, match=r"\(1, 3, 4, 4\) and \(1, 3, 4, 5\)"):
        metric(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
    with pytest.raises(MetricError, match="batch axis"):
        metric(torch.zeros(4), torch.zeros(4))
