"""The command line in this process, with one thread: the pictures are tiny, and other work may share the cores."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from cli.helpers import MODELS, Cli, Done

from holdsteady.cli import main

torch.set_num_threads(1)

CLIPS = Path(__file__).parents[1] / "clips"


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterable[Cli]:
    """Runs ``holdsteady ARGUMENTS`` in tmp_path; afterwards there must be no half-written file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["holdsteady", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, captured.out, captured.err)

    yield run
    assert [path for path in tmp_path.rglob("*") if ".part-" in path.name] == []


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], str]:
    """``model("Blur")`` is what to give to --model for that model of MODELS."""
    path = tmp_path / "tiny_models.py"
    path.write_text(MODELS, encoding="utf-8")
    return lambda name: f"{path}:{name}"


@pytest.fixture
def carphone() -> str:
    """20 frames of 176×144 at 30000/1001 per second."""
    return str(CLIPS / "carphone.mp4")
