"""The command line: one file a command. ``main`` turns every expected error into one line and an exit code."""

import sys
import warnings

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady.allocator import keep_freed_memory
from holdsteady.cli import compare, corrupt, demo, evaluate, fix, points, probe, run, theory, train
from holdsteady.errors import HoldsteadyError

app = typer.Typer(
    name="holdsteady",
    help="Turn any frame-wise image model into a steady, robust video model.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)
app.command()(run.run)
app.command()(fix.fix)
app.command()(compare.compare)
app.command()(points.points)
app.command()(probe.probe)
app.command()(corrupt.corrupt)
app.command()(train.train)
app.command("eval")(evaluate.evaluate)
app.command()(theory.theory)
app.command()(demo.demo)


def main() -> None:
    """Entry point of the ``holdsteady`` command. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    errors = Console(stderr=True, soft_wrap=True)

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        errors.print(f"[yellow]warning:[/] {escape(str(message))}")

    warnings.showwarning = show_warning
    keep_freed_memory()
    try:
        app()
    except HoldsteadyError as error:
        errors.print(f"[red]error:[/] {escape(' '.join(str(error).split()))}")
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(130)
