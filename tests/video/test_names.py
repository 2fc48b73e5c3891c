"""What exists as a file is one, whatever its name."""

import os
import shutil

import pytest
from PIL import Image

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import RunOptions, open_video, run


@pytest.mark.parametrize(
    "name",
    [
        "a:b.mp4",
        "http:x.mp4",
        "file:x.mp4",
        "concat:a|b.mp4",
        "-lead.mp4",
        "%03d.mp4",
        "x%20y.mp4",
        "[x].mp4",
        "a?b*.mp4",
        "123",
        "tab\tand\nline.mp4",
        "ünï.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "y" * 251 + ".mp4",
    ],
)
def test_odd_names(carphone, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(carphone, name)
    for source in (name, str(tmp_path / name)):
        with open_video(source) as reader:
            assert sum(1 for _ in reader) == 20


def test_a_folder_like_a_url(carphone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    shutil.copy(carphone, tmp_path / "http:" / "a.mp4")
    with open_video("http://a.mp4") as reader:
        assert reader.info.frames == 20


@pytest.mark.parametrize("name", ["", ".mp4", ".MKV", ".png"])
def test_a_result_needs_a_name(carphone, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    words = "is an extension without a name; give one, such as out" if name else "the name of the result is empty"
    with pytest.raises(ConfigError, match=words):
        run(carphone, name, lambda frame: frame, on_cut=lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_hidden_folder_is_a_result(carphone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(carphone, ".frames/", lambda frame: frame, on_cut=lambda: None)
    run(carphone, ".frames", lambda frame: frame, RunOptions(overwrite=True), on_cut=lambda: None)
    assert len(list((tmp_path / ".frames").iterdir())) == 20


def test_a_source_needs_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    with pytest.raises(VideoError, match="the name of the source is empty"):
        open_video("")
    with open_video(".") as reader:
        assert reader.info.frames == 1


def test_a_name_that_is_too_long():
    with pytest.raises(VideoError, match="no such file"):
        open_video("x" * 300 + ".mp4")
