"""Results in the making, and those that killed runs leave behind."""

import os
import subprocess
import sys

import pytest

from holdsteady.video.part import PartFile, PartFolder, left_behind


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("name", ["out.mp4", "x" * 251 + ".mp4", "[a]*.mkv"])
def test_what_a_killed_run_left_is_named_and_kept(tmp_path, dead, name):
    target = tmp_path / name
    part = PartFile(target)
    old = part.path.with_name(part.path.name.replace(str(os.getpid()), str(dead)))
    old.write_text("half a film")
    (tmp_path / ".other.part-1.mp4").write_text("of another result")
    assert left_behind(target) == [old]
    with pytest.warns(UserWarning, match="an earlier run to .* was killed; what it had written is kept in"):
        assert PartFile(target).path != old
    assert old.read_text() == "half a film"


def test_parts_of_running_processes_are_their_own(tmp_path, recwarn):
    first = PartFile(tmp_path / "out.mp4")
    first.path.write_text("first")
    second = PartFile(tmp_path / "out.mp4")
    second.path.write_text("second")
    assert first.path != second.path
    running = tmp_path / f".out.part-{os.getppid()}.mp4"
    running.write_text("of a process that runs")
    assert left_behind(tmp_path / "out.mp4") == []
    second.publish()
    first.discard()
    assert sorted(item.name for item in tmp_path.iterdir()) == [running.name, "out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "second"
    assert not recwarn.list


def test_folders_alike(tmp_path, dead):
    (tmp_path / f".frames.part-{dead}").mkdir()
    with pytest.warns(UserWarning, match="killed"):
        part = PartFolder(tmp_path / "frames")
    assert part.path.is_dir()
    part.discard()
    assert [item.name for item in tmp_path.iterdir()] == [f".frames.part-{dead}"]


@pytest.mark.parametrize("name", ["x" * 251 + ".mp4", "ä" * 124 + "é.mkv"])
def test_long_names_have_short_parts(tmp_path, name):
    part = PartFile(tmp_path / name)
    assert len(os.fsencode(part.path.name)) <= 255
    part.path.write_text("film")
    other = PartFile(tmp_path / ("y" + name[1:]))
    assert other.path != part.path
    part.publish()
    assert [item.name for item in tmp_path.iterdir()] == [name]
