"""What peers.py compares with does what it is named after, and the best setting is the one that is kept."""

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import bars
import outcome
import peer_formulas
import peer_tools
import peers
import pytest
import scenarios
import torch
from conftest import CLIPS
from scenarios import Clip, Moment
from torch import Tensor
from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

ROOT = Path(__file__).parents[1]
CARPHONE = Clip(CLIPS / "carphone.mp4", count=6)


def moments_of(outputs: Tensor, frames: Tensor | None = None) -> list[Moment]:
    """A scenario from outputs (T, C, H, W); the frames are the same unless they are given."""
    frames = outputs if frames is None else frames
    return [Moment(x[None], z[None], z[None]) for x, z in zip(frames, outputs, strict=True)]


def random_clip(frames: int = 6) -> Tensor:
    return torch.rand(frames, 3, 48, 64, generator=torch.Generator().manual_seed(0))


# --- Tools ---


def test_a_filter_graph_keeps_sixteen_bits() -> None:
    clip = random_clip()
    found = torch.cat(peer_tools.ffmpeg(moments_of(clip), "format=gbrp16le"))
    torch.testing.assert_close(found, clip, rtol=0, atol=0.6 / 65535)


def test_tmix_is_the_mean_of_the_last_frames() -> None:
    clip = random_clip()
    found = torch.cat(peer_tools.ffmpeg(moments_of(clip), "format=gbrp16le,tmix=frames=3"))
    torch.testing.assert_close(found[2:], (clip[:-2] + clip[1:-1] + clip[2:]) / 3, rtol=0, atol=2 / 65535)


def test_tmedian_is_centred_and_keeps_the_number_of_frames() -> None:
    clip = random_clip()
    (median,) = (peers.peers([])["tmedian"].settings["radius=1"],)
    found = torch.cat(median(moments_of(clip)))
    around = torch.cat((clip[:1], clip, clip[-1:]))
    expected = torch.stack((around[:-2], around[1:-1], around[2:])).median(dim=0).values
    torch.testing.assert_close(found, expected, rtol=0, atol=1 / 65535)


def test_every_peer_gives_as_many_frames_as_it_gets() -> None:
    """Of whom can be run here, each with its first setting."""
    moments = list(scenarios.noisy("noise", CARPHONE, 0.05).play())
    here = {name: peer for name, peer in peers.peers(["motion-fixed"]).items() if not peer.missing}
    assert {"atadenoise", "MDegrain", "VideoDeflicker", "motion-fixed"} <= {*here}
    for name, peer in here.items():
        outputs = next(iter(peer.settings.values()))(moments)
        assert len(outputs) == len(moments), name
        for moment, output in zip(moments, outputs, strict=True):
            assert output.shape == moment.output.shape and output.isfinite().all(), name
            assert (output - moment.output).abs().mean() < 0.1, name


def test_a_tool_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert peer_tools.temporalfix_folder(tmp_path) is None
    assert "--temporalfix" in peers.peers([], tmp_path)["vs_temporalfix"].missing
    (tmp_path / "temporalfix_arch.py").touch()
    assert peers.peers([], tmp_path)["vs_temporalfix"].missing == ""
    monkeypatch.setattr(peer_tools, "filters_available", {"tmix"})
    monkeypatch.setattr(peer_tools.importlib.util, "find_spec", lambda _name: None)
    assert "holdsteady[peers]" in peer_tools.no_filter("hqdn3d") and not peer_tools.no_filter("tmix")


# --- Formulas ---


@pytest.mark.parametrize(("difference", "weight"), [(0.0, 1.0), (0.05, 0.6), (0.1, 0.0), (0.2, 0.0)])
def test_weight_of_mdegrain(difference: float, weight: float) -> None:
    """T = 0.1: (T² − S²)/(T² + S²) is (4 − 1)/(4 + 1) at half of it."""
    flat = torch.full((1, 3, 20, 24), 0.5)
    found = peer_formulas.degrain_weight(flat, flat + difference, 0.1)
    torch.testing.assert_close(found, torch.full((1, 1, 20, 24), weight), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        partial(peer_formulas.degrain, radius=2, threshold=0.1),
        partial(peer_formulas.recursive_degrain, threshold=0.1),
        partial(peer_formulas.guided_deflicker, strength=3.0, both=True),
        partial(peer_formulas.steady_statistics, present=0.1),
    ],
)
def test_a_still_scene_stays(method: peers.Method) -> None:
    clip = next(CARPHONE.frames()).expand(4, -1, -1, -1)
    torch.testing.assert_close(torch.cat(method(moments_of(clip))), clip, rtol=0, atol=5e-4)


def test_degraining_averages_noise_on_both_sides() -> None:
    """Of a still scene and a high threshold: five frames with the weight of one each, at the ends three."""
    still, sigma = next(CARPHONE.frames()), 0.01
    clip = still + sigma * torch.randn(9, *still.shape[1:], generator=torch.Generator().manual_seed(0))
    found = torch.cat(peer_formulas.degrain(moments_of(clip), radius=2, threshold=10.0))
    # Motion that is found in noise leaves a little of it.
    assert (found - still)[4].std() == pytest.approx(sigma / math.sqrt(5), rel=0.35)
    assert (found - still)[0].std() == pytest.approx(sigma / math.sqrt(3), rel=0.35)


def test_a_guide_that_changes_keeps_the_deflicker_off() -> None:
    still = next(CARPHONE.frames())
    gains = torch.tensor([1.0, 0.95, 1.05, 0.97])[:, None, None, None]
    deflicker = partial(peer_formulas.guided_deflicker, strength=10.0, both=False)
    steady, changed = moments_of(still * gains, still.expand(4, -1, -1, -1)), moments_of(still * gains, still * gains)
    light = moments_of(still * gains, still * torch.tensor([1.0, 0.2, 1.0, 0.2])[:, None, None, None])
    levels = [torch.cat(deflicker(one)).mean(dim=(1, 2, 3)).std().item() for one in (steady, changed, light)]
    plain = (still * gains).mean(dim=(1, 2, 3)).std().item()
    assert levels[0] < 0.4 * plain and levels[0] < levels[1] and levels[2] > 0.8 * plain
    none = deflicker(steady, strength=0.0)
    assert all(torch.equal(output, moment.output) for output, moment in zip(none, steady, strict=True))


def test_statistics_follow_their_average() -> None:
    clip = random_clip(3) * torch.tensor([1.0, 0.5, 0.8])[:, None, None, None]
    found = torch.cat(peer_formulas.steady_statistics(moments_of(clip), present=0.25))
    for function in (torch.mean, torch.std):
        kept = function(clip[0], dim=(1, 2))
        for number in range(1, 3):
            kept = 0.75 * kept + 0.25 * function(clip[number], dim=(1, 2))
            torch.testing.assert_close(function(found[number], dim=(1, 2)), kept)


# --- The choice, and the tables ---


def nearer_to_truth(moments: Sequence[Moment], by: float) -> list[Tensor]:
    """Outputs that are led some of the way to the truth."""
    return [torch.lerp(m.output, m.truth, by) for m in moments if m.truth is not None]


def test_the_best_setting_is_kept_and_goes_to_what_is_reported() -> None:
    peer = peers.Peer("–", {f"by {by}": partial(nearer_to_truth, by=by) for by in (0.0, 0.9, 0.5)})
    judge = peers.Judge()
    on = {"noise": [scenarios.noisy("noise, carphone", CARPHONE, 0.1)], "replays": []}
    played = peers.play(on, 4, judge)
    row = peers.measure(peer, played, {"noise": played["noise"]}, judge)
    assert row["settings"] == {"noise": "by 0.9"}
    (figures,) = row["chosen"]["noise"].values()
    assert figures["gain"] == pytest.approx(20, abs=0.1) and figures["ratio"] == pytest.approx(0.1, abs=1e-3)
    assert row["reported"] == row["chosen"]
    row["time"] = peers.time_of(peer, "by 0.9", played["noise"]["noise, carphone"].moments, peers.ours("motion-fixed"))
    assert 0 < row["time"]["over ours"] < 1, "one lerp takes less than a step"

    text = peers.tables({"peers": {"lerp": row}, "notes": [judge.without]})
    assert "| lerp | – |" in text and "+20.0" in text and "by 0.9" in text


def test_merit_counts_gain_and_flicker_alike() -> None:
    assert peers.merit([{"gain": 1.0, "ratio": 0.1}, {"gain": 3.0, "ratio": 1.0}]) == pytest.approx((21 + 3) / 2)


def test_lpips_is_measured_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert Path(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name in peers.Judge().without
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    # Of random numbers: a distance all the same.
    file = folder / Path(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name
    torch.save(squeezenet1_1(weights=None).state_dict(), file)
    judge = peers.Judge()
    moments = list(scenarios.noisy("noise", CARPHONE, 0.1).play())[:2]
    assert not judge.without
    assert judge(moments, [m.output for m in moments])["lpips"] > 1e-3
    assert judge(moments, nearer_to_truth(moments, 1.0))["lpips"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("program", "table"), [("bars.py", bars.table), ("peers.py", peers.tables)])
def test_the_page_shows_the_results(program: str, table: object) -> None:
    assert callable(table)
    results = json.loads((ROOT / "benchmarks" / "results" / program.replace(".py", ".json")).read_text())
    page = (ROOT / "docs" / "peers.md").read_text()
    assert outcome.shown_in(page, program) == table(results).strip()
    assert results["quick"] is False and results["seed"] == 0 and "CPU" in results["machine"]
