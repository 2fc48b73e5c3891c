"""``holdsteady live`` as it is typed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.helpers import Cli, frames_of, texture, write_clip
from exports.made import make_export


def test_a_model_of_pytorch_live(cli: Cli, model: Callable[[str], str], carphone: str, tmp_path: Path) -> None:
    flags = ["--model", model("Identity"), "--adapter", "output-fixed:0.5", "--kind", "image"]
    done = cli("live", "--source", carphone, "--sink", "out.mkv", *flags)
    assert done.code == 0, done.err
    assert "latency" in done.err and "dropped" in done.err
    assert 1 <= len(frames_of(tmp_path / "out.mkv")) <= 20


def test_what_cannot_be_is_said_first(cli: Cli, model: Callable[[str], str], carphone: str, tmp_path: Path) -> None:
    (tmp_path / "out.mkv").touch()
    words = ("live", "--source", carphone, "--model", model("Identity"))
    assert "exists already" in cli(*words, "--sink", "out.mkv").error
    assert "--codec and --crf are for files" in cli(*words, "--sink", "udp://127.0.0.1:9", "--crf", "20").error
    assert "--values goes with holdsteady run" in cli(*words, "--sink", "new.mkv", "--values", "v").error


def test_ctrl_c_leaves_a_file_that_can_be_played(tmp_path: Path) -> None:
    export = make_export(tmp_path / "out")
    clip = write_clip(tmp_path / "clip.mkv", texture(1000, 32, 48))
    words = ["live", "--source", clip, "--sink", str(tmp_path / "sink.mp4"), "--model", str(export)]
    process = subprocess.Popen([sys.executable, "-m", "holdsteady", *words], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob("*.part-*")):
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert 1 <= len(frames_of(tmp_path / "sink.mp4")) < 1000
    assert "Traceback" not in told
