"""The table row: agrees with torchmetrics and with the clip functions."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from holdsteady.errors import MetricError
from holdsteady.metrics import VideoScores, flicker_error, instability, instability_rms, over_clip


def clips(batch: int = 1, length: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(batch, length, 3, 16, 18, generator=generator)
    noise = torch.linspace(0.05, 0.2, length).view(1, -1, 1, 1, 1)
    pred = (truth + noise * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    return pred, truth


def scored(pred: Tensor, truth: Tensor | None) -> VideoScores:
    scores = VideoScores()
    for t in range(pred.shape[1]):
        scores.update(pred[:, t], None if truth is None else truth[:, t])
    return scores


@pytest.mark.parametrize("batch", [1, 2])
def test_all_figures_are_those_of_torchmetrics_and_of_the_clip(batch: int) -> None:
    pred, truth = clips(batch)
    result = scored(pred, truth).compute()
    psnr, ssim = [], []
    for t in range(4):
        for b in range(batch):
            pair = pred[b : b + 1, t], truth[b : b + 1, t]
            psnr.append(PeakSignalNoiseRatio(data_range=1.0)(*pair).item())
            ssim.append(StructuralSimilarityIndexMeasure(data_range=1.0)(*pair).item())
    assert result == pytest.approx(
        {
            "psnr": sum(psnr) / len(psnr),
            "ssim": sum(ssim) / len(ssim),
            "instability": over_clip(instability, pred).mean().item(),
            "instability_rms": over_clip(instability_rms, pred).mean().item(),
            "flicker_error": over_clip(flicker_error, pred, truth).mean().item(),
            "target_instability_rms": over_clip(instability_rms, truth).mean().item(),
        },
        rel=1e-5,
    )


def test_without_truth_only_what_needs_none() -> None:
    pred, _ = clips()
    scores = scored(pred, None)
    assert scores.compute() == pytest.approx(
        {
            "instability": over_clip(instability, pred).item(),
            "instability_rms": over_clip(instability_rms, pred).item(),
        }
    )


def test_per_frame_has_an_entry_for_every_frame() -> None:
    pred, truth = clips()
    series = scored(pred, truth).per_frame()
    expected = [flicker_error(pred[:, t], pred[:, t - 1], truth[:, t], truth[:, t - 1]).item() for t in (1, 2, 3)]
    assert series["flicker_error"] == pytest.approx([math.nan, *expected], nan_ok=True)
    assert {len(values) for values in series.values()} == {4}
    assert series["psnr"] == sorted(series["psnr"], reverse=True)  # the noise grows along the clip


def test_cut_skips_one_pair_and_allows_another_size() -> None:
    pred, truth = clips()
    scores = scored(pred, truth)
    scores.cut()
    scores.update(pred[:, 0, :, :12, :12], truth[:, 0, :, :12, :12])
    assert math.isnan(scores.per_frame()["flicker_error"][4])
    assert scores.compute()["flicker_error"] == pytest.approx(over_clip(flicker_error, pred, truth).item())
    assert len(scores.per_frame()["psnr"]) == 5


def test_truth_that_comes_and_goes_is_compared_only_with_its_neighbour() -> None:
    pred, truth = clips()
    scores = VideoScores()
    for t, known in enumerate((False, True, True, False)):
        scores.update(pred[:, t], truth[:, t] if known else None)
    series = scores.per_frame()
    assert [not math.isnan(v) for v in series["psnr"]] == [False, True, True, False]
    assert [not math.isnan(v) for v in series["flicker_error"]] == [False, False, True, False]
    assert [not math.isnan(v) for v in series["instability"]] == [False, True, True, True]


def test_nothing_yet_and_a_perfect_video() -> None:
    assert VideoScores().compute() == {}
    _, truth = clips()
    result = scored(truth, truth).compute()
    assert result["psnr"] == 100
    assert result["ssim"] == pytest.approx(1)
    assert result["flicker_error"] == 0
    assert result["instability_rms"] == result["target_instability_rms"] > 0


def test_a_broken_frame_shows_in_the_scores() -> None:
    pred, truth = clips()
    pred[:, 1, 0, 0, 0] = math.nan
    result = scored(pred, truth).compute()
    assert math.isnan(result["psnr"])
    assert result["flicker_error"] == math.inf


def test_frames_that_do_not_fit_are_refused() -> None:
    scores = VideoScores()
    scores.update(torch.zeros(1, 3, 16, 16))
    with pytest.raises(MetricError, match=r"\(1, 3, 16, 18\) and \(1, 3, 16, 16\)"):
        scores.update(torch.zeros(1, 3, 16, 18))
    with pytest.raises(MetricError, match="one shape"):
        VideoScores().update(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 18))
    with pytest.raises(MetricError, match="11×11"):
        VideoScores().update(torch.zeros(1, 3, 8, 16), torch.zeros(1, 3, 8, 16))
