"""``holdsteady zoo``: what ships here, models and the adapters for them."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from holdsteady import zoo as shelf
from holdsteady.errors import ConfigError, near


def zoo(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only this model and its adapters.", show_default=False)
    ] = None,
) -> None:
    """List the models and adapters that ship here: task, size, licence. They work offline.

    Models go behind --model, adapters behind --adapter. An adapter *clean* holds its model steady in its own task,
    *robust* also under dropped patches, dropped frames, distortion, compression and impulse noise.

    Examples:

        holdsteady zoo

        holdsteady zoo denoise-video

        holdsteady run noisy.mp4 clean.mp4 --model denoise-video --adapter denoise-video-clean
    """
    wanted = shelf.ALIASES.get(name, name) if name else None
    made_for = next((one.model for one in shelf.adapters() if one.name == wanted), wanted)
    if made_for != wanted:
        model = f"the model {made_for}: holdsteady zoo {made_for}" if made_for else "any model: holdsteady zoo"
        raise ConfigError(f"{name} is an adapter, for {model} shows it")
    if wanted is not None and wanted not in shelf.MODELS:
        raise ConfigError(f"no model '{name}' ships here{near(str(name), shelf.MODELS)}; holdsteady zoo lists them")
    table = Table(title="What ships with holdsteady", title_justify="left")
    for heading in ("name", "task", "size", "licence"):
        table.add_column(heading, no_wrap=heading != "task", justify="right" if heading == "size" else "left")
    former = {now: old for old, now in shelf.ALIASES.items()}
    for model, entry in shelf.MODELS.items():
        if wanted in (None, model):
            known_as = f"\n(was {former[model]})" if model in former else ""
            table.add_row(f"{model}{known_as}", entry.task, _size(entry.file.stat().st_size), shelf.LICENCE)
            adapters = [one for one in shelf.adapters() if one.model == model]
            for number, one in enumerate(adapters):
                last = number == len(adapters) - 1
                table.add_row(f"  {one.name}", one.task, _size(one.size), shelf.LICENCE, end_section=last)
    for one in shelf.adapters():
        if wanted is None and one.model is None:
            table.add_row(one.name, one.task, _size(one.size), shelf.LICENCE)
    # As wide as it has to be when it goes to a file or another program.
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count > 1e6 else f"{count / 1e3:.0f} kB"
