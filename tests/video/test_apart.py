"""Results and reports don't go where something is read from, and may go anywhere else."""

import os
from pathlib import Path

import pytest

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video.sink import SinkKind, check_apart, check_folder, check_report, sink_kind


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.webp", "b.webp", "v.mp4", "frames/0.png", "frames/1.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def test_a_folder_of_results_may_hold_clips(folder: Path) -> None:
    check_folder(Path(), ["table.md"], "a.webp", "b.webp", "v.mp4")
    check_apart(".", "*.mp4")
    check_apart(folder, str(folder / "*.mp4"), "0", "rtsp://camera/stream", None)
    for names, source in ((["a.webp"], "a.webp"), (["table.md"], "."), ([], str(folder))):
        with pytest.raises(VideoError, match="is the source itself"):
            check_folder(folder, names, source)


@pytest.mark.parametrize("source", ["frames", "frames/", "frames/*.png", "frames/*", "frames/0.png"])
def test_a_folder_of_images_that_are_read_is_left_alone(folder: Path, source: str) -> None:
    with pytest.raises(VideoError, match="is the source itself"):
        check_apart(folder / "frames", source)


@pytest.mark.usefixtures("folder")
def test_reports_go_to_streams_whatever_these_are() -> None:
    check_report("/dev/stdout", "v.mp4")
    for stream in ("/dev/stdout", "/proc/self/fd/1"):
        with Path("out.txt").open("w") as file:
            kept = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                check_report(stream, "v.mp4")
            finally:
                os.dup2(kept, 1)
                os.close(kept)
    with pytest.raises(VideoError, match=r"does not end in \.json"):
        check_report("out.txt", "v.mp4")


@pytest.mark.usefixtures("folder")
def test_folders_may_be_hidden_but_extensions_are_no_names() -> None:
    assert sink_kind(str(Path(".frames/"))) is SinkKind.FOLDER
    for name in (".mp4", ".MKV", "frames/.png"):
        with pytest.raises(ConfigError, match="is an extension without a name"):
            sink_kind(name)
