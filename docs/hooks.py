"""What MkDocs does to pages before it renders them: it takes text from where it is kept once.

* ``index.md`` is the README, ``zoo.md`` the cards of the zoo, with links that hold on the site;
* ``{{ help COMMAND }}`` becomes what ``holdsteady COMMAND --help`` says, as Markdown;
* links of the class ``video`` become players;
* roles of docstrings, as :class:, go.
"""

import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from holdsteady.cli import app

ROOT = Path(__file__).parents[1]
SOURCES = {"index.md": "README.md", "zoo.md": "src/holdsteady/zoo/CARDS.md"}
# Files of the repository that are not pages of the site, and the pages that show them.
ELSEWHERE = {
    "src/holdsteady/adapters/method.py": "method.md",
    "src/holdsteady/zoo/CARDS.md": "zoo.md",
}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The text of a page; called by MkDocs."""
    source = SOURCES.get(page.file.src_uri)
    text = for_the_site((ROOT / source).read_text()) if source else markdown
    return re.sub(r"\{\{ help (\S+) \}\}", lambda found: help_text(found[1]), text)


def on_page_content(html: str, **_: Any) -> str:
    """The page as HTML; called by MkDocs."""
    html = re.sub(r":(?:func|class|meth):(?=<code)", "", html)
    player = r'<video controls loop muted playsinline preload="metadata" aria-label="\2" src="\1"></video>'
    return re.sub(r'<a class="video" href="([^"]+)">([^<]*)</a>', player, html)


def for_the_site(text: str) -> str:
    """Links and images of the repository as links of the site; links to what the site lacks become plain text."""

    def link(found: re.Match[str]) -> str:
        label, target = found[1], found[2]
        if target.startswith(("http://", "https://", "#")):
            return found[0]
        target = target.removeprefix("../../../")
        page = ELSEWHERE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        return f"[{label}]({page})" if page else label

    return re.sub(r"\[([^]]*)\]\(([^)]+)\)", link, text)


def help_text(name: str) -> str:
    """A command's usage, description, examples and options."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    described, _, examples = inspect.cleandoc(command.help or "").partition("\nExamples:\n")
    if not examples:
        described, _, examples = described.partition("\nExample:\n")
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["holdsteady", name, *(param.metavar or param.name.upper() for param in arguments), "[OPTIONS]"])
    lines = ["```text", usage, "```", "", described.strip(), ""]
    if examples:
        lines += ["```sh", *(line.strip() for line in examples.splitlines() if line.strip()), "```", ""]
    lines += ["| | default | |", "| --- | --- | --- |"]
    for param in arguments:
        lines.append(f"| `{param.metavar or param.name.upper()}` | – | {in_a_cell(param.help)} |")
    for param in options:
        lines.append(f"| {flags(param)} | {default(param)} | {in_a_cell(param.help)} |")
    return "\n".join(lines)


def flags(param: Any) -> str:
    """The names of an option, and the values that it takes if they are few."""
    names = ", ".join(f"`{name}`" for name in [*sorted(param.opts, key=len, reverse=True), *param.secondary_opts])
    if isinstance(param.default, Enum):
        return names + " " + in_a_cell("|".join(str(member.value) for member in type(param.default)))
    return names


def default(param: Any) -> str:
    """An option's default, as one would type it."""
    value = getattr(param.default, "value", param.default)
    if param.required:
        return "required"
    return "–" if value is None or isinstance(value, bool) or callable(value) or value in ([], ()) else f"`{value}`"


def in_a_cell(text: str | None) -> str:
    """Text for a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
