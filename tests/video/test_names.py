"""What exists as a file is one, whatever its name."""

import os
import shutil

import pytest

from holdsteady.errors import VideoError
from holdsteady.video import open_video


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


def test_a_name_that_is_too_long():
    with pytest.raises(VideoError, match="no such file"):
        open_video("x" * 300 + ".mp4")
