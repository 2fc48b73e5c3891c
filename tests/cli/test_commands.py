"""``fix``, ``compare``, ``points``, ``demo``, and the help of every command."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from cli.helpers import Cli, Picture, frames_of, info_of, texture, write_clip

import holdsteady
from holdsteady.metrics import VideoScores

Model = Callable[[str], str]


def brightness(frames: list[Picture]) -> list[float]:
    return [float(frame.mean()) for frame in frames]


def unsteadiness(frames: list[Picture]) -> float:
    return float(np.mean([abs(b - a) for a, b in pairwise(brightness(frames))]))


@pytest.fixture
def flickering(tmp_path: Path) -> str:
    """A moving texture, every other frame of which is darker."""
    pictures = [(frame * (0.85 if n % 2 else 1.0)).astype(np.uint8) for n, frame in enumerate(texture(8))]
    return write_clip(tmp_path / "flickering.mkv", pictures, options={"crf": "2"})


@pytest.fixture
def smooth(tmp_path: Path) -> str:
    return write_clip(tmp_path / "smooth.mkv", texture(8), options={"crf": "2"})


def test_the_version_is_told(cli: Cli) -> None:
    done = cli("--version")
    assert (done.code, done.out) == (0, f"holdsteady {holdsteady.__version__}\n")


def test_fix_steadies_with_and_without_the_original(cli: Cli, flickering: str, smooth: str) -> None:
    before = unsteadiness(frames_of(flickering))
    for name, options in {"alone": (), "following": ("--original", smooth)}.items():
        assert cli("fix", flickering, f"{name}/", *options).code == 0
        after = frames_of(name)
        assert len(after) == 8
        assert unsteadiness(after) < 0.9 * before, name  # of seven steps, the first by halves
        np.testing.assert_array_equal(after[0], frames_of(flickering)[0])
    assert any((a != b).any() for a, b in zip(frames_of("alone"), frames_of("following"), strict=True))


def test_fix_holds_the_light_to_that_of_the_original(cli: Cli, flickering: str, smooth: str) -> None:
    """Every other frame is darker, so that evidence could take long; --deflicker doesn't ask for it."""
    assert cli("fix", flickering, "held/", "--original", smooth, "--deflicker").code == 0
    levels = [[frame.mean() for frame in frames_of(name)] for name in ("held", smooth)]
    ratios = np.divide(*levels)
    assert np.ptp(ratios[3:]) < 0.03  # of 0.15
    assert "--original" in cli("fix", flickering, "alone/", "--deflicker").error
    other = cli("fix", flickering, "other/", "--deflicker", "--original", smooth, "--adapter", "output-fixed:0.3")
    assert "motion-fixed" in other.error


def test_fix_holds_the_light_to_that_of_the_original_by_evidence(cli: Cli, tmp_path: Path) -> None:
    """Gains at random, as of a tool that sees one frame at a time: blind, they can't be told from true ones."""
    pictures = texture(24)
    gains = np.exp(0.05 * np.random.default_rng(0).normal(size=len(pictures)))
    originals = write_clip(tmp_path / "originals.mkv", pictures, options={"crf": "2"})
    darker = [np.clip(0.8 * gain * frame, 0, 255).astype(np.uint8) for gain, frame in zip(gains, pictures, strict=True)]
    processed = write_clip(tmp_path / "processed.mkv", darker, options={"crf": "2"})
    wanted, spread = [frame.mean() for frame in pictures], {}
    for name, options in {"blind": (), "held": ("--original", originals)}.items():
        assert cli("fix", processed, f"{name}/", "--cuts", "off", *options).code == 0
        spread[name] = np.std(np.divide([frame.mean() for frame in frames_of(name)], wanted)[8:])
    before = np.std(np.divide([frame.mean() for frame in darker], wanted)[8:])
    assert spread["held"] < 0.3 * before
    assert spread["held"] < 0.5 * spread["blind"]


@pytest.mark.parametrize("adapter", ["motion-fixed", "universal"])
def test_fix_takes_faint_noise_off_where_it_can_be_nobodys_grain(cli: Cli, tmp_path: Path, adapter: str) -> None:
    """Alone, and with an original that does not have it; with one that has it, it is the camera's, and stays."""
    random, smooth = np.random.default_rng(0), texture(10)
    noisy = [np.clip(frame + random.normal(0, 1.5, frame.shape), 0, 255).round().astype(np.uint8) for frame in smooth]
    processed = write_clip(tmp_path / "noisy.mkv", noisy, codec="ffv1", pix_fmt="bgr0", options={})
    originals = {"clean": smooth, "noisy": noisy}
    ways: dict[str, tuple[str, ...]] = {"alone": ()}
    if adapter == "motion-fixed":
        for name, pictures in originals.items():
            path = write_clip(tmp_path / f"{name}-original.mkv", pictures, codec="ffv1", pix_fmt="bgr0", options={})
            ways[name] = ("--original", path)
    change = {}
    for name, options in ways.items():
        assert cli("fix", processed, f"{name}/", "--adapter", adapter, "--cuts", "off", *options).code == 0
        shown = frames_of(name)[5:]
        change[name] = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(shown, noisy[5:], strict=True)])
    assert change["alone"] > 0.4
    if "noisy" in change:
        assert change["clean"] > 0.4
        assert change["noisy"] < 0.2


def test_fix_follows_the_motion_of_the_original(cli: Cli, smooth: str, tmp_path: Path) -> None:
    """Noise without structure tells nothing of the motion; the original does."""
    random = np.random.default_rng(0)
    still = np.full((48, 64, 3), 120.0)
    dots = [np.clip(still + random.normal(0, 12, still.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    processed = write_clip(tmp_path / "noise.mkv", dots, options={"crf": "0"}, pix_fmt="yuv444p")
    assert cli("fix", processed, "out/", "--original", smooth, "--cuts", "off").code == 0
    assert np.std(frames_of("out")[-1]) < 0.85 * np.std(frames_of(processed)[-1])


def test_fix_strength_and_kinds(cli: Cli, flickering: str) -> None:
    for adapter in ("motion-fixed", "output-fixed:0.3", "output-gaussian:2", "none"):
        assert cli("fix", flickering, "off/", "--adapter", adapter, "--strength", 0, "-y").code == 0
        for a, b in zip(frames_of(flickering), frames_of("off"), strict=True):
            np.testing.assert_array_equal(a, b)
    assert cli("fix", flickering, "half/", "--adapter", "output-fixed:0.3", "--strength", 0.5).code == 0
    assert cli("fix", flickering, "full/", "--adapter", "output-fixed:0.3").code == 0
    full, half, none = (unsteadiness(frames_of(name)) for name in ("full", "half", "off"))
    assert full < half < none


def test_fix_resizes_the_original_and_keeps_the_size(cli: Cli, flickering: str, tmp_path: Path) -> None:
    original = write_clip(tmp_path / "small.mkv", texture(8, 24, 32))
    assert cli("fix", flickering, "out.mkv", "--original", original).code == 0
    info = info_of("out.mkv")
    assert (info.width, info.height, len(frames_of("out.mkv"))) == (64, 48, 8)


def test_fix_keeps_what_was_done_when_the_original_ends(cli: Cli, flickering: str, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mkv", texture(5))
    done = cli("fix", flickering, "out.mkv", "--original", short)
    assert done.code == 1
    assert "short.mkv is shorter than " in done.error
    assert "the 7 frames before it are in out.mkv" in done.error, "the last one serves for two more"
    assert len(frames_of("out.mkv")) == 7


def test_fix_pairs_by_time_and_says_where_rates_differ(cli: Cli, flickering: str, smooth: str, tmp_path: Path) -> None:
    """An original of twice the rate gives, by time, what one of the same rate gives."""
    double = write_clip(tmp_path / "double.mkv", [frame for frame in texture(8) for _ in range(2)], rate=50)
    right, wrong = tmp_path / "right", tmp_path / "double"
    done = cli("fix", flickering, f"{right}/", "--original", smooth)
    assert "paired by their times" not in done.err
    done = cli("fix", flickering, f"{wrong}/", "--original", double)
    assert "flickering.mkv has 25 frames per second, " in done.err
    assert "double.mkv 50: frames are paired by their times" in done.err
    for a, b in zip(frames_of(right), frames_of(wrong), strict=True):
        assert np.abs(a.astype(int) - b).mean() < 0.5


def test_fix_refuses(cli: Cli, flickering: str, smooth: str) -> None:
    for options, words in {
        ("--original", "gone.mkv"): "gone.mkv: no such file or folder",
        ("--original", smooth, "--adapter", "output-fixed:0.5"): "--original goes with --adapter motion-fixed",
        ("--original", smooth, "--adapter", "none"): "--original goes with --adapter motion-fixed",
        ("--adapter", "simple-fixed:0.5"): "simple-fixed works inside a network, and here there is none",
        ("--adapter", "spatial"): "'spatial' has to be trained first",
        ("--adapter", "motion-fixed@input"): "fix has no model that sees the input: leave out @input",
        ("--adapter", "motion-fixed@input+motion-fixed"): "fix has no model that sees the input: leave out @input",
        ("--adapter", "live@input"): "for the input take motion-fixed@input",
        ("--adapter", "live@body.1"): "'body.1' is inside a network, and here there is none: leave out @body.1",
    }.items():
        done = cli("fix", flickering, "out.mkv", *options)
        assert done.code == 1
        assert words in done.error
        assert not Path("out.mkv").exists()


def test_fix_leaves_the_original(cli: Cli, flickering: str, smooth: str, tmp_path: Path) -> None:
    before = Path(smooth).read_bytes()
    done = cli("fix", flickering, smooth, "--original", smooth, "-y")
    assert done.code == 1 and "is the source itself" in done.error
    assert Path(smooth).read_bytes() == before
    for name in ("frames", "more"):
        assert cli("corrupt", smooth, f"{name}/", "--with", "gaussian").code == 0
    pictures = [path.read_bytes() for path in sorted((tmp_path / "frames").iterdir())]
    assert "is the source itself" in cli("fix", "more/", "frames/", "--original", "frames/*.png", "-y").error
    assert [path.read_bytes() for path in sorted((tmp_path / "frames").iterdir())] == pictures


def test_results_of_a_comparison_or_an_evaluation_replace_no_source(cli: Cli, smooth: str, flickering: str) -> None:
    Path("comparison").mkdir()
    mine = shutil.copy(smooth, "comparison/side-by-side.mp4")
    beside = shutil.copy(smooth, "comparison/beside.mkv")
    before = Path(mine).read_bytes()
    for arguments in ((flickering, mine), (flickering, beside, "--truth", mine)):
        assert "is the source itself" in cli("compare", *arguments).error
    assert Path(mine).read_bytes() == before
    assert cli("compare", flickering, beside, "--out", "comparison/new").code == 0
    assert cli("corrupt", smooth, "frames/", "--with", "gaussian").code == 0
    done = cli("eval", "--model", "denoise", "--clips", "frames", "--out", "frames", "--frames", 2)
    assert done.code == 1 and "is the source itself" in done.error


def tensors(source: str, count: int) -> list[torch.Tensor]:
    return [torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in frames_of(source)[:count]]


def scores_of(source: str, truth: str | None, count: int) -> dict[str, float]:
    scores = VideoScores()
    for number, frame in enumerate(tensors(source, count)):
        scores.update(frame, None if truth is None else tensors(truth, count)[number])
    return scores.compute()


def test_compare_measures_against_the_truth(cli: Cli, flickering: str, smooth: str, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short [v2].mkv", texture(6), options={"crf": "30"})
    done = cli("compare", flickering, short, "--truth", smooth, "--out", "report")
    assert done.code == 0, done.err
    saved = json.loads(Path("report/scores.json").read_text())
    assert list(saved) == ["flickering", "short [v2]", "truth"]
    for label, source in {"flickering": flickering, "short [v2]": short}.items():
        wanted = scores_of(source, smooth, 6)
        assert saved[label] == pytest.approx(wanted, rel=1e-5)
        figures = [
            f"{wanted['psnr']:.2f}",
            f"{wanted['ssim']:.4f}",
            f"{wanted['instability']:.2f}",
            f"{100 * wanted['instability_rms']:.2f}",
            f"{100 * wanted['flicker_error']:.2f}",
        ]
        row = next(line for line in done.out.splitlines() if f" {label} " in line)
        assert [cell.strip() for cell in row.split("│")[2:-1]] == figures
        assert f"| {label} | {' | '.join(figures)} |" in Path("report/scores.md").read_text()
    assert "only the first 6 frames were compared; longer: flickering, truth" in done.out
    assert len(frames_of("report/side-by-side.mp4")) == 6
    for name in ("time-slice.png", "flicker.png"):
        assert cv2.imread(f"report/{name}").std() > 1


def test_compare_does_not_count_a_new_shot_as_flicker(cli: Cli, bikes: str, tmp_path: Path) -> None:
    twin = str(tmp_path / "twin.mp4")
    shutil.copy(bikes, twin)
    for cuts, shots in {"auto": (10, 56), "off": ()}.items():
        assert cli("compare", bikes, twin, "--out", cuts, "--cuts", cuts).code == 0
        scores = VideoScores()
        for number, frame in enumerate(tensors(bikes, 70)):
            if number in shots:
                scores.cut()
            scores.update(frame)
        saved = json.loads(Path(f"{cuts}/scores.json").read_text())["twin"]
        assert saved == pytest.approx(scores.compute(), rel=1e-5)


def test_compare_without_truth_and_with_equal_names(cli: Cli, smooth: str, flickering: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = Path(flickering).rename(tmp_path / "other/smooth.mkv")
    done = cli("compare", smooth, twin, "--start", 0.08, "--duration", 0.16)
    assert done.code == 0
    saved = json.loads(Path("comparison/scores.json").read_text())
    assert list(saved) == [smooth, str(twin)]
    assert saved[smooth].keys() == {"instability", "instability_rms"}
    assert saved[smooth]["instability"] < saved[str(twin)]["instability"]
    assert len(frames_of("comparison/side-by-side.mp4")) == 4
    assert "is longer" not in done.out


def test_compare_says_that_rates_differ(cli: Cli, tmp_path: Path) -> None:
    pictures = texture(8)
    every = write_clip(tmp_path / "every.mkv", pictures, rate=25)
    second = write_clip(tmp_path / "second.mkv", pictures[::2], rate=12)
    for words in ((every, second), (second, "--truth", every)):
        done = cli("compare", *words)
        assert done.code == 0 and "frames per second" in done.err and "compared one by one, by their number" in done.err
    slower = write_clip(tmp_path / "slower.mkv", pictures, rate=12)  # as many: frames belong together
    assert "frames per second" not in cli("compare", every, slower).err


def test_compare_refuses(cli: Cli, smooth: str, carphone: str, tmp_path: Path) -> None:
    tiny = write_clip(tmp_path / "tiny.mkv", texture(2, 8, 8))
    Path("file").touch()
    for arguments, words in {
        (smooth, carphone): "videos of different sizes can't be compared: smooth 64×48, carphone 176×144",
        (smooth, "--truth", carphone): "smooth 64×48, truth 176×144",
        (smooth, "gone.mkv"): "gone.mkv: no such file or folder",
        (smooth, smooth): "smooth.mkv is given twice",
        (smooth,): "smooth.mkv is the only video: give another one to compare it with, or --truth",
        (smooth, carphone, "--out", "file"): "can't make the folder 'file'",
        (tiny, "--truth", tiny): "at least 11×11 pixels",
    }.items():
        done = cli("compare", *arguments)
        assert done.code == 1
        assert words in done.error
    assert not list(tmp_path.rglob("*.mp4"))
    assert not Path("comparison").exists()


def test_points_lists_what_there_is(cli: Cli, model: Model) -> None:
    done = cli("points", model("Blur"), "--size", "48x32")
    assert done.code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if "│" in line]
    assert rows == [
        ["input", "–", "3×32×48", "map", "0.0%"],
        ["conv", "Conv2d", "3×32×48", "map", "100.0%"],
        ["output", "–", "3×32×48", "map", "0.0%"],
    ]
    only = cli("points", model("Blur"), "--size", "48×32", "--select", "c*", "-s", "output")
    assert "2 points of" in only.out
    assert [line.split("│")[1].strip() for line in only.out.splitlines() if "│" in line] == ["conv", "output"]


def test_points_auto_of_the_shipped_model(cli: Cli) -> None:
    done = cli("points", "denoise", "--select", "auto", "--size", "64x64")
    names = [line.split("│")[1].strip() for line in done.out.splitlines() if "│" in line]
    assert len(names) == 10, "nine blocks and the output"
    assert names[-1] == "output"
    assert done.out.count("NAFBlock") == 9


def test_points_refuses(cli: Cli, model: Model) -> None:
    for arguments, words in {
        (model("Blur"), "--select", "convv"): "(did you mean conv",
        (model("Blur"), "--size", "huge"): "give width x height, as in 640x480",
        (model("Blur"), "--size", "0x20"): "give width x height, as in 640x480",
        (model("Stride16"), "--size", "250x250"): "AssertionError: sides have to be multiples of 16 (tiny_models.py",
        (model("Gone"),): "defines no 'Gone'",
    }.items():
        done = cli("points", *arguments)
        assert done.code == 1
        assert words in done.error


def test_demo(cli: Cli) -> None:
    done = cli("demo", "--frames", 4, "--out", "shown")
    assert done.code == 0, done.err
    variants = ["clean", "noisy", "frame-by-frame", "output-fixed-0.6", "motion-fixed", "motion-trained"]
    videos = [f"{name}.mp4" for name in (*variants, "side-by-side")]
    others = ["time-slice.png", "flicker.png", "scores.json", "scores.md"]
    assert sorted(path.name for path in Path("shown").iterdir()) == sorted([*videos, *others])
    for name in videos:
        assert len(frames_of(f"shown/{name}")) == 4
    scores = json.loads(Path("shown/scores.json").read_text())
    assert list(scores) == [
        "noisy",
        "frame by frame",
        "output-fixed:0.6",
        "motion-fixed",
        "motion (trained)",
        "truth",
    ]
    for label in list(scores)[1:5]:
        row = next(line for line in done.out.splitlines() if f" {label} " in line)
        assert f"{scores[label]['psnr']:.2f}" in row
        assert scores[label]["ms_per_frame"] > 0
    flicker = {label: scores[label]["flicker_error"] for label in list(scores)[1:5]}
    assert max(flicker["motion (trained)"], flicker["motion-fixed"]) < 0.9 * flicker["frame by frame"]
    assert re.search(r"Gaussian noise σ = 50/255, seed 0, 4 frames", done.out)

    # Its own videos are made again, those of others are left.
    with av.open("shown/clean.mp4") as container:
        assert container.metadata["title"] == "holdsteady demo"
    Path("mine").mkdir()
    noisy = write_clip(Path("mine/noisy.mp4"), texture(2))
    before = Path(noisy).read_bytes()
    assert "mine/noisy.mp4: exists already, and no demo made it" in cli("demo", "--frames", 2, "--out", "mine").error
    assert Path(noisy).read_bytes() == before
    Path(noisy).write_bytes(Path("shown/noisy.mp4").read_bytes())
    assert cli("demo", "--frames", 2, "--out", "mine").code == 0

    assert cli("demo", "--frames", 1).code == 2
    Path("file").touch()
    assert "can't make the folder 'file'" in cli("demo", "--out", "file").error


def test_help_shows_examples(cli: Cli) -> None:
    for command in ("run", "fix", "compare", "points", "demo", "corrupt", "theory", "train", "eval"):
        for option in ("--help", "-h"):
            done = cli(command, option)
            assert done.code == 0
            assert re.search(rf"holdsteady {command} \S", done.out[done.out.index("Example") :])
    done = cli("--help")
    assert done.code == 0
    assert all(
        f" {command} " in done.out
        for command in ("run", "fix", "compare", "points", "demo", "corrupt", "theory", "train", "eval")
    )
    assert "Usage" in cli().out + cli().err
