"""The list of what makes the zoo has everything that ships, in an order in which it can be made."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from holdsteady import zoo
from holdsteady.host.resolve import SHIPPED

ROOT = Path(__file__).parents[2]


def make_zoo() -> Any:
    spec = importlib.util.spec_from_file_location("make_zoo", ROOT / "recipes" / "make_zoo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_everything_that_ships_is_made_after_what_it_needs() -> None:
    made = [entry.name for entry in make_zoo().entries()]
    assert {entry.weights for entry in zoo.MODELS.values()} | set(SHIPPED) <= set(made)
    for name in SHIPPED:
        recipe = ROOT / "recipes" / f"{name}.yaml"
        if not recipe.is_file():
            continue
        settings = yaml.safe_load(recipe.read_text(encoding="utf-8"))
        needed = {zoo.MODELS[settings["model"]].weights}
        needed |= set(re.findall(r"build/([\w-]+)/", recipe.read_text(encoding="utf-8")))
        if isinstance(settings["adapter"], str):
            needed.add(Path(settings["adapter"]).name)
        assert all(made.index(one) < made.index(name) for one in needed), name


def test_commands_name_files_that_are_there_and_take_their_budget() -> None:
    module = make_zoo()
    for entry in module.entries():
        command = module.command_of(entry, 5)
        script = command[1] if command[1].endswith(".py") else command[4]
        assert (ROOT / script).is_file(), entry.name
        assert (command[-1] in ("5", "minutes=5")) == bool(entry.budget)


def test_an_unknown_entry_is_named() -> None:
    command = [sys.executable, ROOT / "recipes" / "make_zoo.py", "--only", "enhnace"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "there is no enhnace; entries: denoise, " in done.stderr
