"""The networks and the adapters that the benchmarks compare. Weights are random: what they cost stays the same."""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from straightforward import make_straightforward
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from holdsteady import StabilizedModel, stabilize
from holdsteady.adapters.presets import PRESETS
from holdsteady.models.hdrnet import HDRNet
from holdsteady.models.nafnet import NAFNet


def _nafnet32() -> nn.Module:
    return NAFNet(32, encoder=(2, 2, 4, 8), middle=12, decoder=(2, 2, 2, 2))


def _lraspp() -> nn.Module:
    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "nafnet16": NAFNet,  # the demo's
    "nafnet32": _nafnet32,  # the paper's
    "hdrnet": HDRNet,
    "lraspp": _lraspp,
}
PRESET_NAMES = [name for name in ("paper", "light", "tiny") if name in PRESETS]
STRAIGHTFORWARD = "paper-straightforward"
RECOMPUTED = "paper-straightforward-recomputed"
# The widths of recipes/nafnet16-noise-features.yaml.
_THIN: dict[str, Any] = {"backbone_width": 16, "backbone_layers": 2, "head_width": 8, "head_layers": 1}
THIN = {"controlled-thin": "controlled", "spatial-thin": "spatial"}


def build(network: str) -> nn.Module:
    """A network with random weights, in eval mode and channels-last memory, as in a run."""
    torch.manual_seed(0)
    return NETWORKS[network]().to(memory_format=torch.channels_last).eval()


def attach(model: nn.Module, contender: str) -> StabilizedModel:
    """A network with the adapter of a contender: none for ``base``, ``spatial`` for a preset, or a kind."""
    # Points are found on a square: HDRNet's small picture is one whatever the frame is.
    example = torch.rand(1, 3, 256, 256)
    if contender == "base":
        return StabilizedModel(model, [])
    if contender in (STRAIGHTFORWARD, RECOMPUTED):
        steady = stabilize(model, "spatial", example=example, preset="paper")
        return make_straightforward(steady, recompute=contender == RECOMPUTED)
    if contender in PRESETS:
        return stabilize(model, "spatial", example=example, preset=contender)
    if contender in THIN:
        return stabilize(model, THIN[contender], example=example, **_THIN)
    return stabilize(model, contender, example=example)


@cache
def parameters(network: str, contender: str) -> int:
    """How many numbers the adapters of a contender learn."""
    steady = attach(build(network), contender)
    return sum(p.numel() for number in range(len(steady.adapters)) for p in steady.adapter(number).parameters())


def chosen(text: str | None, known: list[str], first: str | None = None) -> list[str]:
    """The names in a list with commas, all known ones if there is none; ``first`` is always there, and first.

    Raises:
        argparse.ArgumentTypeError: one is not known, or there is none.
    """
    names = known if text is None else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"nothing is named '{name}'; there is {', '.join(known)}")
    if not names:
        raise argparse.ArgumentTypeError(f"name at least one of {', '.join(known)}")
    return [*([first] if first else []), *(name for name in names if name != first)]


def positive(text: str) -> int:
    """A count from the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': give a whole number from 1 up")
    return int(text)


def output_file(text: str) -> Path:
    """A file to write a table to, from the command line."""
    path = Path(text)
    if path.suffix not in (".csv", ".json") or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}': give a name that ends in .csv or .json, in a folder that exists")
    return path
