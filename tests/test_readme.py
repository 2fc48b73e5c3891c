"""What README says works: its commands and Python run here, on a short clip and without a network.

Only what installs or tests the package is run dry: pip resolves its line without fetching,
make prints what it would do.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from holdsteady import allocator
from holdsteady.cli import COMMANDS as KNOWN
from holdsteady.video import open_video, upright_tensors

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MODEL = """
from torch import nn

def build() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1)
"""


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every line of the shell blocks as words, without its comment."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


COMMANDS = commands()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carphone: str) -> Path:
    """A folder with the files that README's examples speak of, and their output names free."""
    for name in ("noisy.mp4", "in.mp4", "processed.mp4"):
        shutil.copy(carphone, tmp_path / name)
    (tmp_path / "my_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words[0] == "holdsteady"], ids=lambda words: " ".join(words[:3])
)
def test_commands(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdsteady.__main__ import main

    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: None)
    monkeypatch.setattr("holdsteady.cli.keep_freed_memory", lambda: None)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    sink = next(word for word in words[3:] if word.endswith(".mp4"))
    with open_video(str(folder / sink)) as reader:
        assert sum(1 for _ in reader) == 20


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "make"], ids=lambda words: words[1])
def test_make_knows_its_targets(words: list[str]) -> None:
    done = subprocess.run([words[0], "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"demo": "holdsteady demo", "test": "pytest"}[words[1]] in done.stdout


def test_pip_takes_the_line() -> None:
    (words,) = [words for words in COMMANDS if words[0] == "pip"]
    assert words == ["pip", "install", ".[all]"]
    dry = ["--dry-run", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    done = subprocess.run([sys.executable, "-m", *words, *dry], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install holdsteady" in done.stdout
    assert "does not provide the extra" not in done.stderr


def test_no_command_is_left_out() -> None:
    assert {words[0] for words in COMMANDS} == {"holdsteady", "make", "pip"}


def as_tensors(path: str) -> list[torch.Tensor]:
    with open_video(path) as reader:
        return list(upright_tensors(reader))[:6]


def as_arrays(path: str) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [frame.pixels for frame in reader][:6]


@pytest.mark.parametrize("read", [as_tensors, as_arrays])
@pytest.mark.parametrize("block", blocks("python"))
def test_python(block: str, read: object, folder: Path) -> None:
    names = {"frames": read(str(folder / "in.mp4")), "state": None}  # type: ignore[operator]
    exec(compile(block, "README.md", "exec"), names)
    assert type(names["output"]) is type(names["frame"])
    assert names["output"].shape == names["frame"].shape
    assert (folder / "out.mp4").is_file()


def test_links_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert targets
    missing = [target for target in targets if not target.startswith("https://") and not (ROOT / target).exists()]
    assert not missing


def test_it_is_short_and_shows_a_moving_picture() -> None:
    assert len(README.splitlines()) <= 110
    picture = ROOT / "docs/pictures/teaser.webp"
    assert "(docs/pictures/teaser.webp)" in README.split("## ")[0]
    assert picture.stat().st_size < 2e6


def test_the_length_of_the_method_is_right() -> None:
    (stated,) = re.findall(r"method in (\d+) lines", README)
    lines = len((ROOT / "src/holdsteady/adapters/method.py").read_text().splitlines())
    assert int(stated) == lines <= 350


def test_commands_that_are_named_exist() -> None:
    named = set(re.findall(r"`holdsteady (\w+)", README)) | {words[1] for words in COMMANDS if words[0] == "holdsteady"}
    assert named <= set(KNOWN)
