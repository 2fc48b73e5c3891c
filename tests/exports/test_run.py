"""``holdsteady run`` and ``live`` with an export: by ONNX Runtime, and without PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli.helpers import frames_of
from exports.made import make_export

from holdsteady.cli import main
from holdsteady.exports.runner import ExportRunner, padded_to
from holdsteady.models.sizes import pad_to
from holdsteady.video.arrays import Arrays
from holdsteady.video.tensors import Tensors

CARPHONE = str(Path(__file__).parents[1] / "clips" / "carphone.mp4")

PROGRAM = """
import sys
from holdsteady.__main__ import main
sys.argv = ["holdsteady", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    code = ended.code
print("torch" in sys.modules, code)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_export(tmp_path_factory.mktemp("made"))


def without_torch(*words: object) -> str:
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "0"], done.stdout + done.stderr
    return done.stderr


def test_run_imports_no_torch_and_keeps_the_average(made: Path, tmp_path: Path) -> None:
    without_torch("run", CARPHONE, tmp_path / "out", "--model", made, "--cuts", "off")
    frames, memory = frames_of(CARPHONE), None
    for frame, shown in zip(frames, frames_of(tmp_path / "out"), strict=True):
        memory = frame / 255 if memory is None else (frame / 255 + memory) / 2
        assert np.abs(memory * 255 - shown).max() < 0.51


def test_live_imports_no_torch(made: Path, tmp_path: Path) -> None:
    told = without_torch("live", "--source", CARPHONE, "--sink", tmp_path / "out.mkv", "--model", made)
    assert "latency" in told and "dropped" in told
    assert 1 <= len(frames_of(tmp_path / "out.mkv")) <= 20


def test_flags_of_what_is_settled_are_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", CARPHONE, str(tmp_path / "o.mkv"), "--model", str(made), "--adapter", "none", "--range", "0..255"]
    monkeypatch.setattr(sys, "argv", ["holdsteady", *words])
    with pytest.raises(SystemExit):
        main()
    assert "--adapter, --range:" in capsys.readouterr().err


def test_frames_of_any_size_are_padded_as_for_pytorch(made: Path) -> None:
    import torch

    for height, width in ((13, 21), (3, 9), (1, 1), (16, 8)):
        frame = np.random.default_rng(0).random((1, 3, height, width), np.float32)
        padded = padded_to(frame, (8, 8))
        assert np.array_equal(padded, pad_to(torch.from_numpy(frame), 8).numpy())
        assert ExportRunner(made).step(frame).shape == frame.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_those_of_the_border_to_pytorch(dtype: type, channels: int) -> None:
    import torch

    generator = np.random.default_rng(1)
    pixels = generator.integers(0, np.iinfo(dtype).max, (5, 7, 3), dtype)
    arrays, tensors = Arrays(), Tensors("cpu", "float32")
    assert np.array_equal(arrays.show(pixels), tensors.show(pixels).numpy())
    result = generator.normal(0.5, 0.5, (1, channels, 5, 7)).astype(np.float32)
    result[0, 0, :2, 3] = np.nan
    result[0, -1, 4, 4] = np.inf
    one, other = (
        arrays.give(result, deep=dtype == np.uint16),
        tensors.give(torch.from_numpy(result), deep=dtype == np.uint16),
    )
    assert np.array_equal(one.pixels, other.pixels) and one.lost == other.lost == 2
    assert (one.alpha is None) == (other.alpha is None) == (channels != 4)
    if one.alpha is not None and other.alpha is not None:
        assert np.array_equal(one.alpha, other.alpha)
