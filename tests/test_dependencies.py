"""What is required, what is optional, and what is said when something is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from holdsteady.errors import MissingExtraError, extra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Tools that only developers run; their oldest versions are nobody's promise.
TOOLS = {"docs", "dev", "peers"}


def lower_bounds() -> dict[str, Version]:
    """The oldest allowed version of every library that users may have."""
    texts = PROJECT["dependencies"] + [text for name, texts in EXTRAS.items() if name not in TOOLS for text in texts]
    found = {}
    for requirement in map(Requirement, texts):
        if requirement.name != PROJECT["name"]:
            (specifier,) = requirement.specifier
            assert specifier.operator == ">=", f"{requirement} has no plain lower bound"
            found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def test_lowest_versions_are_those_of_pyproject() -> None:
    lines = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonicalize_name(name): Version(version) for name, version in pinned.items()}
    for name, bound in lower_bounds().items():
        # 4.13 is tested as 4.13.0.90: a pin is the bound, or its first release.
        assert name in pins, f"{name} is missing in constraints/lowest.txt"
        assert pins[name].release[: len(bound.release)] == bound.release, f"{name}: {pins[name]} is not {bound}"


def test_all_is_every_extra_for_users() -> None:
    def members(name: str) -> set[str]:
        own = [Requirement(text) for text in EXTRAS[name]]
        inner = {extra for text in own if text.name == PROJECT["name"] for extra in text.extras}
        return {name}.union(*(members(extra) for extra in inner)) if inner else {name}

    assert members("all") == set(EXTRAS) - TOOLS


def test_no_dependency_brings_a_distribution_of_opencv() -> None:
    """They overwrite each other's files; only the extras that say so may."""
    bringing = {name for name, texts in EXTRAS.items() if any(text.startswith("opencv") for text in texts)}
    assert bringing == {"cv"}
    assert not any(text.startswith("opencv") for text in PROJECT["dependencies"])


def test_optical_flow_without_opencv_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import torch, holdsteady as hs\n"
        "steady = hs.stabilize(torch.nn.Identity())\n"
        "steady(torch.rand(1, 3, 40, 40)); steady(torch.rand(1, 3, 40, 40))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "MissingExtraError: optical flow needs cv2" in last
    assert "pip install 'holdsteady[cv]'" in last


def test_every_pip_line_names_an_extra_that_exists() -> None:
    named = set()
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text()
        for names in re.findall(r"pip install 'holdsteady\[([\w,]+)\]'", text):
            named.update(names.split(","))
        named.update(re.findall(r"\bextra\(\"(\w+)\"", text))
    assert named
    assert named <= set(EXTRAS)


def test_a_missing_library_is_named_with_its_pip_line() -> None:
    with (
        pytest.raises(MissingExtraError, match=r"reading moons needs no_such_library.*'holdsteady\[video\]'"),
        extra("video", "reading moons"),
    ):
        import no_such_library  # noqa: F401


def test_a_missing_module_of_our_own_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), extra("video", "x"):
        import holdsteady.no_such_module  # noqa: F401


@pytest.mark.parametrize(
    ("library", "line"), [("typer", "holdsteady[cli]"), ("av", "holdsteady["), ("cv2", "holdsteady[cv]")]
)
def test_the_script_says_what_it_needs(library: str, line: str) -> None:
    """One line, no traceback, exit code 1."""
    code = f"import sys; sys.modules['{library}'] = None; from holdsteady.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert library in done.stderr
    assert f"pip install '{line}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
