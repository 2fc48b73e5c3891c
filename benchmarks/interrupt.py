"""Ends `holdsteady run` at random moments, and looks at what is left: the old file, or a new one that plays.

    python benchmarks/interrupt.py [--runs 60] [--seed 0]

Each run writes over an old file and gets SIGINT, SIGTERM or SIGKILL: half of them at any time since its start, the
others once it has begun to write. A new file plays if all of its pictures and all of its sound can be decoded. Exit
code 1 if anything else is found.
"""

import argparse
import collections
import random
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from holdsteady import zoo

COMMAND = [sys.executable, "-c", "from holdsteady.cli import main; main()"]
MODEL = "import time\n\ndef slow(frame):\n    time.sleep(0.02)\n    return frame\n"
OLD = b"the old file"
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm")


def make_source(path: Path) -> None:
    """The demo clip with a tone."""
    with av.open(str(zoo.DEMO_CLIP)) as clip, av.open(str(path), "w") as output:
        pictures = clip.streams.video[0]
        copy = output.add_stream_from_template(pictures)
        sound = output.add_stream("aac", rate=48000)
        seconds = float((pictures.duration or 0) * (pictures.time_base or 1))
        tone = (3000 * np.sin(np.arange(round(seconds * 48000)) / 20)).astype(np.int16).repeat(2)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(sound.encode(frame) + sound.encode(None))
        for packet in clip.demux(pictures):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)


def frames_of(path: Path) -> int:
    """How many pictures a file shows; raises if they or its sound can't be decoded."""
    with av.open(str(path)) as container:
        counts = collections.Counter(type(frame).__name__ for frame in container.decode(video=0, audio=0))
    if not counts["VideoFrame"] or not counts["AudioFrame"]:
        raise ValueError(f"a file with {dict(counts)}")
    return counts["VideoFrame"]


def interrupt(folder: Path, source: Path, sink: Path, number: signal.Signals, wait: float, begun: bool) -> str:
    """One run and its end, in words; raises if the sink is neither the old nor a playable file."""
    sink.write_bytes(OLD)
    command = [*COMMAND, "run", str(source), str(sink), "--model", f"{folder}/slow.py:slow", "--adapter", "none", "-y"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while begun and process.poll() is None and not list(folder.glob(f".{sink.stem}.part-{process.pid}*")):
        time.sleep(0.01)
    time.sleep(wait)
    process.send_signal(number)
    code = process.wait()
    if sink.read_bytes() == OLD:
        return f"{number.name}: the old file (exit code {code})"
    frames_of(sink)
    return f"{number.name}: a new file that plays (exit code {code})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    found: collections.Counter[str] = collections.Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "slow.py").write_text(MODEL)
        source = folder / "source.mkv"
        make_source(source)
        begin = time.monotonic()
        subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        start = time.monotonic() - begin  # of Python and its libraries
        with av.open(str(source)) as container:
            length = 0.025 * sum(packet.size > 0 for packet in container.demux(video=0))
        for run in range(args.runs):
            number = draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
            begun = draw.random() < 0.5
            wait = draw.uniform(0, length if begun else start + length)
            sink = folder / f"out{draw.choice(SUFFIXES)}"
            try:
                found[interrupt(folder, source, sink, number, wait, begun)] += 1
            except (av.error.FFmpegError, OSError, ValueError) as error:
                bad += 1
                print(f"run {run}, {number.name}, {sink.name} after {wait:.2f} s: {error}", flush=True)
        parts = list(folder.glob(".*.part-*"))
    for words, count in sorted(found.items()):
        print(f"{count:3d}  {words}")
    print(f"{args.runs} runs, seed {args.seed}: {bad} left neither; {len(parts)} parts were left, by SIGKILL")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
