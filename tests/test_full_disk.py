"""A disk that is full, a real one: what can't be written whole is told, and what was there before stays."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import torch
from conftest import CLIPS
from PIL import Image
from torch import nn

import holdsteady as hs
from holdsteady.cli import main
from holdsteady.errors import AdapterError, ConfigError, ExportError, TrainingError, VideoError
from holdsteady.host.state_files import save_state
from holdsteady.training.checkpoint import load_checkpoint, save_checkpoint
from holdsteady.training.loop import train
from holdsteady.training.recipe import make_recipe

KILOBYTES = 64


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("takes the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, kilobytes: int) -> None:
    (disk / "other").write_bytes(bytes(1024 * kilobytes))


def decoded(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.webm", "frames"])
@pytest.mark.parametrize("taken", [10, 40, 58, 64])
def test_a_video_is_whole_or_an_error_tells(carphone: str, disk: Path, name: str, taken: int) -> None:
    """However much room there is: enough for it twice, once, for a part, for nothing."""
    fill(disk, taken)
    try:
        summary = hs.run(carphone, disk / name, nn.Identity(), "none")
    except VideoError as error:
        assert "No space left on device" in str(error) or "frames could be written" in str(error)
        assert ("there was room for" in str(error)) == ([path.name for path in disk.iterdir()] != ["other"])
    else:
        found = len(list((disk / name).glob("*.png"))) if name == "frames" else decoded(disk / name)
        assert found == summary.frames == 20
    assert not [path for path in disk.iterdir() if "part" in path.name]


def test_an_adapter_and_an_export(disk: Path) -> None:
    fill(disk, KILOBYTES - 4)
    adapter = hs.load_adapter("nafnet16-light")
    with pytest.raises(AdapterError, match=r"can't write an adapter to '.*a': .*No space left on device"):
        hs.save_adapter(adapter, disk / "a")
    steady = hs.stabilize(nn.Conv2d(3, 3, 3, padding=1), "output-fixed")
    with pytest.raises(ExportError, match=r"can't write an export to '.*e': No space left on device"):
        hs.export(steady, torch.rand(1, 3, 48, 64), disk / "e")
    assert [path.name for path in disk.rglob("*") if path.is_file()] == ["other"]


def test_a_state_and_a_checkpoint(disk: Path) -> None:
    _, state = hs.stabilize(nn.Identity(), "output-fixed").step(torch.rand(1, 3, 128, 128))
    with pytest.raises(OSError, match="No space left on device"):
        save_state(state, disk / "state.safetensors")
    save_checkpoint(disk, {"recipe": "", "weights": torch.zeros(10)})
    with pytest.raises(TrainingError, match="can't write a checkpoint"):
        save_checkpoint(disk, {"recipe": "", "weights": torch.zeros(100_000)})
    kept = load_checkpoint(disk, "")
    assert kept is not None and len(kept["weights"]) == 10
    assert [path.name for path in disk.iterdir()] == ["checkpoint.pt"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("room", [0, 4, 8])
@pytest.mark.parametrize("name", ["compare", "eval", "theory", "check"])
def test_a_report_is_whole_or_as_it_was(
    carphone: str, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: int, name: str
) -> None:
    commands = {
        "compare": ["compare", carphone, str(disk.parent / "copy.mp4"), "--duration", "0.1"],
        "eval": ["eval", "--model", "enhance", "--clips", carphone, "--frames", "2", "--no-baselines"],
        "theory": ["theory"],
        "check": ["check", carphone, "--duration", "0.3"],
    }
    shutil.copy(carphone, disk.parent / "copy.mp4")
    files = ["scores.json", "scores.md", "results.json", "results.csv", "results.md", "flicker.png", "time-slice.png"]
    files += ["accuracy-stability.png", "over-time.png", "theory-contours.png", "check.png", "check.json"]
    for file in files:
        (disk / file).write_text("of before")
    fill(disk, KILOBYTES - 4 * len(files) - room)
    monkeypatch.setattr(sys, "argv", ["holdsteady", *commands[name], "--out", str(disk)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"error: {disk}/side-by-side.mp4: " in said or f"can't write to the folder '{disk}': No space left" in said
    for path in disk.iterdir():
        content = path.read_bytes()
        if content == b"of before" or path.name == "other":
            continue
        match path.suffix:
            case ".png":
                Image.open(path).load()
            case ".json":
                json.loads(content)
            case ".mp4":
                assert decoded(path)
            case _:
                assert content.endswith(b"\n")
        assert "part" not in path.name


def test_a_training(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it begins it leaves nothing; later its last checkpoint. The cache of frames may be on such a disk too."""
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "cache"))
    videos = {"sources": [{"paths": str(CLIPS / "carphone.mp4")}], "length": 2, "crop": 16, "workers": 0}
    watched = {"clips": 1, "length": 2, "crop": 16}
    plain = {"model": "enhance", "adapter": "motion", "steps": 50, "batch": 1, "checkpoint_every": 1}
    recipe = make_recipe({**plain, "data": videos, "validation": watched})
    fill(disk, KILOBYTES)
    with pytest.raises(ConfigError, match=r"can't write to the folder .*out: No space left on device"):
        train(recipe, disk / "sub" / "out", accelerator="cpu")
    assert [path.name for path in disk.rglob("*")] == ["other"]
    fill(disk, 12)
    with pytest.raises(TrainingError, match=r"can't write .*out: No space left on device"):
        train(recipe, disk / "out", accelerator="cpu")
    assert not [path for path in disk.rglob("*") if "part" in path.name]
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(disk / "cache"))
    with pytest.raises(ConfigError, match=r"the frame cache can't write to this folder \(No space.*HOLDSTEADY_CACHE"):
        train(recipe, tmp_path / "new", accelerator="cpu")
    assert not (tmp_path / "new").exists()


def test_a_manifest(disk: Path, carphone: str) -> None:
    fill(disk, KILOBYTES - 4)
    with pytest.raises(VideoError, match=r"manifest\.json: can't be written: No space left on device"):
        hs.batch([carphone], disk / "out", nn.Identity(), "none")
    assert sorted(path.name for path in (disk / "out").iterdir()) == [".lock", "manifest.json"]
