"""``holdsteady ui``, as far as it does not serve; ``tests/ui`` has the page."""

import socket
import sys
from pathlib import Path

import pytest
from cli.helpers import Cli
from exports.made import make_export


def test_a_port_that_is_taken(cli: Cli) -> None:
    pytest.importorskip("gradio", reason="the page takes the extra ui")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli("ui", "--port", taken.getsockname()[1])
    assert done.code == 1 and "can't listen there: Address already in use" in done.err


def test_an_adapter_without_its_model(cli: Cli) -> None:
    done = cli("ui", "--adapter", "mine/")
    assert done.code == 1 and "--adapter is for a model of your own: give it as --model" in done.err


def test_without_gradio_the_pip_line_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith("holdsteady.ui.")]:
        monkeypatch.delitem(sys.modules, name)
    done = cli("ui")
    assert done.code == 1 and "the page needs gradio" in done.err and "pip install 'holdsteady[ui]'" in done.err


def test_a_model_of_ones_own_that_can_not_be_had_is_told_at_once(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the page takes the extra ui")
    make_export(tmp_path / "out")
    (tmp_path / "net.py").write_text("def build():\n    return lambda frame: frame\n")
    for words, text in {
        ("--model", "gone.py:build"): "no file 'gone.py'",
        ("--model", "net.py:build", "--adapter", "mine"): "'mine' is neither a kind",
        ("--model", "net.py:build", "--weights", "w.safetensors"): "w.safetensors",
        ("--model", "out"): "--model out: an export, which has its adapter in it",
        ("--device", "cudda"): "device 'cudda' can't be used here",
    }.items():
        assert text in cli("ui", "--port", 0, *words).error
