"""``holdsteady export``: a stabilized model as files that other programs run."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from holdsteady import video, zoo
from holdsteady.cli import options
from holdsteady.cli.model_options import ModelOptions, takes_model_options
from holdsteady.errors import ConfigError
from holdsteady.exports.manifest import MANIFEST, files_of_exports, read_manifest
from holdsteady.exports.write import check_folder, looked_at, write
from holdsteady.host.attach import stabilize
from holdsteady.host.resolve import resolve_ready

if TYPE_CHECKING:
    from torch import Tensor


class Format(StrEnum):
    """Formats of an export."""

    ONNX = "onnx"
    PT2 = "pt2"


class FlowPlace(StrEnum):
    """Where optical flow is searched."""

    HOST = "host"
    INSIDE = "inside"


@takes_model_options()
def export(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the export.")],
    model: Annotated[str, typer.Option(help="As in holdsteady run.")],
    adapter: Annotated[str, typer.Option(help="As in holdsteady run.")] = "motion-fixed",
    strength: options.Strength = 1.0,
    format: Annotated[Format, typer.Option(help="ONNX, or a program of torch.export.")] = Format.ONNX,
    flow: Annotated[
        FlowPlace, typer.Option(help="Motion is searched by the host between two graphs, or inside the one graph.")
    ] = FlowPlace.HOST,
    size: Annotated[
        str, typer.Option(help="WIDTHxHEIGHT of frames, about; exactly where a model takes one size.")
    ] = "640x480",
    example: Annotated[
        str | None, typer.Option(help="Video or picture to try the model with; default: a clip that ships here.")
    ] = None,
    overwrite: options.Overwrite = False,
    *,
    given: ModelOptions,
) -> None:
    """Export a model with its adapter: step(frame, state) → (output, state), the same for all frames of a video.

    OUT/holdsteady.json says what goes in and comes out. `holdsteady run --model OUT/` runs it by ONNX Runtime, without
    PyTorch.

    Examples:

        holdsteady export out/ --model denoise

        holdsteady export out/ --model denoise --adapter universal --flow inside

        holdsteady export out/ --model my_model.py:build --adapter my-adapter/ --format pt2 --size 1280x720
    """
    if Path(model).is_file() and Path(model).resolve() in [path.resolve() for path in files_of_exports(folder)]:
        raise ConfigError(f"{folder}: the model itself, {model}, could be replaced; export to another folder")
    adapters = resolve_ready(adapter)
    frame, loaded = _example(example or str(zoo.DEMO_CLIP), size), given.load(model, adapters)
    check_folder(folder, overwrite)
    found = looked_at(loaded, frame)
    steady = stabilize(loaded, adapters, example=found[1], strength=strength)
    console = Console(stderr=True, soft_wrap=True)
    write(steady, found, folder, format=format.value, flow=flow.value)
    manifest = read_manifest(folder)
    files = ", ".join(f"{part.file} ({(folder / part.file).stat().st_size / 1e6:.1f} MB)" for part in manifest.parts)
    console.print(escape(f"{folder / MANIFEST}: {files}; state of {len(manifest.state)} tensors"))


def _example(source: str, size: str) -> "Tensor":
    """The first frame of a video or picture, in a size."""
    from holdsteady.models.sizes import resize

    found = re.fullmatch(r"(\d+)[x×](\d+)", size)
    if found is None or "0" in found.groups():
        raise ConfigError(f"--size {size}: write WIDTHxHEIGHT, as 640x480")
    with video.open_video(source) as reader:
        frame = next(video.upright_tensors(reader))
    return resize(frame, (int(found[2]), int(found[1])))
