"""Files whose names are no text, or hold what tables, plots and formulas take for their own."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.helpers import Cli, texture, write_clip

ODD = [os.fsdecode(b"caf\xe9"), r"$\x$", "a|b", "[red]c", "n\nl"]


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    """A clip under each of the names."""
    return [Path(write_clip(tmp_path / f"{name}.mkv", texture(3))).name for name in ODD]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_check_and_its_report(cli: Cli, clips: list[str], number: int) -> None:
    done = cli("check", clips[number], "--original", clips[number], "--json", "report.json", "--out", "plot")
    assert done.code == 0, done.err
    assert json.loads(Path("report.json").read_text())["video"] == clips[number]
    assert Path("plot/check.png").stat().st_size > 1000
    printed = cli("check", clips[number], "--json", "-").out
    assert json.loads(printed)["video"] == clips[number]


def test_a_comparison(cli: Cli, clips: list[str]) -> None:
    done = cli("compare", *clips, "--out", "result")
    assert done.code == 0, done.err
    labels = ["caf\\xe9", r"$\x$", "a|b", "[red]c", "n\\nl"]
    assert list(json.loads(Path("result/scores.json").read_text())) == labels
    assert all(label in done.out for label in labels)
    rows = Path("result/scores.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [label.replace("|", r"\|") for label in labels]


def test_a_batch_into_the_folder_of_its_videos(cli: Cli, clips: list[str], model: Callable[[str], str]) -> None:
    done = cli("batch", ".", "--out", ".", "--model", model("Identity"))
    assert done.error == ".: its videos lie in the folder of results, ., and are none to work on"
    assert len(clips) == len(list(Path().glob("*.mkv")))


def test_a_batch_that_goes_on(cli: Cli, clips: list[str], model: Callable[[str], str]) -> None:
    arguments = ("batch", *clips, "--out", "done", "--model", model("Identity"), "--adapter", "none")
    assert cli(*arguments).code == 0
    assert sorted(path.name for path in Path("done").glob("*.mkv")) == sorted(clips)
    assert sorted(json.loads(Path("done/manifest.json").read_text())["files"]) == sorted(clips)
    assert f"0 done, {len(ODD)} skipped, 0 failed" in cli(*arguments).err
