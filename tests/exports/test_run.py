"""``holdsteady run`` and ``live`` with an export: by ONNX Runtime, and without PyTorch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.helpers import frames_of
from exports.made import make_export
from torch import Tensor
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.cli import main
from holdsteady.exports.runner import ExportRunner
from holdsteady.exports.sizes import largest, padded_to, resized
from holdsteady.models.card import Kind
from holdsteady.models.model import Model
from holdsteady.models.runner import FrameRunner
from holdsteady.models.runner import largest as largest_by_torch
from holdsteady.models.sizes import pad_to, resize
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
    for height, width in ((13, 21), (3, 9), (1, 1), (16, 8)):
        frame = np.random.default_rng(0).random((1, 3, height, width), np.float32)
        padded = padded_to(frame, (8, 8))
        assert np.array_equal(padded, pad_to(torch.from_numpy(frame), 8).numpy())
        assert ExportRunner(made).step(frame).shape == frame.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_those_of_the_border_to_pytorch(dtype: type, channels: int) -> None:
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


def small_scores(frame: Tensor) -> Tensor:
    """Of five classes, with half the lines."""
    small = F.avg_pool2d(frame, 2)
    return torch.cat((small, 1 - small[:, :1], 1 - small[:, 1:2]), dim=1)


@pytest.mark.parametrize(
    ("kind", "scale", "function"),
    [
        ("image", None, lambda frame: F.avg_pool2d(frame, 2)),
        ("image", None, lambda frame: F.interpolate(frame, scale_factor=2.0)),
        ("image", 1.0, lambda frame: F.interpolate(frame, scale_factor=2.0)),
        ("image", 2.0, lambda frame: F.avg_pool2d(frame, 2)),
        ("image", 0.5, lambda frame: 1 - frame),
        ("depth", None, lambda frame: 5 + 20 * F.avg_pool2d(frame, 4).mean(dim=1, keepdim=True)),
        ("mask", None, lambda frame: F.avg_pool2d(frame, 2)[:, :1]),
        ("classes", None, small_scores),
    ],
)
def test_results_have_the_size_that_they_have_in_pytorch(
    kind: Kind, scale: float | None, function: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    card: dict[str, object] = {"kind": kind} if scale is None else {"kind": kind, "scale": scale}
    model, generator = Model(function, **card), torch.Generator().manual_seed(0)
    example = torch.rand(1, 3, 64, 96)
    folder = hs.export(hs.stabilize(model, "output-fixed:0.5", example=example), example, tmp_path / "out")
    for size in ((64, 96), (52, 70)):
        exported, runner = ExportRunner(folder), FrameRunner(model, "output-fixed:0.5")
        for _ in range(3):
            frame = F.interpolate(torch.rand((1, 3, 12, 16), generator=generator), size=size)
            expected, shown = runner.step(frame).numpy(), exported.step(frame.numpy())
            assert shown.shape == expected.shape
            away = np.abs(shown - expected) > 1e-3
            # Where two classes are equal but for rounding, either may win.
            assert away.mean() < (0.002 if kind == "classes" else 1e-9)


@pytest.mark.parametrize("size", [(9, 14), (23, 31), (5, 31), (12, 6), (7, 11)])
def test_pictures_are_resized_as_in_pytorch(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((2, 10, 12, 17), np.float32)
    wanted = resize(torch.from_numpy(picture), size).numpy()
    assert np.abs(resized(picture, size) - wanted).max() < 1e-5
    numbers = largest_by_torch(torch.from_numpy(picture), size).numpy()
    assert np.array_equal(largest(picture, size), numbers)


def test_results_of_one_size_take_that_of_the_frame(tmp_path: Path) -> None:
    model = Model(lambda frame: F.interpolate(frame, size=(40, 56), mode="bilinear"), kind="image")
    frame = torch.rand(1, 3, 64, 96)
    exported = ExportRunner(hs.export(hs.stabilize(model, ()), frame, tmp_path / "out"))
    runner = FrameRunner(model, ())
    expected, shown = runner.step(frame).numpy(), exported.step(frame.numpy())
    assert shown.shape == expected.shape == (1, 3, 64, 96)
    assert np.abs(shown - expected).max() < 1e-5


def test_an_export_of_half_the_size_makes_videos_of_the_whole(tmp_path: Path) -> None:
    half = Model(lambda frame: F.avg_pool2d(frame, 2), kind="image")
    frame = torch.rand(1, 3, 144, 176)
    folder = hs.export(hs.stabilize(half, "output-fixed:0.5", example=frame), frame, tmp_path / "export")
    without_torch("run", CARPHONE, tmp_path / "by-export", "--model", folder, "--cuts", "off")
    hs.run(CARPHONE, tmp_path / "by-torch", half, "output-fixed:0.5", cuts="off")
    for one, other in zip(frames_of(tmp_path / "by-export"), frames_of(tmp_path / "by-torch"), strict=True):
        assert one.shape == other.shape == (144, 176, 3)
        assert np.abs(one.astype(int) - other).max() <= 1


def test_what_is_not_known_stays_so_in_a_smaller_picture_and_spoils_nothing_else() -> None:
    picture = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    picture[0, 0, 20, 30] = np.inf
    small = resized(picture, (32, 32))
    expected = resize(torch.from_numpy(picture), (32, 32)).numpy()
    known = np.isfinite(small)
    assert known.sum() == np.isfinite(expected).sum() > 1000
    assert np.allclose(small[known], expected[known], atol=1e-5)
