"""``holdsteady theory``: the paper's pictures of the loss."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady.cli import options


def theory(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("theory"),
) -> None:
    """Draw the loss over the outputs of three frames, as contours and as surfaces, for λ = 0, 0.4 and 4.

    Up to λ = 1/2 the truth minimises the loss; from T − 1 on (⌊T/2⌋ if the first output is free) a frozen output does.
    The proofs are in docs/theory.md, and the tests in tests/objective check them.

    Examples:

        holdsteady theory

        holdsteady theory --out pictures
    """
    # Here, not above: matplotlib takes a second to load, and the other commands don't need it.
    from holdsteady.report.theory import save_contours, save_surfaces

    with options.results_in(out):
        save_contours(out / "theory-contours.png")
        save_surfaces(out / "theory-surfaces.png")
    Console().print(f"the pictures are in {escape(str(out))}/", soft_wrap=True)
