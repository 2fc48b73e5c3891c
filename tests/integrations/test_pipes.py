"""The recipe for pipes: the commands of its README run in a shell, with a real FFmpeg where there is one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from holdsteady.video import open_video

README = Path(__file__).parents[2] / "integrations" / "pipes" / "README.md"
COMMANDS = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)


def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        found = pytest.importorskip(
            "imageio_ffmpeg", reason="takes an FFmpeg: pip install imageio-ffmpeg"
        ).get_ffmpeg_exe()
    return str(found)


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `ffmpeg` and `holdsteady` are programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(ffmpeg())
    script = programs / "holdsteady"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m holdsteady "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def frames(path: Path) -> list[np.ndarray]:
    with open_video(str(path)) as reader:
        return [frame.pixels for frame in reader]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "result"), list(zip(COMMANDS, ["out.mp4", "fixed.mp4"], strict=True)))
def test_the_commands_of_the_readme(
    command: str, result: str, shell: dict[str, str], tmp_path: Path, bunny: str
) -> None:
    shutil.copy(bunny, tmp_path / "in.mp4")
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail\n{command}"], cwd=tmp_path, env=shell, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    before, after = frames(tmp_path / "in.mp4"), frames(tmp_path / result)
    assert len(after) == len(before) == 36
    assert after[0].shape == before[0].shape
    with av.open(str(tmp_path / result)) as container:
        assert len(container.streams.audio) == (result == "out.mp4")
    if result == "out.mp4":
        assert np.abs(after[9].astype(float) - before[9]).mean() < 8
