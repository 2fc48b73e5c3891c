"""Make everything that ships in the zoo again, in order: `make zoo`.

    python recipes/get_footage.py
    python recipes/make_zoo.py --list                       the entries and their commands
    python recipes/make_zoo.py                              all of them, as they were made
    python recipes/make_zoo.py --minutes 5                  at most five minutes for each training
    python recipes/make_zoo.py --only enhance,enhance-clean

Results go to build/zoo. An entry that is done is not made again, within another budget neither: remove its .done. One
that was stopped resumes at its last checkpoint; *universal* keeps its examples and learns anew. Adapters learn with the
networks that the package holds: to ship new ones, copy their weights into src/holdsteady/zoo before the adapters.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = Path("build/zoo")
TASKS = ("denoise", "denoise-video", "enhance", "upscale2", "depth", "segment")
ADAPTERS = (
    "nafnet16-light",
    "nafnet16-noise-motion",
    "nafnet16-patchdrop-input",
    *(f"{task}-{kind}" for task in TASKS for kind in ("clean", "robust")),
)


@dataclass(frozen=True)
class Entry:
    """Something to make.

    Attributes:
        name: of a file or folder in the zoo, or of the pairs that others learn from.
        command: what makes it, without the program.
        budget: how it is told the most minutes; empty if it can't be.
    """

    name: str
    command: tuple[str, ...]
    budget: str = ""

    @property
    def mark(self) -> Path:
        """A file that is there when the entry is done."""
        return ROOT / BUILD / f"{self.name}.done"


def entries() -> list[Entry]:
    """All that ships, what the others need first."""

    def pairs(task: str, *options: str) -> Entry:
        return Entry(task, ("recipes/pairs.py", task, "--out", f"build/{task}", *options))

    def network(name: str, script: str, *options: str) -> Entry:
        return Entry(name, (f"recipes/{script}.py", *options, "--out", str(BUILD / f"{name}.safetensors")), "--minutes")

    short = ("--clips", "200", "--length", "8")
    made = [
        network("denoise", "denoise"),
        pairs("noisy"),
        network("denoise-video", "denoise_video", "--pairs", "build/noisy"),
        network("enhance", "enhance"),
        pairs("detail", *short),
        network("upscale2", "upscale2"),
        network("scenes", "scene_networks"),
    ]
    for name in ADAPTERS:
        command = ("-m", "holdsteady", "train", f"recipes/{name}.yaml", "--out", str(BUILD / name))
        made.append(Entry(name, command, "--set minutes="))
    made.append(Entry("universal", ("recipes/universal.py", "--out", str(BUILD / "universal")), "--minutes"))
    return made


def command_of(entry: Entry, minutes: float | None) -> list[str]:
    """The program and its arguments, within a budget if there is one and the entry takes one."""
    limit: list[str] = []
    if minutes is not None and entry.budget:
        *flags, last = entry.budget.split()
        limit = [*flags, f"{last}{minutes:g}"] if last.endswith("=") else [last, f"{minutes:g}"]
    return [sys.executable, *entry.command, *limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="entries, with commas between them")
    parser.add_argument("--minutes", type=float, help="the most for each training that takes a budget")
    parser.add_argument("--list", action="store_true", help="print the commands and do nothing")
    args = parser.parse_args()
    known = {entry.name: entry for entry in entries()}
    names = args.only.split(",") if args.only else list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no {', '.join(unknown)}; entries: {', '.join(known)}")
    for name in names:
        entry = known[name]
        command = command_of(entry, args.minutes)
        if args.list:
            print(f"{name}: {' '.join(['python', *command[1:]])}")
        elif entry.mark.exists():
            print(f"{name}: done already ({entry.mark})")
        else:
            print(f"{name}: {' '.join(command[1:])}", flush=True)
            (ROOT / BUILD).mkdir(parents=True, exist_ok=True)
            subprocess.run(command, cwd=ROOT, check=True)
            entry.mark.touch()


if __name__ == "__main__":
    main()
