"""The flags that say what a model wants and gives, how it is loaded, and how its results are shown."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdsteady.cli.options import Flag, takes_flags
from holdsteady.errors import ConfigError
from holdsteady.models.card import FORMATS, PALETTES, ModelCard, make_card

if TYPE_CHECKING:
    from holdsteady.host.resolve import AdapterLike
    from holdsteady.models.display import Style

_CARD = "The model"
_SHOWN = "What is shown"


def _option(help: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


_LOADING: dict[str, Flag] = {
    "weights": (Annotated[Path | None, _option("Weights for it: .safetensors, .pth or .pt.", _CARD)], None),
    "trust": (Annotated[bool, _option("Unpickle what a file holds; it may run any program.", _CARD, "--trust")], False),
    "inside": (
        Annotated[bool, _option("Turn an ONNX file into PyTorch, with points inside.", _CARD, "--inside")],
        False,
    ),
}
_FIELDS: dict[str, Flag] = {
    "range": (Annotated[str | None, _option("Values for black..white that it takes, as 0..255.", _CARD)], None),
    "mean": (Annotated[str | None, _option("Taken off after that: a number, or three with commas.", _CARD)], None),
    "std": (Annotated[str | None, _option("Divided by after that.", _CARD)], None),
    "output_range": (Annotated[str | None, _option("Values that it gives, where they differ.", _CARD)], None),
    "channels": (Annotated[str | None, _option("rgb, bgr or gray.", _CARD)], None),
    "layout": (Annotated[str | None, _option("bchw, bhwc, or hwc-uint8 as OpenCV has it.", _CARD)], None),
    "output": (Annotated[str | None, _option("Which output: a name or number, or several with dots.", _CARD)], None),
    "kind": (Annotated[str | None, _option("image, depth, classes, mask or labels (class numbers).", _CARD)], None),
    "classes": (Annotated[int | None, _option("How many classes there are.", _CARD)], None),
    "scale": (Annotated[float | None, _option("Size of the result, in frames, as 2.", _CARD)], None),
    "multiple": (Annotated[int | None, _option("What sides of its frames are divisible by.", _CARD)], None),
    "model_size": (
        Annotated[str | None, _option("Size that it takes, WIDTHxHEIGHT, or its shorter side; or any.", _CARD)],
        None,
    ),
}
_STYLE: dict[str, Flag] = {
    "colormap": (Annotated[str | None, _option("For depth: a colour map of matplotlib, as inferno.", _SHOWN)], None),
    "class_colors": (
        Annotated[str | None, _option(f"For classes: {', '.join(PALETTES)}, or a file, #rrggbb a line.", _SHOWN)],
        None,
    ),
    "overlay": (
        Annotated[float | None, _option("Opacity over the input, of depth, classes or a mask.", _SHOWN)],
        None,
    ),
    "background": (
        Annotated[str | None, _option("Behind what a mask cuts out: #rrggbb, a picture, or alpha.", _SHOWN)],
        None,
    ),
    "values": (Annotated[Path | None, _option("Folder for the values themselves, one file a frame.", _SHOWN)], None),
    "values_as": (
        Annotated[str | None, _option(f"What they are written as: {', '.join(FORMATS)}; by default npy.", _SHOWN)],
        None,
    ),
}


@dataclass(frozen=True)
class ModelOptions:
    """What the flags say of a model.

    Attributes:
        weights, trust, inside: see :func:`holdsteady.loading.load`.
        card: the fields that were given.
    """

    weights: Path | None
    trust: bool
    inside: bool
    card: ModelCard

    def load(self, spec: str, adapters: "Sequence[AdapterLike]" = ()) -> Callable[..., Any]:
        """The model, behind its card; what no flag says is taken from the adapters, which keep the card too."""
        from holdsteady.loading import card_of_adapters, load

        kept = card_of_adapters(adapters)
        card = self.card if kept is None else self.card.over(kept)
        return load(spec, self.weights, card=card, trust=self.trust, inside=self.inside)


@dataclass(frozen=True)
class ShownOptions:
    """How results are shown, and where their values go and as what."""

    style: "Style | None"
    values: Path | None
    values_as: str | None


def takes_model_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: a command with a parameter ``given: ModelOptions`` gets a flag for each field of a model card.

    Args:
        without: fields that mean something else to the command.
    """
    flags = {name: flag for name, flag in (_LOADING | _FIELDS).items() if name not in without}

    def build(weights: Path | None, trust: bool, inside: bool, **fields: Any) -> ModelOptions:
        return ModelOptions(weights, trust, inside, card_from(**fields))

    return lambda command: takes_flags(command, "given", flags, build)


def takes_shown_options(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator: a command with a parameter ``shown: ShownOptions`` gets the flags of what is shown."""
    return takes_flags(command, "shown", _STYLE, shown_from)


def card_from(model_size: str | None = None, **fields: Any) -> ModelCard:
    """A card from flags as they are written.

    Raises:
        ConfigError: one of them is malformed or out of range.
    """
    stated = {name: value for name, value in fields.items() if value is not None}
    for name in ("range", "output_range"):
        if name in stated:
            stated[name] = _range(name, stated[name])
    for name in ("mean", "std"):
        if name in stated:
            stated[name] = _numbers(name, stated[name])
    if model_size is not None:
        stated["size"] = _size(model_size)
    return make_card(**stated)


def shown_from(
    colormap: str | None = None,
    class_colors: str | None = None,
    overlay: float | None = None,
    background: str | None = None,
    values: Path | None = None,
    values_as: str | None = None,
) -> ShownOptions:
    """What is shown, from flags as they are written.

    Raises:
        ConfigError: a name or file that is not there, or an opacity that is none.
        MissingExtraError: a colour map needs matplotlib.
    """
    if overlay is not None and not 0 < overlay <= 1:
        raise ConfigError(f"--overlay {overlay:g}: an opacity above 0, up to 1")
    if overlay is not None and background is not None:
        raise ConfigError("--overlay puts results over the input, --background something behind it; give one of them")
    if colormap is None and class_colors is None and overlay is None and background is None:
        return ShownOptions(None, values, values_as)
    from holdsteady.models import colours
    from holdsteady.models.display import Style

    style = Style(
        colours=None if colormap is None else colours.colour_map(colormap),
        class_colours=None if class_colors is None else colours.class_colours(class_colors),
        overlay=overlay,
        background=None if background in (None, "alpha") else colours.background(background),
        alpha=background == "alpha",
    )
    return ShownOptions(style, values, values_as)


def _range(name: str, text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        if dots:
            return float(low), float(high)
    except ValueError:
        pass
    raise ConfigError(f"--{name.replace('_', '-')} {text}: write black..white, as 0..255 or -1..1")


def _numbers(name: str, text: str) -> float | tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--{name} {text}: write a number, or three with commas, as 0.485,0.456,0.406") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _size(text: str) -> tuple[int, int] | int | None:
    if text == "any":
        return None
    if match := re.fullmatch(r"(\d+)[x×](\d+)", text):
        return int(match[2]), int(match[1])
    if text.isdecimal():
        return int(text)
    raise ConfigError(f"--model-size {text}: write WIDTHxHEIGHT, as 256x256; one number, the shorter side; or any")
