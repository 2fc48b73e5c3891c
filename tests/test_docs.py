"""Pages of docs/ keep up with the code: names, commands and options that they speak of exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

import holdsteady
from holdsteady.adapters.config import KINDS
from holdsteady.cli import app
from holdsteady.corruptions import CORRUPTIONS
from holdsteady.exports.graph import OPSET
from holdsteady.exports.manifest import FLOW_CONVENTION
from holdsteady.live.sinks import FORMATS

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def lines_of_commands() -> list[tuple[str, str]]:
    """(page, line) of every call of holdsteady in the shell blocks, continued lines joined."""
    found = []
    for name, text in {**PAGES, "README.md": (ROOT / "README.md").read_text()}.items():
        for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(name, line) for line in lines if line.startswith("holdsteady ")]
    return found


@pytest.mark.parametrize(("page", "line"), lines_of_commands())
def test_commands_and_options_exist(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[1] in COMMANDS, page
    known = {option for param in COMMANDS[words[1]].params for option in [*param.opts, *param.secondary_opts]}
    assert {word for word in words[2:] if word.startswith("--")} <= known, page


def test_every_command_has_its_section() -> None:
    assert set(re.findall(r"\{\{ help (\S+) \}\}", PAGES["commands.md"])) == set(COMMANDS)


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    shown = set(re.findall(r"^::: holdsteady\.(\w+)$", PAGES["api.md"], flags=re.MULTILINE))
    assert shown - {"errors", "metrics"} == set(holdsteady.__all__)


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    assert set(re.findall(r"^  - .*?: ([\w-]+\.md)$", config.split("nav:")[1], flags=re.MULTILINE)) == set(PAGES)


def test_figures_for_those_who_come_from_elsewhere_are_those_of_the_peers() -> None:
    def table(text: str) -> list[list[str]]:
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]

    header, _, *rows = table(PAGES["coming-from.md"].partition("## ")[0])
    columns, _, *known = table(PAGES["peers.md"].partition("### On carphone and cup")[2].partition("### ")[0])
    cells = {row[0]: dict(zip(columns, row, strict=True)) for row in known}
    assert len(rows) == 7
    assert {row[0]: row[1:] for row in rows} == {row[0]: [cells[row[0]][name] for name in header[1:]] for row in rows}


@pytest.mark.parametrize(("page", "names"), [("kinds.md", KINDS), ("corruptions.md", CORRUPTIONS)])
def test_tables_have_every_kind_and_corruption(page: str, names: list[str]) -> None:
    assert [name for name in names if f"| `{name}` |" not in PAGES[page]] == []


def test_every_extra_is_on_the_page_of_the_installation() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGES["installation.md"], flags=re.MULTILINE)) == set(extras) - {
        "dev",
        "docs",
    }


def test_the_page_of_exports_keeps_up_with_them() -> None:
    page = PAGES["export.md"]
    assert f"opset {OPSET}" in page
    for name in (
        "holdsteady.json",
        "step.onnx",
        "step-1.onnx",
        "step.pt2",
        "present",
        "previous",
        "max_height",
        "smooth",
    ):
        assert f"`{name}`" in page, name
    assert "`present[y, x]` is found at `previous[y + flow[1], x + flow[0]]`" in page
    assert "present[y, x] is found at previous[y + flow[1], x + flow[0]]" in FLOW_CONVENTION


def test_the_page_of_live_runs_names_every_url_and_key() -> None:
    page = PAGES["live.md"]
    assert [scheme for scheme in FORMATS if f"`{scheme}://`" not in page and scheme != "rtmps"] == []
    assert all(f"`{key}`" in page for key in "+-0rq")
