"""What needs a process of its own: stdin and stdout, Ctrl-C, a library that is not installed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cli.helpers import difference, frames_of, texture, write_clip

Model = Callable[[str], str]

COMMAND = [sys.executable, "-c", "from holdsteady.cli import main; main()"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


CHATTY = """
import os
print("I am being imported", flush=True)

def invert(frame):
    print("a frame", flush=True)
    os.write(1, b"and from below\\n")
    return 1 - frame
"""


def test_y4m_from_stdin_to_stdout(tmp_path: Path) -> None:
    """What a model prints does not get between the pictures."""
    (tmp_path / "chatty.py").write_text(CHATTY)
    pictures = texture(4)
    source = Path(write_clip(tmp_path / "in.y4m", pictures, codec="wrapped_avframe", options={}))
    done = subprocess.run(
        [*COMMAND, "run", "-", "-", "--model", f"{tmp_path}/chatty.py:invert", "--adapter", "none"],
        input=source.read_bytes(),
        capture_output=True,
        env=ENVIRONMENT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"4 frames" in done.stderr
    for words in (b"I am being imported", b"a frame", b"and from below"):
        assert words in done.stderr
        assert words not in done.stdout
    (tmp_path / "out.y4m").write_bytes(done.stdout)
    shown = frames_of(tmp_path / "out.y4m")
    assert len(shown) == 4
    for before, after in zip(frames_of(source), shown, strict=True):
        assert difference(255 - before, after) < 4


def test_ctrl_c_keeps_a_playable_file(model: Model, bikes: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", bikes, "out.mp4", "--model", model("Slow"), "--adapter", "none", "--crf", "4"],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=tmp_path,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        # The encoder holds frames back, but its file appears with the first one.
        while process.poll() is None and not list(tmp_path.glob(".out.part-*")):
            signal.sigtimedwait([], 0.05)
        process.send_signal(signal.SIGINT)  # which a shell's background job has ignored so far
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "interrupted: what was done until then is kept" in err
    assert "Traceback" not in err
    shown = frames_of(tmp_path / "out.mp4")
    assert 0 < len(shown) < 70
    assert max(difference(a, b) for a, b in zip(shown, frames_of(bikes), strict=False)) < 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.mp4", "tiny_models.py"]


def test_torchvision_models_without_torchvision(bikes: str, tmp_path: Path) -> None:
    # Torchmetrics believes the list of installed packages, so torchvision is taken away after it is imported.
    blocker = """
import sys
from holdsteady.cli import main

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
    del sys.modules[name]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", blocker, "run", bikes, "out.mp4", "--model", "lraspp_mobilenet_v3_large"],
        capture_output=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: 'lraspp_mobilenet_v3_large' is not a model that ships here")
    assert "pip install 'holdsteady[models]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
