"""``holdsteady theory``: the bounds on λ, checked and drawn."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdsteady.cli import options


def theory(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("theory"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random problems.")] = 0,
) -> None:
    """Check the bounds on the weight λ of the stability term, and draw the loss.

    Up to λ = 1/2 the truth minimises the loss; from T − 1 on (⌊T/2⌋ if the first output is free) a frozen output does.
    Each claim is tried on random problems, whose true minima come from convex minimisation with certificates, and
    on counterexamples just past the bound. Exit code 1 if a claim fails. The proofs are in docs/theory.md.

    Examples:

        holdsteady theory

        holdsteady theory --out pictures --seed 7
    """
    # Here, not above: matplotlib takes a second to load, and the other commands don't need it.
    from holdsteady.objective.theory_checks import check_all
    from holdsteady.report.theory import save_contours, save_surfaces, save_total_variation

    options.make_folder(out)
    claims = list(check_all(seed))
    table = Table(title=f"The bounds on λ, seed {seed}", title_justify="left")
    for name in ("claim", "cases", "largest\nviolation", "holds"):
        table.add_column(name, justify="left" if name == "claim" else "right")
    for claim in claims:
        verdict = "[green]yes[/]" if claim.holds else "[red]no[/]"
        table.add_row(escape(claim.statement), str(claim.cases), f"{claim.worst:.1e}", verdict)
    save_contours(out / "theory-contours.png")
    save_surfaces(out / "theory-surfaces.png")
    save_total_variation(out / "theory-tv.png", seed)
    console = Console()
    console.print(table)
    console.print(f"the pictures are in {escape(str(out))}/", soft_wrap=True)
    if not all(claim.holds for claim in claims):
        raise typer.Exit(1)
