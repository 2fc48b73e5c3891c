"""Ctrl-C, `kill` and a closed terminal: what was done is kept, and the exit code says which it was."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from cli.helpers import Cli, frames_of

Model = Callable[[str], str]

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of before come back, and the commands leave none of their own."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def send(tmp_path: Path, name: str, frame: int) -> str:
    """A model that sends a signal to its own process at a frame."""
    (tmp_path / "sender.py").write_text(
        "import itertools, os, signal\n"
        "numbers = itertools.count()\n"
        "def model(frame):\n"
        f"    if next(numbers) == {frame}:\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "    return frame\n"
    )
    return f"{tmp_path / 'sender.py'}:model"


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("name", list(SIGNALS))
def test_a_signal_keeps_what_was_done(cli: Cli, bunny: str, tmp_path: Path, name: str, ignored: bool) -> None:
    number = getattr(signal, name)
    signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    done = cli("run", bunny, "out.mp4", "--model", send(tmp_path, name, 15), "--adapter", "none")
    if ignored and name == "SIGHUP":  # as under nohup
        assert (done.code, len(frames_of("out.mp4"))) == (0, 36)
    else:
        assert done.code == SIGNALS[name], done.err
        assert "interrupted: what was done until then is kept" in done.err
        assert 10 <= len(frames_of("out.mp4")) < 20
        with av.open("out.mp4") as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert signal.getsignal(number) is (signal.SIG_IGN if ignored else signal.SIG_DFL)


def test_a_signal_before_the_first_frame_is_done_says_so(cli: Cli, bunny: str, tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    (tmp_path / "sender.py").write_text(
        "import os, signal, sys\ndef model(frame):\n    os.kill(os.getpid(), signal.SIGINT)\n    return frame\n"
    )
    done = cli("run", bunny, "out.mp4", "--model", "sender.py:model", "--adapter", "none")
    assert done.code == SIGNALS["SIGINT"], done.err
    assert done.err.rstrip().endswith("interrupted before the first frame was done: out.mp4 is not written")
    assert "0 frames" not in done.err
    assert not Path("out.mp4").exists()


@pytest.mark.parametrize("name", list(SIGNALS))
def test_a_signal_while_the_model_is_loaded_ends_at_once(cli: Cli, bunny: str, tmp_path: Path, name: str) -> None:
    Path("out.mp4").write_text("precious")
    signal.signal(getattr(signal, name), signal.SIG_DFL)
    (tmp_path / "slow.py").write_text(
        f"import os, signal\nos.kill(os.getpid(), signal.{name})\nfor n in range(10**9): pass\n"
    )
    done = cli("run", bunny, "out.mp4", "--model", "slow.py:model", "-y")
    assert (done.code, done.err.strip()) == (SIGNALS[name], "interrupted")
    assert Path("out.mp4").read_text() == "precious"
