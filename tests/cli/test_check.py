"""``check``: what is printed, written and advised, and what is refused."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from cli.helpers import Cli, texture, write_clip
from conftest import CLIPS


@pytest.fixture
def flickering(tmp_path: Path) -> str:
    """A moving texture, every other frame of which is darker."""
    pictures = [(frame * (0.9 if n % 2 else 1.0)).astype(np.uint8) for n, frame in enumerate(texture(8))]
    return write_clip(tmp_path / "flickering.mkv", pictures, options={"crf": "2"})


@pytest.fixture
def smooth(tmp_path: Path) -> str:
    return write_clip(tmp_path / "smooth.mkv", texture(8), options={"crf": "2"})


def test_what_is_found_is_printed_and_written(cli: Cli, flickering: str) -> None:
    done = cli("check", flickering, "--json", "found.json", "--out", "report")
    assert done.code == 0
    found = json.loads(Path("found.json").read_text())
    assert found == json.loads(Path("report/check.json").read_text())
    assert Path("report/check.png").read_bytes().startswith(b"\x89PNG")
    assert (found["frames"], len(found["shots"]), found["worst"]) == (8, 1, [0.0])
    assert found["wide"] == pytest.approx(0.053, rel=0.2)  # 1 and 0.9, about their mean
    assert f"score {found['score']:.2f}" in done.out
    assert "0:00.00" in done.out
    assert "    " + found["advice"]["command"] in done.out.splitlines()


def test_what_is_advised_runs_and_helps(cli: Cli, flickering: str, smooth: str) -> None:
    scores = {}
    for original in ((), ("--original", smooth)):
        found = json.loads(cli("check", flickering, "--json", "-", *original).out)
        words = shlex.split(found["advice"]["command"])
        assert cli(*words[1:], "--overwrite").code == 0
        after = json.loads(cli("check", words[3], "--json", "-", *original).out)
        scores[original] = found["score"], after["score"]
    assert all(after < before for before, after in scores.values()), scores


def test_a_steady_video_is_left_alone(cli: Cli) -> None:
    done = cli("check", CLIPS / "vdp_ref.mp4", "--duration", "0.2")
    assert "steady; leave it" in done.out
    assert "holdsteady fix" not in done.out


def test_the_part_and_the_cuts_are_those_asked_for(cli: Cli, smooth: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_text("2\n")
    done = cli("check", smooth, "--json", "-", "--start", "0.08", "--duration", "0.2", "--cuts", "cuts.txt")
    found = json.loads(done.out)
    assert [(shot["start"], shot["frames"]) for shot in found["shots"]] == [(0.08, 2), (0.16, 3)]


def test_an_original_of_another_size_and_turn_is_paired(cli: Cli, flickering: str, tmp_path: Path) -> None:
    large = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in texture(8)]
    original = write_clip(tmp_path / "turned.mp4", [np.rot90(frame) for frame in large], rotation=-90)
    found = json.loads(cli("check", flickering, "--json", "-", "--original", original).out)
    assert found["lost"] is not None, "the same picture, once it is turned"
    assert found["source_wide"] < 0.01 < found["wide"]


def test_a_report_replaces_nothing_else(cli: Cli, smooth: str, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mkv", texture(3))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "old.json").write_text("{}")
    before = Path(other).read_bytes()
    for name, words in {
        other: "is the name of a video",
        "new.MP4": "is the name of a video",
        "picture.png": "is the name of a video or an image",
        smooth: "is the source itself",
        "notes.txt": "exists already, and its name does not end in .json",
        "gone/report.json": "does not exist; create it first",
        str(tmp_path): "is a folder; give the name of a file in it",
    }.items():
        done = cli("check", "--json", name, smooth)
        assert done.code == 1 and words in done.error
    assert Path(other).read_bytes() == before and (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "new.MP4").exists()
    assert cli("check", "--json", "old.json", smooth).code == 0
    assert (tmp_path / "old.json").read_text() != "{}"
    assert "can't make the folder 'notes.txt'" in cli("check", "--out", "notes.txt", smooth).error
    (tmp_path / "report").mkdir()
    plot = tmp_path / "report" / "check.png"
    plot.write_bytes(b"a picture")
    assert "is the source itself" in cli("check", plot, "--out", "report").error
    assert plot.read_bytes() == b"a picture"


def test_what_is_refused(cli: Cli, smooth: str, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mkv", texture(3))
    one = write_clip(tmp_path / "one.mkv", texture(1))
    for arguments, words in {
        ("gone.mp4",): "gone.mp4",
        (one,): "there is 1 frame to look at",
        (smooth, "--original", short): "is shorter than",
        (smooth, "--json", "no/such/folder.json"): "can't write no/such/folder.json",
        (smooth, "--out", f"{smooth}/x"): "can't make the folder",
        (smooth, "--cuts", "gone.txt"): "gone.txt",
    }.items():
        done = cli("check", *arguments)
        assert done.code == 1
        assert words in done.error


def test_an_original_of_another_shape_is_told_and_images_are_paired_by_number(
    cli: Cli, smooth: str, tmp_path: Path
) -> None:
    wide = write_clip(tmp_path / "wide.mkv", texture(8, 48, 96))
    for command in (("check", smooth), ("fix", smooth, "out.mkv")):
        done = cli(*command, "--original", wide)
        assert done.code == 0, done.err
        assert "wide.mkv is 96x48, which is stretched to it; crop or pad one of them" in " ".join(done.err.split())
    fast = write_clip(tmp_path / "fast.mkv", texture(8), rate=50, options={"crf": "2"})
    assert cli("run", fast, "images/", "--model", "denoise", "--strength", "0", "--adapter", "none").code == 0
    for command in (("check", fast), ("fix", fast, "steady.mkv")):
        done = cli(*command, "--original", "images")
        assert done.code == 0, done.err
        assert "paired" not in done.err
