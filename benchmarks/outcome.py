"""What comes out of benchmarks: adapters, files of results that are added to, and pages that show them."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

Entry = dict[str, Any]


def facts(threads: int) -> dict[str, Any]:
    """What figures depend on beside the code."""
    return {
        "seed": 0,
        "threads": threads,
        "machine": f"{os.cpu_count()} CPUs ({platform.machine()})",
        "torch": torch.__version__,
        "opencv": cv2.__version__,
    }


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what all programs take whose results are added to."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path, help="as recipes/get_footage.py fills it")
    parser.add_argument("--json", type=Path, required=True, help="the results, which are added to")
    parser.add_argument("--docs", type=Path, help="a page that the table is written into")
    return parser


def trained_by(recipe: str, folder: Path, changes: Mapping[str, Any]) -> Path:
    """The folder of what a recipe of this project trains, with changes; made where it is not there yet.

    Raises:
        SystemExit: what is there was trained for another number of steps.
    """
    done = folder / "metrics.json"
    known = json.loads(done.read_text(encoding="utf-8")) if done.exists() else {"ended": "interrupted"}
    if known["ended"] != "interrupted":
        if known["steps"] != changes["steps"]:
            sys.exit(f"{folder} was trained for {known['steps']} steps, not {changes['steps']}: take another --work")
        return folder
    command = [sys.executable, "-m", "holdsteady", "train", f"recipes/{recipe}.yaml", "--out", str(folder.resolve())]
    for name, value in changes.items():
        command += ["--set", f"{name}={value}"]
    # The paths in recipes are those of a clone.
    subprocess.run([*command, "--device", "cpu"], check=True, cwd=Path(__file__).parents[1])
    return folder


def begun(path: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """The results of an earlier run, or, where there are none, fresh ones to add to."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else fresh


def merged(before: Sequence[Entry], new: Sequence[Entry], order: Sequence[str]) -> list[Entry]:
    """Entries with a label each: the new ones, and those of before that were not measured again; in this order.

    Those of labels that don't take part any more are left out.
    """
    again = {entry["label"] for entry in new}
    kept = [entry for entry in before if entry["label"] in order and entry["label"] not in again]
    return sorted([*kept, *new], key=lambda entry: order.index(entry["label"]))


def show(text: str, program: str, docs: Path | None) -> None:
    """Put a program's tables into a page if there is one, or print them."""
    if docs:
        write_into(docs, program, text)
    else:
        print(text)


def write_json(path: Path, results: dict[str, Any]) -> None:
    """Write results as a whole, or not at all."""
    _write(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def markers(program: str) -> tuple[str, str]:
    """The lines of a page between which a program's tables are."""
    return f"<!-- {program} writes this -->", f"<!-- {program} ends -->"


def shown_in(page: str, program: str) -> str:
    """What a page has between a program's markers.

    Raises:
        ValueError: there are no markers.
    """
    begin, end = markers(program)
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs the lines '{begin}' and '{end}', once each")
    return page[page.index(begin) + len(begin) : page.index(end)].strip()


def write_into(path: Path, program: str, text: str) -> None:
    """Put a program's tables into a page, in place of what was between its markers. Errors as of ``shown_in``."""
    page = path.read_text(encoding="utf-8")
    shown_in(page, program)
    begin, end = markers(program)
    _write(path, f"{page.partition(begin)[0]}{begin}\n\n{text}\n\n{end}{page.partition(end)[2]}")


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
