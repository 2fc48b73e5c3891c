"""``holdsteady export`` as it is typed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.helpers import Cli, frames_of
from exports.made import make_export

from holdsteady.models.sizes import try_model


def test_what_cannot_be_is_said(cli: Cli, model: Callable[[str], str], tmp_path: Path) -> None:
    make_export(tmp_path / "out")
    words = ("export", "out", "--model", model("Blur"), "--adapter", "output-fixed")
    assert "holds an export already; give --overwrite" in cli(*words).error
    assert "write WIDTHxHEIGHT, as 640x480" in cli(*words, "--size", "640").error
    (tmp_path / "file").touch()
    assert "'file' is a file; exports need a folder" in cli("export", "file", *words[2:]).error


def test_an_export_replaces_no_model(cli: Cli, model: Callable[[str], str], tmp_path: Path) -> None:
    mine = make_export(tmp_path / "out") / "step.onnx"
    before = mine.read_bytes()
    flags = ("--adapter", "output-fixed", "--size", "64x48", "--overwrite")
    assert "the model itself" in cli("export", "out", "--model", "out/step.onnx", "--inside", *flags).error
    (tmp_path / "out" / "holdsteady.json").unlink()
    assert "is of no export, and could be replaced" in cli("export", "out", "--model", model("Blur"), *flags).error
    assert mine.read_bytes() == before


def test_parts_of_an_earlier_export_do_not_stay(cli: Cli, model: Callable[[str], str], tmp_path: Path) -> None:
    folder = make_export(tmp_path / "out")
    (folder / "step-2.onnx").write_bytes(b"of an earlier one")
    (folder / "steps.txt").write_bytes(b"mine")
    flags = ("--adapter", "output-fixed", "--size", "64x48", "--overwrite")
    assert cli("export", "out", "--model", model("Blur"), *flags).code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["holdsteady.json", "step.onnx", "steps.txt"]


def test_a_model_is_tried_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []

    def counted(*arguments: Any) -> Any:
        tries.append(arguments)
        return try_model(*arguments)

    monkeypatch.setattr("holdsteady.exports.write.try_model", counted)
    (tmp_path / "halves.py").write_text("from torch import nn\n\nmodel = nn.Conv2d(3, 3, 1)\n")
    flags = ("--adapter", "output-fixed", "--size", "64x48", "--format", "pt2")
    done = cli("export", "out", "--model", f"{tmp_path / 'halves.py'}:model", *flags)
    assert done.code == 0, done.err
    assert len(tries) == 1


@pytest.mark.slow
def test_exported_and_run(cli: Cli, model: Callable[[str], str], carphone: str, tmp_path: Path) -> None:
    """The same pictures as by PyTorch."""
    flags = ("--model", model("Blur"), "--adapter", "output-fixed:0.5")
    done = cli("export", "out", *flags, "--size", "176x144")
    assert done.code == 0, done.err
    assert "step.onnx" in done.err and "state of 1 tensors" in done.err
    assert cli("run", carphone, "by-export/", "--model", "out").code == 0
    assert cli("run", carphone, "by-pytorch/", *flags).code == 0
    for one, other in zip(frames_of(tmp_path / "by-export"), frames_of(tmp_path / "by-pytorch"), strict=True):
        assert abs(one.astype(int) - other).max() <= 1


STRANGERS = """
import torch
from torch import nn

class Patches(nn.Module):
    def forward(self, frame):
        assert frame.shape[-1] % 14 == 0 == frame.shape[-2] % 14, "patches of 14"
        return frame.mul_(0.5)

class Numbers(nn.Module):
    def forward(self, frame):
        return frame.argmax(dim=1)

class Truths(nn.Module):
    def forward(self, frame):
        return frame[:, :1] > 0.5

class Branches(nn.Module):
    def forward(self, frame):
        return frame if frame.mean() > 0.5 else -frame

class Brief(nn.Module):
    def forward(self, frame):
        return frame.bfloat16()
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Numbers", "gives class numbers; export one that gives logits"),
        ("Truths", "gives whole numbers or truths: say what they are (--kind mask)"),
        ("Branches", "nor branches that depend on values"),
        ("Brief", "gives torch.bfloat16, and exports are of float32 or float16"),
    ],
)
def test_models_that_no_graph_holds(cli: Cli, name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "strange.py").write_text(STRANGERS)
    flags = ("--adapter", "output-fixed", "--size", "96x64")
    done = cli("export", "out", "--model", f"strange.py:{name}", *flags)
    assert done.code == 1 and words in done.error
    assert "forward(self" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_of_patches_that_writes_into_its_input(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "strange.py").write_text(STRANGERS)
    flags = ("--model", "strange.py:Patches", "--adapter", "output-fixed", "--size", "96x64")
    done = cli("export", "out", *flags)
    assert done.code == 0, done.err
