"""``holdsteady run``: what a user gets from it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from cli.helpers import Cli, Picture, difference, frames_of, info_of, texture, times_of, write_clip

import holdsteady as hs
from holdsteady import zoo
from holdsteady.loading import load

Model = Callable[[str], str]


def run_to_pngs(cli: Cli, source: str, name: str, *options: object) -> list[Picture]:
    """The exact frames that a run gives."""
    done = cli("run", source, f"{name}/", *options)
    assert done.code == 0, done.err
    return frames_of(name)


def test_frames_size_rate_shape_and_audio_are_kept(cli: Cli, model: Model, bunny: str, carphone: str) -> None:
    assert cli("run", bunny, "out.mp4", "--model", model("Identity"), "--adapter", "none", "--crf", 4).code == 0
    before, after = info_of(bunny), info_of("out.mp4")
    assert (after.width, after.height, after.rate, after.bits) == (320, 180, before.rate, 8)
    assert times_of("out.mp4") == times_of(bunny)
    assert max(difference(a, b) for a, b in zip(frames_of(bunny), frames_of("out.mp4"), strict=True)) < 2
    with av.open(bunny) as source, av.open("out.mp4") as sink:
        packets = [[bytes(p) for p in file.demux(audio=0) if p.size] for file in (source, sink)]
    assert packets[0] == packets[1], "audio is copied, not encoded again"

    assert cli("run", carphone, "phone.mkv", "--model", model("make_blur"), "--duration", 0.2).code == 0
    assert info_of("phone.mkv").pixel_aspect == info_of(carphone).pixel_aspect


def test_the_report_names_the_result_its_frames_and_shots(cli: Cli, model: Model, bikes: str) -> None:
    done = cli("run", bikes, "cut [draft].mp4", "--model", model("Identity"), "--adapter", "output-fixed:0.5")
    assert "cut [draft].mp4: 70 frames in " in done.err
    assert done.err.rstrip().endswith("3 shots")
    assert "70/70" in done.err, "the progress bar"
    assert done.out == ""


def recursion(frames: list[Picture], beta: float, resets: set[int]) -> list[Picture]:
    """Output fixed, from its formula."""
    out: list[Picture] = []
    for number, frame in enumerate(frames):
        fresh = not out or number in resets
        out.append(frame.astype(float) if fresh else beta * frame + (1 - beta) * out[-1])
    return out


@pytest.mark.parametrize(("cuts", "resets"), [("auto", {10}), ("off", set()), ("file", {4, 7})])
def test_memory_is_cleared_where_a_shot_begins(
    cli: Cli, model: Model, bikes: str, cuts: str, resets: set[int], tmp_path: Path
) -> None:
    if cuts == "file":
        cuts = str(tmp_path / "cuts.txt")
        Path(cuts).write_text("4  # a flash\n\n7\n")
    result = run_to_pngs(
        cli,
        bikes,
        "out",
        *("--model", model("Identity"), "--adapter", "output-fixed:0.5", "--cuts", cuts, "--duration", 0.56),
    )
    frames = frames_of(bikes)[:14]
    expected = recursion(frames, 0.5, resets)
    for number, (shown, wanted) in enumerate(zip(result, expected, strict=True)):
        assert np.abs(shown - wanted).max() <= 0.51, number
    for number in resets:
        np.testing.assert_array_equal(result[number], frames[number])
    if not resets:
        assert difference(result[10], frames[10]) > 20, "without a reset the old shot shows through"


def test_adapters_change_what_they_should(cli: Cli, model: Model, carphone: str) -> None:
    common = ("--model", model("Flicker"), "--duration", 0.3, "--cuts", "off")
    base = run_to_pngs(cli, carphone, "none", *common, "--adapter", "none")
    off = run_to_pngs(cli, carphone, "off", *common, "--adapter", "motion-fixed", "--strength", 0)
    for a, b in zip(base, off, strict=True):
        np.testing.assert_array_equal(a, b)
    flicker = brightness_changes(base)
    assert flicker > 10
    fixed = run_to_pngs(cli, carphone, "fixed", *common, "--adapter", "output-fixed:0.3")
    assert brightness_changes(fixed) < 0.5 * flicker
    half = run_to_pngs(cli, carphone, "half", *common, "--adapter", "output-fixed:0.3", "--strength", 0.5)
    assert brightness_changes(fixed) < brightness_changes(half) < flicker
    default = run_to_pngs(cli, carphone, "default", *common)
    named = run_to_pngs(cli, carphone, "named", *common, "--adapter", "motion-fixed")
    assert brightness_changes(default) < flicker
    for a, b in zip(default, named, strict=True):
        np.testing.assert_array_equal(a, b)


def brightness_changes(frames: list[Picture]) -> float:
    return float(np.mean([abs(float(b.mean()) - float(a.mean())) for a, b in pairwise(frames)]))


@pytest.mark.parametrize(
    ("kind", "settings"), [("simple-learned", {"initial_a": 0.0}), ("motion", {"initial_logit": 1.0})]
)
def test_saved_adapter(cli: Cli, model: Model, carphone: str, kind: str, settings: dict[str, float]) -> None:
    spec = model("Blur")
    base = load(spec)
    torch.manual_seed(0)
    steady = hs.stabilize(base, kind, example=torch.rand(1, 3, 144, 176), **settings)
    steady.save("saved")
    result = run_to_pngs(cli, carphone, "out", "--model", spec, "--adapter", "saved", "--duration", 0.15)
    frames = frames_of(carphone)[: len(result)]
    assert len(result) == 5
    with torch.inference_mode():
        for frame, shown in zip(frames, result, strict=True):
            out = steady(torch.from_numpy(frame).permute(2, 0, 1)[None] / 255)
            wanted = (out[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            assert np.abs(shown.astype(int) - wanted).max() <= 1
    plain = run_to_pngs(cli, carphone, "plain", "--model", spec, "--adapter", "none", "--duration", 0.15)
    np.testing.assert_array_equal(plain[0], result[0])
    assert difference(plain[4], result[4]) > 0.2


def test_start_and_duration(cli: Cli, model: Model, bikes: str) -> None:
    options = ("--model", model("Identity"), "--adapter", "none", "--start", 0.4, "--duration", 0.2)
    part = run_to_pngs(cli, bikes, "out", *options)
    for a, b in zip(part, frames_of(bikes)[10:15], strict=True):
        np.testing.assert_array_equal(a, b)
    assert cli("run", bikes, "out.mp4", *options).code == 0
    assert times_of("out.mp4")[0] == 0


def test_side_by_side_shows_input_and_result(cli: Cli, model: Model, carphone: str) -> None:
    options = ("--model", model("invert"), "--adapter", "none", "--duration", 0.1, "--side-by-side")
    for frame, shown in zip(frames_of(carphone)[:3], run_to_pngs(cli, carphone, "out", *options), strict=True):
        np.testing.assert_array_equal(shown, np.concatenate([frame, 255 - frame], axis=1))


def test_any_size_and_one_frame_through_a_model_that_is_picky(cli: Cli, model: Model, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "odd.mkv", texture(1, 37, 53), pix_fmt="yuv444p")
    result = run_to_pngs(cli, source, "out", "--model", model("Stride16"))
    np.testing.assert_array_equal(result, frames_of(source))
    assert cli("run", source, "out.mp4", "--model", model("Stride16")).code == 0
    assert difference(frames_of("out.mp4")[0], frames_of(source)[0]) < 4
    assert len(frames_of("out.mp4")) == 1


def test_super_resolution(cli: Cli, model: Model, carphone: str) -> None:
    assert cli("run", carphone, "out.mp4", "--model", model("Double"), "--duration", 0.1, "--crf", 2).code == 0
    info = info_of("out.mp4")
    assert (info.width, info.height) == (352, 288)
    doubled = frames_of(carphone)[0].repeat(2, 0).repeat(2, 1)
    assert difference(frames_of("out.mp4")[0], doubled) < 3


def test_depth_is_shown_grey_by_the_range_of_the_first_frame(cli: Cli, model: Model, carphone: str) -> None:
    options = ("--model", model("Depth"), "--adapter", "none", "--duration", 0.15)
    result = run_to_pngs(cli, carphone, "out", *options)
    grey = [frame.astype(float).mean(axis=2) for frame in frames_of(carphone)[:5]]
    low, high = np.quantile(grey[0], (0.002, 0.998))
    for number, (shown, brightness) in enumerate(zip(result, grey, strict=True)):
        wanted = np.clip((brightness - low) / (high - low), 0, 1) * 255
        # The range follows slowly.
        assert np.abs(shown - wanted[..., None]).max() < (0.6 if number == 0 else 5)


def test_logits_are_shown_as_colours(cli: Cli, model: Model, carphone: str) -> None:
    result = run_to_pngs(cli, carphone, "out", "--model", model("Logits"), "--duration", 0.1)
    left, right = result[2][:, :88], result[2][:, 88:]
    assert left.std(axis=(0, 1)).max() == right.std(axis=(0, 1)).max() == 0
    assert np.abs(left[0, 0].astype(int) - right[0, 0]).max() > 60


def test_folder_and_glob_of_images(cli: Cli, model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pictures = texture(11)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"shot{number}.png"), picture[..., ::-1])
    (folder / "notes.txt").write_text("not a picture")
    options = ("--model", model("Identity"), "--adapter", "none")
    np.testing.assert_array_equal(run_to_pngs(cli, "in", "folder", *options), pictures)
    assert sorted(path.name for path in Path("folder").iterdir())[:2] == ["shot0.png", "shot1.png"]
    chosen = run_to_pngs(cli, f"{folder}/shot1*.png", "glob", *options)
    np.testing.assert_array_equal(chosen, [pictures[1], pictures[10]])
    assert cli("run", "in", "out.mp4", *options).code == 0
    assert (len(frames_of("out.mp4")), info_of("out.mp4").rate) == (11, 25)


def test_ten_bits_stay_ten_bits(cli: Cli, model: Model, tmp_path: Path) -> None:
    deep = [picture.astype(np.uint16) * 257 for picture in texture(3)]
    source = write_clip(tmp_path / "deep.mkv", deep, pix_fmt="yuv420p10le")
    assert cli("run", source, "out.mp4", "--model", model("Identity"), "--adapter", "none", "--crf", 1).code == 0
    info = info_of("out.mp4")
    assert (info.bits, info.pix_fmt) == (10, "yuv420p10le")
    for a, b in zip(frames_of(source), frames_of("out.mp4"), strict=True):
        assert a.dtype == b.dtype == np.uint16
        assert difference(a, b) / 257 < 3
        assert len(np.unique(b % 257)) > 100, "values between those of eight bits"


def test_variable_frame_rate_is_kept(cli: Cli, model: Model, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "vfr.mkv", texture(6), times=[0, 1, 4, 5, 11, 12])
    assert cli("run", source, "out.mkv", "--model", model("Blur")).code == 0
    assert times_of("out.mkv") == times_of(source)
    assert float(times_of("out.mkv")[4]) == pytest.approx(0.44, abs=1e-3)


def test_a_turned_video_stays_turned_and_the_model_sees_it_upright(cli: Cli, model: Model, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "phone.mp4", texture(2, 48, 64), rotation=90)
    assert cli("run", source, "out.mp4", "--model", model("Logits"), "--adapter", "none").code == 0
    info = info_of("out.mp4")
    assert (info.rotation, info.width, info.height) == (90, 64, 48)
    upright = np.rot90(frames_of("out.mp4")[0]).astype(int)
    assert upright.shape == (64, 48, 3)
    # The model paints the left half of what it sees in another colour than the right half.
    assert np.abs(upright[:, :20] - upright[:1, :1]).max() < 25
    assert np.abs(upright[:, 2:20].mean((0, 1)) - upright[:, 28:46].mean((0, 1))).max() > 60


def test_bfloat16_is_nearly_the_same(cli: Cli, model: Model, carphone: str) -> None:
    common = ("--model", model("Blur"), "--duration", 0.15)
    full = run_to_pngs(cli, carphone, "full", *common)
    half = run_to_pngs(cli, carphone, "half", *common, "--dtype", "bfloat16")
    differences = [difference(a, b) for a, b in zip(full, half, strict=True)]
    assert 0 < max(differences) < 2


def test_nan_is_told_and_gone_in_the_next_frame(cli: Cli, model: Model, carphone: str) -> None:
    done = cli("run", carphone, "out/", "--model", model("NanAt2"), "--adapter", "output-fixed:0.5", "--duration", 0.2)
    assert done.code == 0
    assert "warning: the model returned NaN for 100 pixels; they were written as 0" in done.err
    assert done.err.rstrip().endswith(" frames/s, 100 NaN pixels")
    frames, result = frames_of(carphone), frames_of("out")
    assert result[2][:10, :10].max() == 0
    assert difference(result[2][12:], frames[2][12:]) < 5
    assert all(difference(result[n], frames[n]) < 5 for n in (3, 4, 5))


def test_an_existing_result_is_kept_unless_told_otherwise(cli: Cli, model: Model, carphone: str) -> None:
    Path("out.mp4").write_text("precious")
    options = ("--model", model("Identity"), "--adapter", "none", "--duration", 0.1)
    done = cli("run", carphone, "out.mp4", *options)
    assert (done.code, Path("out.mp4").read_text()) == (1, "precious")
    assert "--overwrite" in done.error
    assert cli("run", carphone, "out.mp4", *options, "--overwrite").code == 0
    assert len(frames_of("out.mp4")) == 3

    Path("pngs").mkdir()
    Path("pngs/mine.png").write_text("precious")
    done = cli("run", carphone, "pngs", *options)
    assert (done.code, "not empty" in done.error) == (1, True)
    assert cli("run", carphone, "pngs", *options, "-y").code == 0
    assert Path("pngs/mine.png").read_text() == "precious"
    assert len(list(Path("pngs").iterdir())) == 4


def test_shipped_model_is_the_one_of_the_zoo(cli: Cli, carphone: str) -> None:
    options = ("--model", "denoise", "--adapter", "none", "--duration", 0.06)
    result = run_to_pngs(cli, carphone, "out", *options)
    network = zoo.load("denoise")
    for frame, shown in zip(frames_of(carphone)[:2], result, strict=True):
        with torch.inference_mode():
            out = network(torch.from_numpy(frame).permute(2, 0, 1)[None] / 255)
        wanted = (out[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        assert np.abs(shown - wanted).max() < 0.6
