"""What a user asked for, and the commands that do the same."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from holdsteady.ui.choices import FIX


@dataclass(frozen=True)
class Job:
    """One run of the page.

    Attributes:
        source: the file.
        shown: what the user calls it on the command line.
        model: a name as of ``holdsteady run``, or ``FIX``.
        adapter: its name.
        strength: from 0 to 1.
        corruption: the spec of a corruption to add first, or None.
        seconds: how much is worked on, or None for all.
        weights: for the model.
        device: where it runs.
    """

    source: str
    shown: str
    model: str
    adapter: str
    strength: float = 1.0
    corruption: str | None = None
    seconds: float | None = None
    weights: str | None = None
    device: str = "auto"

    @property
    def download(self) -> str:
        """The name of the result."""
        return f"{Path(self.shown).stem}-steady.mp4"

    def commands(self) -> list[str]:
        """Lines for a shell that make the result."""
        stem = Path(self.shown).stem
        part = [] if self.seconds is None else ["--duration", f"{self.seconds:g}"]
        lines, source = [], _file(self.shown)
        if self.corruption is not None:
            corrupted = _file(f"{stem}-corrupted.mp4")
            lines.append(["holdsteady", "corrupt", source, corrupted, "--with", self.corruption, *part])
            source, part = corrupted, []
        command = ["run"] if self.model != FIX else ["fix"]
        model = [] if self.model == FIX else ["--model", self.model]
        weights = [] if self.weights is None else ["--weights", self.weights]
        strength = [] if self.strength == 1 else ["--strength", f"{self.strength:g}"]
        device = [] if self.device == "auto" else ["--device", self.device]
        options = [*model, *weights, "--adapter", self.adapter, *strength, *device, *part]
        lines.append(["holdsteady", *command, source, _file(self.download), *options])
        return [_in_lines(line) for line in lines]


def _in_lines(words: list[str]) -> str:
    """A command with its options on a line of their own, where it is long."""
    whole = shlex.join(words)
    options = next(at for at, word in enumerate(words) if word.startswith("--"))
    return whole if len(whole) < 80 else f"{shlex.join(words[:options])} \\\n  {shlex.join(words[options:])}"


def _file(name: str) -> str:
    """A file's name as a command takes it, which may begin with a dash."""
    return f"./{name}" if name.startswith("-") else name
