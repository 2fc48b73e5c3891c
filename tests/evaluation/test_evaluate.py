"""Evaluation: the figures are those of running each adapter by hand."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import holdsteady as hs
from holdsteady import video
from holdsteady.corruptions import make_corruption
from holdsteady.data.dataset import item_generator
from holdsteady.errors import ConfigError, VideoError
from holdsteady.evaluation.contenders import BASE, BETAS, SIGMAS, Contender, baselines, trained
from holdsteady.evaluation.evaluate import Row, drift, evaluate, summarise
from holdsteady.evaluation.footage import recipe_footage, video_footage, videos
from holdsteady.evaluation.scoring import ClassScorer, DepthScorer, both_flows
from holdsteady.metrics import VideoScores, abs_rel, delta_accuracy
from holdsteady.models.weights import save_weights
from holdsteady.report.evaluation import save_results
from holdsteady.training.recipe import make_recipe

CARPHONE = Path(__file__).parents[1] / "clips" / "carphone.mp4"
NOISE = "gaussian:sigma=0.1"
FRAMES = 5


class Blur(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def clean_frames() -> list[Tensor]:
    with video.open_video(str(CARPHONE)) as reader:
        return [frame for frame, _ in zip(video.upright_tensors(reader), range(FRAMES), strict=False)]


def by_hand(adapter: str | None) -> VideoScores:
    steady = hs.stabilize(Blur(), () if adapter is None else adapter, example=torch.rand(1, 3, 32, 32))
    noise = make_corruption(NOISE).start(item_generator(7, 0))
    scores = VideoScores()
    for frame in clean_frames():
        scores.update(steady(noise(frame)).clamp(0, 1), frame)
    return scores


class BlurInPlace(Blur):
    """A model that writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(super().forward(x))


def test_a_model_that_writes_into_its_input_spoils_nothing() -> None:
    figures = []
    for model in (Blur(), BlurInPlace()):
        clips = [video_footage(str(CARPHONE), 3)]
        contenders = [BASE, *trained(["motion-fixed"])]
        rows = evaluate(model, contenders, clips, corruptions=[NOISE], target="self", seed=7)
        figures.append(
            [{k: v for k, v in row.figures.items() if k not in ("ms_per_frame", "overhead")} for row in rows]
        )
    assert figures[0] == figures[1]


@pytest.mark.parametrize("adapter", [None, "output-fixed:0.7", "output-gaussian:1", "motion-fixed"])
def test_figures_are_those_of_a_run(adapter: str | None) -> None:
    contenders = [BASE] if adapter is None else [BASE, *trained([adapter])]
    rows = evaluate(
        Blur(), contenders, [video_footage(str(CARPHONE), FRAMES)], corruptions=[NOISE], target="frames", seed=7
    )
    assert [row.label for row in rows] == [contender.label for contender in contenders]
    for name, value in by_hand(adapter).compute().items():
        assert rows[-1].figures[name] == pytest.approx(value, rel=1e-5), name
    assert rows[-1].figures["overhead"] >= 0
    assert len(rows[-1].series["psnr"]) == FRAMES


def test_the_models_own_output_on_clean_frames_is_the_default_truth() -> None:
    rows = evaluate(Blur(), [BASE], [video_footage(str(CARPHONE), FRAMES)])
    assert rows[0].figures["flicker_error"] == 0
    assert rows[0].figures["psnr"] == 100
    assert rows[0].figures["warp_error"] > 0


def test_all_baselines_run_on_a_network_and_the_output_kinds_on_a_function() -> None:
    rows = baselines(inner=True)
    assert len(rows) == 1 + 2 * len(BETAS) + len(SIGMAS) + 1
    assert {c.family for c in baselines(inner=False)} == {"base", "output-fixed", "output-gaussian", "motion-fixed"}
    found = evaluate(lambda x: 1 - x, baselines(inner=False), [video_footage(str(CARPHONE), 3)])
    assert len(found) == 14


@pytest.mark.slow
def test_bouncing_lengthens_a_clip_without_a_jump() -> None:
    contenders = [BASE, *trained(["motion-fixed"])]
    rows = evaluate(
        Blur(), contenders, [video_footage(str(CARPHONE), 45, bounce=True)], corruptions=[NOISE], target="frames"
    )
    changes = np.array(rows[0].series["target_instability_rms"][1:])
    assert len(changes) == 44
    # 20 frames forth, then back: the same steps in reverse.
    np.testing.assert_allclose(changes[19:37], changes[18:0:-1], rtol=1e-3)
    lead = np.array(rows[1].series["psnr"]) - np.array(rows[0].series["psnr"])
    assert drift(rows[1], rows[0]) == pytest.approx(lead[-11:].mean() - lead[:11].mean(), abs=1e-4)
    with pytest.raises(ConfigError, match="give that number"):
        video_footage(str(CARPHONE), bounce=True)


@pytest.mark.slow
def test_summaries_and_files(tmp_path: Path) -> None:
    clips = [video_footage(str(CARPHONE.parent / name), FRAMES) for name in ("carphone.mp4", "bikes_cuts.mp4")]
    contenders = [BASE, *(Contender(f"output-fixed:{b}", "output-fixed", b, f"output-fixed:{b}") for b in (0.9, 0.5))]
    rows = evaluate(Blur(), contenders, clips, corruptions=["none", NOISE], target="frames")
    assert len(rows) == 2 * 2 * 3
    save_results(rows, tmp_path, {"model": "blur"})
    for entry in summarise(rows):
        mine = [row for row in rows if (row.label, row.corruption) == (entry["label"], entry["corruption"])]
        assert entry["clips"] == 2
        assert entry["means"]["psnr"] == pytest.approx(sum(row.figures["psnr"] for row in mine) / 2)
        low, high = entry["intervals"]["psnr"]
        assert low <= entry["means"]["psnr"] <= high
    with (tmp_path / "results.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(line["psnr"]) for line in written] == [row.figures["psnr"] for row in rows]
    assert json.loads((tmp_path / "results.json").read_text())["facts"] == {"model": "blur"}
    text = (tmp_path / "results.md").read_text()
    assert "| output-fixed:0.5 |" in text
    assert "The target's own RMS is" in text
    for name in ("accuracy-stability.png", "over-time.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_depth_is_measured_after_a_fit() -> None:
    truth = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0)) + 1
    scorer = DepthScorer()
    for scale in (2.0, 3.0, 5.0):
        scorer.update(scale * truth - 4, truth)
    figures = scorer.compute()
    assert figures["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert figures["instability_rms"] == pytest.approx(0, abs=1e-5)
    assert figures["delta_accuracy"] == 1


@pytest.mark.parametrize("disparity", [False, True])
def test_a_drift_of_depth_is_hidden_by_fits_of_frames_and_seen_by_the_clips(disparity: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(6, 1, 1, 20, 20, generator=generator) + 1
    scales = torch.tensor([1.0, 1.2, 0.9, 1.5, 1.1, 1.0])
    given = [(1 / y if disparity else y) / s for y, s in zip(truth, scales, strict=True)]
    drifting, steady = DepthScorer(), DepthScorer()
    for output, still, y in zip(given, 1 / truth if disparity else truth, truth, strict=True):
        drifting.update(output, y)
        steady.update(still, y)
    figures, zero = drifting.compute(), steady.compute()
    assert figures["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert figures["flicker_error"] == pytest.approx(0, abs=1e-4)
    assert figures["scale_drift"] == pytest.approx(scales.log().std(correction=0).item(), rel=1e-4)
    assert figures["shift_drift"] == pytest.approx(0, abs=1e-5)
    clip = [torch.stack(list(frames), dim=2)[0] for frames in (given, truth)]
    assert figures["clip_abs_rel"] == pytest.approx(abs_rel(*clip, disparity=disparity).item(), rel=1e-4)
    assert figures["clip_delta_accuracy"] == pytest.approx(delta_accuracy(*clip, disparity=disparity).item())
    assert figures["clip_flicker_error"] > 0.05
    assert [zero[name] for name in ("clip_abs_rel", "clip_flicker_error", "scale_drift")] == pytest.approx(
        [0, 0, 0], abs=1e-4
    )
    assert len(drifting.per_frame()["clip_abs_rel"]) == 6


def test_classes_that_move_with_the_scene_do_not_flip() -> None:
    generator = torch.Generator().manual_seed(0)
    scene = F.interpolate(torch.rand(1, 3, 12, 16, generator=generator), size=(96, 128), mode="bicubic")
    frames = [scene.roll(2 * t, dims=3)[..., 16:].clamp(0, 1) for t in range(3)]
    scorer, flickering = ClassScorer(), ClassScorer()
    for number, frame in enumerate(frames):
        logits = torch.cat((frame, 0.5 * torch.ones_like(frame[:, :1])), dim=1)
        flows = both_flows(frame, frames[number - 1]) if number else None
        scorer.update(logits, logits, flows)
        noise = 0.3 * torch.randn(logits.shape, generator=generator)
        flickering.update(logits + noise, logits, flows)
    steady, unsteady = scorer.compute(), flickering.compute()
    assert steady["categorical_instability"] > 4 * steady["class_flips"]
    assert steady["class_flips"] < 0.03 < unsteady["class_flips"]
    assert steady["mc_iou"] > 0.9 > unsteady["mc_iou"]


def test_classes_are_counted_over_all_frames() -> None:
    truth = torch.tensor([[[0, 0, 1, 1], [2, 2, 255, 1]]])
    chosen = torch.tensor([[[0, 1, 1, 1], [2, 0, 2, 1]]])
    logits = nn.functional.one_hot(chosen, 3).permute(0, 3, 1, 2).float()
    scorer = ClassScorer()
    scorer.update(logits, truth)
    scorer.update(logits.roll(1, dims=1), truth)
    figures = scorer.compute()
    again = (chosen + 1) % 3
    known = truth != 255
    unions = []
    for one in range(3):
        hits = sum(((c == one) & (truth == one) & known).sum().item() for c in (chosen, again))
        either = sum((((c == one) | (truth == one)) & known).sum().item() for c in (chosen, again))
        unions.append(hits / either)
    assert figures["miou"] == pytest.approx(sum(unions) / 3)
    assert figures["categorical_instability"] == 1
    assert figures["pixel_accuracy"] == pytest.approx((5 / 7 + ((again == truth) & known).sum().item() / 7) / 2)


def test_scenes_bring_their_own_depth(tmp_path: Path) -> None:
    still = clean_frames()[0][0].mul(255).byte().permute(1, 2, 0).numpy()
    cv2.imwrite(str(tmp_path / "still.png"), still)
    source = {"kind": "scenes", "paths": str(tmp_path)}
    recipe = make_recipe(
        {
            "model": "denoise",
            "objective": {"target": "depth"},
            "data": {"sources": [source], "crop": 48},
            "validation": {"clips": 2, "length": 3, "crop": 48},
        }
    )
    clips = recipe_footage(recipe)
    depths = {clip.name: [moment.truth for moment in clip.play()] for clip in clips}

    def exact(frame: Tensor) -> Tensor:
        for clip in clips:
            for moment in clip.play():
                if frame.shape == moment.clean.shape and torch.equal(frame, moment.clean):
                    return moment.truth if moment.truth is not None else frame[:, :1]
        return frame[:, :1]

    rows = evaluate(exact, [BASE, *trained(["output-fixed:0.3"])], clips)
    assert [row.clip for row in rows] == [name for name in depths for _ in range(2)]
    assert rows[0].figures["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert rows[1].figures["abs_rel"] > rows[0].figures["abs_rel"]
    assert rows[0].figures["flicker_error"] == pytest.approx(0, abs=1e-4)


def test_memories_are_cleared_at_cuts() -> None:
    clip = video_footage(str(CARPHONE.parent / "bikes_cuts.mp4"), 14)
    assert [number for number, moment in enumerate(clip.play()) if moment.is_cut] == [10]
    rows = evaluate(Blur(), [BASE, *trained(["output-fixed:0.2"])], [clip], corruptions=[NOISE], target="frames")
    base, smoothed = (row.series for row in rows)
    assert np.isnan(smoothed["flicker_error"][10])
    assert smoothed["psnr"][10] == pytest.approx(base["psnr"][10])
    assert smoothed["psnr"][11] != pytest.approx(base["psnr"][11], abs=0.05)


def test_padding_is_not_scored() -> None:
    def picky(frame: Tensor) -> Tensor:
        assert frame.shape[-1] % 64 == frame.shape[-2] % 64 == 0
        out = 1 - frame
        out[..., 144:, :] = 0.123
        out[..., 176:] = 0.123
        return 1 - out

    rows = evaluate(picky, [BASE], [video_footage(str(CARPHONE), 4)], target="frames")
    assert rows[0].figures["psnr"] > 90
    assert rows[0].figures["warp_error"] > 0


def test_names_are_kept_apart(tmp_path: Path) -> None:
    for place in ("day", "night"):
        (tmp_path / place).mkdir()
        shutil.copy(CARPHONE, tmp_path / place / "cam.mp4")
    clips = videos([str(tmp_path)], 2)
    assert [clip.name for clip in clips] == [str(tmp_path / place / "cam.mp4") for place in ("day", "night")]
    assert [clip.name for clip in videos([str(CARPHONE)], 2)] == ["carphone"]
    steady = hs.stabilize(Blur(), "motion", example=torch.rand(1, 3, 32, 32))
    folders = [str(tmp_path / place / "my") for place in ("day", "night")]
    for folder in folders:
        steady.save(folder)
    assert [one.label for one in trained(folders)] == folders
    with pytest.raises(ConfigError, match="given twice"):
        trained(folders[:1] * 2)
    with pytest.raises(ConfigError, match="two contenders are named 'base'"):
        evaluate(Blur(), [BASE, BASE], clips)


def test_a_trained_base_is_run_with_its_own_weights(tmp_path: Path) -> None:
    def brightened(by: float) -> nn.Conv2d:
        layer = nn.Conv2d(3, 3, 1, groups=3, bias=False)
        nn.init.constant_(layer.weight, by)
        return layer

    (tmp_path / "both").mkdir()
    save_weights(brightened(0.5), tmp_path / "both" / "base.safetensors")
    alone = trained([str(tmp_path / "both")])
    hs.stabilize(brightened(0.5), "motion", example=torch.rand(1, 3, 32, 32)).save(tmp_path / "both")
    both = trained([str(tmp_path / "both")])
    assert [alone[0].family, both[0].family] == ["base (trained)", "motion (with its base, trained)"]
    clip = [video_footage(str(CARPHONE), 3)]
    for contender in (alone[0], both[0]):
        rows = evaluate(brightened(1.0), [BASE, contender], clip, target="frames")
        assert rows[0].figures["psnr"] == 100
        assert rows[1].figures["psnr"] < 20


def test_truths_that_do_not_fit_and_clips_that_are_not_there() -> None:
    clip = [video_footage(str(CARPHONE), 3)]
    with pytest.raises(ConfigError, match=r"gives 1 channels and the truth has 3.*--target self"):
        evaluate(lambda x: x[:, :1], [BASE], clip, target="frames")
    with pytest.raises(ConfigError, match="jpg"):
        evaluate(Blur(), [BASE], clip, corruptions=["none", "jpg:3"])
    with pytest.raises(VideoError):
        evaluate(Blur(), [BASE], [*clip, video_footage("nowhere.mp4")])


def test_results_are_kept_after_every_clip_and_of_single_frames(tmp_path: Path) -> None:
    kept: list[int] = []
    clips = [video_footage(str(CARPHONE), 1), video_footage(str(CARPHONE.parent / "bikes_cuts.mp4"), 2)]

    def keep(rows: list[Row]) -> None:
        kept.append(len(rows))
        save_results(rows, tmp_path, {})

    evaluate(Blur(), [BASE], clips, keep=keep)
    assert kept == [1, 2]
    assert len(json.loads((tmp_path / "results.json").read_text())["rows"]) == 2


def test_tables_are_written_while_clips_are_still_to_come(tmp_path: Path) -> None:
    """After a clip under the first of two corruptions, there is no row of it under the second."""
    clips = [replace(video_footage(str(CARPHONE), 2), name=name) for name in ("one", "two")]
    sizes = []

    def keep(rows: list[Row]) -> None:
        save_results(rows, tmp_path, {})
        sizes.append((tmp_path / "results.md").read_text().count("### "))

    evaluate(Blur(), [BASE], clips, corruptions=["none", NOISE], keep=keep)
    assert sizes == [1, 2, 3, 4]


def test_a_recipe_is_measured_on_the_parts_that_it_validates_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an adapter was trained on is no part of it."""
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "frames"))
    bikes = str(CARPHONE.parent / "bikes_cuts.mp4")
    recipe = {
        "model": "denoise",
        "data": {"sources": [{"paths": str(CARPHONE), "part": [0.0, 0.6]}], "length": 2, "crop": 16},
        "validation": {
            "sources": [
                {"paths": str(CARPHONE), "part": [0.6, 1.0]},
                {"paths": str(CARPHONE), "part": [0.6, 1.0], "shrink": 2},
                {"paths": bikes, "part": [0.0, 0.2]},
            ]
        },
    }
    late, small, cut = recipe_footage(make_recipe(recipe))
    assert cut.name == "bikes_cuts" and len({late.name, small.name}) == 2
    whole = [moment.clean for moment in video_footage(str(CARPHONE)).play()]
    frames = [moment.clean for moment in late.play()]
    assert len(frames) == 8 and all(torch.equal(*pair) for pair in zip(frames, whole[12:], strict=True))
    for half, frame in zip(small.play(), frames, strict=True):
        torch.testing.assert_close(half.clean, F.avg_pool2d(frame, 2))
    assert [number for number, moment in enumerate(cut.play()) if moment.is_cut] == [10]
    assert len(list(recipe_footage(make_recipe(recipe), 3)[0].play())) == 3


def test_adapters_of_a_baselines_name_are_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base", "motion-fixed"):
        hs.stabilize(Blur(), "motion", example=torch.rand(1, 3, 32, 32)).save(tmp_path / "trained" / name)
    hs.stabilize(Blur(), "motion", example=torch.rand(1, 3, 32, 32)).save(tmp_path / "base")
    labels = [one.label for one in trained(["trained/base", "trained/motion-fixed", "base", "motion-fixed"])]
    assert labels == ["trained/base", "trained/motion-fixed", "./base", "motion-fixed"]


def test_outputs_of_another_size_than_the_truth() -> None:
    def twice(frame: Tensor) -> Tensor:
        return F.interpolate(frame, scale_factor=2)

    clip = [video_footage(str(CARPHONE), 2)]
    with pytest.raises(ConfigError, match=r"gives 352x288 and the truth has 176x144; .*--target self"):
        evaluate(twice, [BASE], clip, target="frames")
    assert evaluate(twice, [BASE], clip, target="self")[0].figures["psnr"] == 100


def test_a_clip_that_is_named_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(CARPHONE, name)
    assert [clip.name for clip in videos(["a.mp4", "b.mp4", "./a.mp4", str(tmp_path / "b.mp4")])] == ["a", "b"]
    assert [clip.name for clip in videos(["a.mp4", "b.mp4", "./a.mp4"])] == ["a", "b"]
