"""``holdsteady eval``: adapters beside the base and every plain smoothing."""

import os
import platform
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, takes_model_options
from holdsteady.corruptions import CORRUPTIONS
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra, printable
from holdsteady.host.mirror import can_mirror
from holdsteady.loading import card_of_adapters, load
from holdsteady.models.card import make_card


@takes_model_options()
def evaluate(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE.yaml]", help="Takes model, corruption, target and clips from it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Without a recipe: the model.", show_default=False)] = None,
    adapter: Annotated[list[str] | None, typer.Option(help="As in holdsteady run; repeatable.")] = None,
    clips: Annotated[list[str] | None, typer.Option(help="A clean video or folder of frames; repeatable.")] = None,
    corrupt: Annotated[list[str] | None, typer.Option(help="A corruption, none, or all; repeatable.")] = None,
    target: Annotated[
        str | None, typer.Option(help="frames: the clean frames; self: the model's output on them.", show_default=False)
    ] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames of each clip; default: all.")] = None,
    bounce: Annotated[bool, typer.Option("--bounce", help="Play clips back and forth up to --frames.")] = False,
    baselines: Annotated[bool, typer.Option(help="Measure the smoothings too, with all their settings.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("evaluation"),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    *,
    given: ModelOptions,
) -> None:
    """Measure adapters beside the base, output fixed, output Gaussian, simple fixed and motion fixed.

    Writes results.json, results.csv, results.md, the accuracy-stability plot and quality over time.

    Examples:

        holdsteady eval recipes/nafnet16-noise-motion.yaml --adapter trained/nafnet16-noise-motion

        holdsteady eval --model denoise --adapter A --adapter B --clips a.mp4 --clips b.mp4
        --corrupt gaussian:sigma=0.2 --corrupt jpeg:3 --target frames

        holdsteady eval --model denoise --adapter A --clips a.mp4 --frames 1000 --bounce
    """
    # Here, not above: torchmetrics and matplotlib take seconds to load, and the other commands don't need them.
    from holdsteady.report.evaluation import FILES, save_results
    from holdsteady.report.table import FIGURES, rich_table

    with extra("train", "evaluation"):
        from holdsteady.evaluation import contenders
        from holdsteady.evaluation.evaluate import evaluate as run_evaluation
        from holdsteady.evaluation.evaluate import summarise
        from holdsteady.evaluation.footage import recipe_footage, videos
        from holdsteady.training.recipe import read_recipe
    corruptions = list(corrupt or [])
    footage = videos(clips, frames, bounce=bounce) if clips else []
    weights, card, trust, inside = given.weights, given.card, given.trust, given.inside
    if recipe is not None:
        plan = read_recipe(recipe, files=False)  # what is used is looked for when it is opened
        model = model or plan.model
        weights = weights or (None if plan.weights is None else Path(plan.weights))
        card, trust, inside = card.over(make_card(**plan.card)), trust or plan.trust, inside or plan.inside
        corruptions = corruptions or [plan.corruption]
        video.check_folder(out, FILES, *(() if footage else plan.read_from))
        footage = footage or recipe_footage(plan, frames, bounce=bounce)
        if plan.objective.target in ("self", "frames"):
            target = target or plan.objective.target
    if model is None or not footage:
        raise ConfigError("give a recipe, or --model and --clips; see holdsteady eval --help")
    if "all" in corruptions:
        corruptions = [spec for one in corruptions for spec in (CORRUPTIONS if one == "all" else [one])]
    picked = pick_device(device)
    trained = contenders.trained(adapter or [])
    kept = next((its for one in trained if (its := card_of_adapters(one.adapter)) is not None), None)
    loaded = load(model, weights, card=card if kept is None else card.over(kept), trust=trust, inside=inside)
    rows = contenders.baselines(inner=can_mirror(loaded)) if baselines else [contenders.BASE]
    named = {contender.label for contender in rows}
    rows += [one for one in trained if one.label not in named]
    facts = {
        "model": printable(model),
        "target": target or "self",
        "seed": seed,
        "machine": f"{os.cpu_count()} CPUs ({platform.machine()}), {picked}, torch {torch.__version__}",
    }
    video.check_folder(out, FILES, *(clips or []))
    with options.results_in(out), options.frame_progress("evaluating") as progress:
        found = run_evaluation(
            loaded,
            rows,
            footage,
            corruptions=corruptions or ["none"],
            target=target or "self",
            seed=seed,
            device=picked,
            progress=progress,
            keep=lambda rows: save_results(rows, out, facts),
        )
    summary = summarise(found)
    console = Console()
    shown = [name for name in FIGURES if name not in ("instability", "warp_error", "overhead")]
    for corruption in dict.fromkeys(entry["corruption"] for entry in summary):
        entries = [entry for entry in summary if entry["corruption"] == corruption]
        table = {e["label"]: {name: e["means"][name] for name in shown if name in e["means"]} for e in entries}
        console.print(rich_table(table, f"{model}, {corruption}, mean of {entries[0]['clips']} clip(s), seed {seed}"))
    console.print(f"all figures, with intervals and for each clip, are in {escape(str(out))}/", soft_wrap=True)
