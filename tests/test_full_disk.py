"""A disk that is full, a real one: what can't be written whole is told, and what was there before stays."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import torch
from torch import nn

import holdsteady as hs
from holdsteady.errors import AdapterError, ExportError, TrainingError, VideoError
from holdsteady.host.state_files import save_state
from holdsteady.training.checkpoint import load_checkpoint, save_checkpoint

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
@pytest.mark.parametrize("taken", [10, 40, 58])
def test_a_video_is_whole_or_an_error_tells(carphone: str, disk: Path, name: str, taken: int) -> None:
    """However much room there is: enough for it twice, once, for a part, for nothing."""
    fill(disk, taken)
    try:
        summary = hs.run(carphone, disk / name, nn.Identity(), "none")
    except VideoError as error:
        assert "No space left on device" in str(error) or "frames could be written" in str(error)
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
