"""Every script of examples/ runs, as a user runs it, on a few frames."""

import runpy
import sys
from pathlib import Path

import pytest

from holdsteady.video import open_video

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {
    "denoise_video.py": ["--seconds", "0.2"],
    "your_own_model.py": ["--frames", "8"],
    "opencv_function.py": ["--frames", "4"],
    "camera_loop.py": ["--frames", "4"],
    "train_an_adapter.py": ["--steps", "2"],
    "shots.py": ["--frames", "3"],
}


def run(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A script in a folder of its own, in this process: torch is imported already."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(folder / "cache"))
    monkeypatch.setattr(sys, "argv", [name, *ARGUMENTS[name]])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_tested_and_listed() -> None:
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts == set(ARGUMENTS)
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"[{name}]({name})" in listed for name in scripts)


def test_denoise_video(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("denoise_video.py", monkeypatch, tmp_path)
    with open_video(str(tmp_path / "clean.mp4")) as reader:
        assert sum(1 for _ in reader) == 6


def test_your_own_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("your_own_model.py", monkeypatch, tmp_path)
    alone, steady = (float(word) for word in capsys.readouterr().out.replace(",", " ").split() if word[:2] == "0.")
    assert steady < 0.9 * alone


def test_opencv_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("opencv_function.py", monkeypatch, tmp_path)
    with open_video(str(tmp_path / "enhanced.avi")) as reader:
        assert sum(1 for _ in reader) == 4


def test_camera_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("camera_loop.py", monkeypatch, tmp_path)
    assert "4 frames" in capsys.readouterr().out


def test_train_an_adapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("train_an_adapter.py", monkeypatch, tmp_path)
    assert {path.name for path in (tmp_path / "my-adapter").iterdir()} >= {"adapter.json", "adapter.safetensors"}


def test_shots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("shots.py", monkeypatch, tmp_path)
    assert capsys.readouterr().out.count("ndarray (144, 176, 3) uint8") == 2
