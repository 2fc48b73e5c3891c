"""Every script of examples/ runs, as a user runs it, on a few frames."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from exports.made import make_export

from holdsteady.video import open_video

EXAMPLES = Path(__file__).parents[1] / "examples"
CARPHONE = Path(__file__).parent / "clips" / "carphone.mp4"
NODE = EXAMPLES / "onnx_node"
ARGUMENTS = {
    "denoise_video.py": ["--seconds", "0.2"],
    "your_own_model.py": ["--frames", "8"],
    "opencv_function.py": ["--frames", "4"],
    "camera_loop.py": ["--frames", "4"],
    "train_an_adapter.py": ["--steps", "2"],
    "shots.py": ["--frames", "3"],
    "espnet.py": ["weights.pth", str(CARPHONE), "classes.mp4"],
    "onnx_numpy.py": ["out", str(CARPHONE), "steady.mp4"],
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


def test_espnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With random weights: its own are not here."""
    network = runpy.run_path(str(EXAMPLES / "espnet.py"))["ESPNet"]
    torch.save(network().state_dict(), tmp_path / "weights.pth")
    run("espnet.py", monkeypatch, tmp_path)
    with open_video(str(tmp_path / "classes.mp4")) as reader:
        assert sum(1 for _ in reader) == 20


def test_onnx_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_export(tmp_path / "out")
    run("onnx_numpy.py", monkeypatch, tmp_path)
    with open_video(str(tmp_path / "steady.mp4")) as reader:
        assert sum(1 for _ in reader) == 20


def test_onnx_numpy_is_about_forty_lines_and_knows_nothing_of_torch_or_this_package() -> None:
    text = (EXAMPLES / "onnx_numpy.py").read_text()
    code = [line for line in text.partition('"""\n\n')[2].splitlines() if line]
    assert len(code) <= 45
    assert not any("import torch" in line or "import holdsteady" in line for line in code)


@pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").exists(),
    reason="takes Node, and `npm install --ignore-scripts` in examples/onnx_node",
)
def test_onnx_node(tmp_path: Path) -> None:
    make_export(tmp_path / "out")
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)
    command = ["node", str(NODE / "steady.mjs"), str(tmp_path / "out"), "24", "16"]
    done = subprocess.run(command, input=frames.tobytes(), capture_output=True, check=True)
    shown = np.frombuffer(done.stdout, np.uint8).reshape(frames.shape)
    memory = frames[0] / 255
    for frame, result in zip(frames, shown, strict=True):
        memory = (frame / 255 + memory) / 2
        assert np.abs(memory * 255 - result).max() < 0.51
