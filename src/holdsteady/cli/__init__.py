"""The command line: one file a command, imported when it is called.

``main`` turns every expected error into one line and an exit code.
"""

import io
import sys
import traceback
import warnings
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from holdsteady import __version__
from holdsteady.allocator import keep_freed_memory
from holdsteady.cli.signals import stop_signals
from holdsteady.errors import HoldsteadyError, extra, in_one_line
from holdsteady.threads import wait_asleep

_CTRL_C = 130  # what Typer exits with after a KeyboardInterrupt

#: The commands, in the order of the help; each is the function of its name in the file of its name, but for ``eval``.
COMMANDS = (
    "run",
    "fix",
    "batch",
    "live",
    "ui",
    "check",
    "compare",
    "points",
    "probe",
    "corrupt",
    "train",
    "eval",
    "export",
    "theory",
    "demo",
    "zoo",
)


class _Commands(MutableMapping[str, Any]):
    """The commands by name. Importing PyTorch takes seconds, and a device that runs an export may not have it."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            if name not in COMMANDS:
                raise KeyError(name)
            file = "evaluate" if name == "eval" else name
            with extra("cli", "the holdsteady command"):
                module = import_module(f"holdsteady.cli.{file}")
            single = typer.Typer(context_settings=_SETTINGS, rich_markup_mode="markdown", add_completion=False)
            single.command(name)(getattr(module, file))
            self._made[name] = typer.main.get_command(single)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()


_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="holdsteady",
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings=_SETTINGS,
    add_completion=False,
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"holdsteady {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole traceback of an error; goes anywhere.")
    ] = False,
) -> None:
    """Turn any frame-wise image model into a steady, robust video model."""


def main() -> None:
    """Entry point of the ``holdsteady`` command.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130, 143 or 129 ended by SIGINT (Ctrl-C), SIGTERM or SIGHUP.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be text
            stream.reconfigure(errors="backslashreplace")
    errors = Console(stderr=True, soft_wrap=True)

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        errors.print(f"[yellow]warning:[/] {escape(str(message))}")

    warnings.showwarning = show_warning
    keep_freed_memory()
    wait_asleep()
    arguments, debug = _without_debug(sys.argv[1:])
    with stop_signals() as stop:
        try:
            app(arguments, obj=stop)
        except Exception as error:
            if debug:
                traceback.print_exception(error)
            errors.print(f"[red]error:[/] {escape(_in_words(error))}")
            sys.exit(1)
        except (KeyboardInterrupt, SystemExit) as error:
            if stop.signal is None or (isinstance(error, SystemExit) and error.code != _CTRL_C):
                raise
            if not stop.told:
                errors.print("interrupted")
            sys.exit(stop.exit_code)


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Arguments without ``--debug``, and whether it was among them; what follows ``--`` are names."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != "--debug"]
    return kept + arguments[end:], len(kept) < end


def _in_words(error: Exception) -> str:
    """An error in one line: what the user has to know, or where a bug of the program or of a model is."""
    if isinstance(error, HoldsteadyError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{in_one_line(error)}; --debug shows where"
