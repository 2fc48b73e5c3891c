"""The values behind the pictures, read back by other libraries."""

import json
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from holdsteady.errors import ConfigError, VideoError
from holdsteady.models.value_files import ValueWriter

DEPTH = torch.linspace(0.5, 900.0, 30).reshape(1, 1, 5, 6)
LABELS = torch.arange(30).reshape(1, 5, 6) * 8


def read_png(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None and pixels.dtype == np.uint16
    return pixels


def test_npy_is_exact(tmp_path: Path) -> None:
    writer = ValueWriter(tmp_path / "v")
    writer.write(0, DEPTH, "depth")
    writer.write(1, LABELS, "classes")
    writer.write(2, torch.rand(1, 3, 5, 6), "image")
    assert np.array_equal(np.load(tmp_path / "v/000000.npy"), DEPTH[0, 0].numpy())
    assert np.array_equal(np.load(tmp_path / "v/000001.npy"), LABELS[0].numpy())
    assert np.load(tmp_path / "v/000002.npy").shape == (5, 6, 3)
    assert json.loads((tmp_path / "v/values.json").read_text())["kind"] == "depth"
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == [
        "000000.npy", "000001.npy", "000002.npy", "values.json",
    ]  # fmt: skip


def test_exr_is_exact(tmp_path: Path) -> None:
    writer = ValueWriter(tmp_path, "exr")
    picture = torch.rand(1, 3, 5, 6)
    writer.write(0, DEPTH, "depth")
    writer.write(1, picture, "image")
    with OpenEXR.File(str(tmp_path / "000000.exr")) as file:
        assert np.array_equal(file.channels()["Y"].pixels, DEPTH[0, 0].numpy())
    with OpenEXR.File(str(tmp_path / "000001.exr")) as file:
        assert np.array_equal(file.channels()["RGB"].pixels, picture[0].permute(1, 2, 0).numpy())


def test_png_of_16_bits(tmp_path: Path) -> None:
    writer = ValueWriter(tmp_path / "depth", "png")
    writer.write(0, DEPTH, "depth")
    factor = float(json.loads((tmp_path / "depth/values.json").read_text())["value"].rpartition("/ ")[2])
    assert factor == 16  # 900 · 16 has room for four times as much
    assert np.abs(read_png(tmp_path / "depth/000000.png") / factor - DEPTH[0, 0].numpy()).max() <= 0.5 / factor
    writer.write(1, 4 * DEPTH, "depth")
    for values in (5 * DEPTH, -DEPTH):
        with pytest.raises(VideoError, match=r"000002\.png: 16-bit PNG can't hold values from .*take npy or exr"):
            writer.write(2, values, "depth")
    ValueWriter(tmp_path / "labels", "png").write(0, LABELS, "labels")
    assert np.array_equal(read_png(tmp_path / "labels/000000.png"), LABELS[0].numpy())
    picture = torch.rand(1, 3, 5, 6)
    ValueWriter(tmp_path / "image", "png").write(0, picture, "image")
    back = read_png(tmp_path / "image/000000.png")[..., ::-1] / 65535
    assert np.abs(back - picture[0].permute(1, 2, 0).numpy()).max() < 1e-5


def test_values_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    first = ValueWriter(folder)
    for number in range(5):
        first.write(number, DEPTH, "depth")
    for name in ("000009.txt", "12.npy", "notes.npy", "000002.jpg"):
        (folder / name).touch()
    second = ValueWriter(folder, "png", overwrite=True)
    assert (folder / "000004.npy").exists()  # until there is something in its place
    for number in range(2):
        second.write(number, DEPTH, "depth")
    assert sorted(path.name for path in folder.iterdir()) == [
        "000000.png", "000001.png", "000002.jpg", "000009.txt", "12.npy", "notes.npy", "values.json",
    ]  # fmt: skip


def test_numbered_images_of_ones_own_are_no_values(tmp_path: Path) -> None:
    (tmp_path / "000007.png").touch()
    ValueWriter(tmp_path, overwrite=True).write(0, DEPTH, "depth")
    assert (tmp_path / "000007.png").exists()


def test_folders_are_not_written_over_unasked(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="not empty; add --overwrite"):
        ValueWriter(tmp_path)
    ValueWriter(tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match="is a file"):
        ValueWriter(tmp_path / "mine.txt")
    with pytest.raises(ConfigError, match="can't be written as 'tiff'; use npy, png, exr"):
        ValueWriter(tmp_path / "v", "tiff")
