"""``holdsteady ui``: the page in a browser."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady.cli import options
from holdsteady.device import pick_device
from holdsteady.errors import ConfigError, extra


def ui(
    host: Annotated[str, typer.Option(help="Where to listen. Beyond this machine, the address has a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 7860,
    model: Annotated[
        str | None, typer.Option(help="One more model to choose, as run takes it.", show_default=False)
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights for that model.", show_default=False)] = None,
    adapter: Annotated[str | None, typer.Option(help="An adapter for that model.", show_default=False)] = None,
    max_mb: Annotated[float, typer.Option(min=0.1, help="The largest upload, in megabytes.")] = 200,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="How much of a video is worked on.")] = 20,
    device: options.Device = "auto",
) -> None:
    """A page in the browser: drop a video, choose model and adapter, and see both beside each other.

    Only this machine reaches it, unless --host says otherwise. Several people are served in order. Files are removed
    when the page is closed, and all when the command ends, by Ctrl-C.

    Examples:

        holdsteady ui

        holdsteady ui --model my_model.py:build --adapter my-adapter/

        holdsteady ui --host 0.0.0.0 --max-seconds 10
    """
    if model is None and (weights is not None or adapter is not None):
        given = "--weights" if weights is not None else "--adapter"
        raise ConfigError(f"{given} is for a model of your own: give it as --model")
    with extra("ui", "the page"):
        from holdsteady.ui.server import serve
    if model is not None:
        _try(model, weights, adapter)
    pick_device(device)
    from holdsteady.ui.choices import Own
    from holdsteady.ui.limits import Limits

    console = Console(stderr=True, soft_wrap=True)

    def tell(address: str) -> None:
        console.print(f"The page is at {escape(address)}\nCtrl-C ends it.", highlight=False)

    serve(host, port, Limits(max_mb, max_seconds), Own(model, weights, adapter), device, tell)


def _try(model: str, weights: str | None, adapter: str | None) -> None:
    """Find what is wrong with a model of one's own now, and not when somebody runs it."""
    from holdsteady.exports.manifest import is_export
    from holdsteady.host.resolve import resolve_ready
    from holdsteady.loading import card_of_adapters, load

    if is_export(model):
        raise ConfigError(f"--model {model}: an export, which has its adapter in it; the page takes the model itself")
    load(model, weights, card=card_of_adapters(resolve_ready(adapter or "none")))
