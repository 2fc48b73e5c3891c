"""What ships with the package: small trained models, and the clip of the demo. ``CARDS.md`` gives their origin."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file
from torch import nn

from holdsteady.models.card import ModelCard
from holdsteady.models.hdrnet import HDRNet
from holdsteady.models.model import Model
from holdsteady.models.nafnet import NAFNet
from holdsteady.models.scenes import SceneNetwork
from holdsteady.models.upscaler import Upscaler

_FOLDER = Path(__file__).parent

#: 120 frames of 176×144, real footage, clean: the noise of the demo is added with a seed.
DEMO_CLIP = _FOLDER / "carphone.mp4"


@dataclass(frozen=True)
class Entry:
    """A model that ships here.

    Attributes:
        task: what it does, in a few words.
        network: makes it, without its weights.
        weights: the name of their file, which networks of several outputs share.
        card: what it takes and gives, where that is not an image of the frame's size.
    """

    task: str
    network: Callable[[], nn.Module]
    weights: str
    card: ModelCard | None = None

    @property
    def file(self) -> Path:
        """Its weights."""
        return _FOLDER / f"{self.weights}.safetensors"


MODELS = {
    "denoise": Entry("takes off white Gaussian noise, as folders of PNGs have it", NAFNet, "denoise"),
    "denoise-video": Entry(
        "takes off the noise of cameras and of H.264, as video files have it", NAFNet, "denoise-video"
    ),
    "enhance": Entry("brings out details, as a local Laplacian filter", HDRNet, "enhance"),
    "upscale2": Entry(
        "twice the width and height", lambda: Upscaler(2), "upscale2", ModelCard(kind="image", scale=2.0, multiple=1)
    ),
    "depth": Entry(
        "distance of what is seen, for made scenes",
        lambda: SceneNetwork("depth"),
        "scenes",
        ModelCard(kind="depth", multiple=16),
    ),
    "segment": Entry(
        "six classes of shapes, for made scenes",
        lambda: SceneNetwork("classes"),
        "scenes",
        ModelCard(kind="classes", multiple=16),
    ),
}

#: Of everything here.
LICENCE = "Apache-2.0"

#: Former names, which files of adapters and scripts may have.
ALIASES = {"nafnet16-denoise": "denoise"}

#: The names that :func:`load` takes.
NAMES = (*MODELS, *ALIASES)


class AdapterEntry(NamedTuple):
    """An adapter that ships here: name, model that it is for (None: any), what for, bytes of its weights."""

    name: str
    model: str | None
    task: str
    size: int


def adapters() -> list[AdapterEntry]:
    """The adapters that ship here, those of a model in the order of ``MODELS``, those of any last."""
    found = []
    for folder in sorted(_FOLDER.glob("*/adapter.json")):
        about = json.loads(folder.read_text(encoding="utf-8"))["provenance"]
        model = about.get("model")
        corruption = about.get("corruption", "any disturbance")
        task = "its own task" if corruption == "none" else corruption
        weights = folder.with_name("adapter.safetensors").stat().st_size
        found.append(AdapterEntry(folder.parent.name, ALIASES.get(model, model), task, weights))
    return sorted(found, key=lambda one: list(MODELS).index(one.model) if one.model else len(MODELS))


def load(name: str) -> nn.Module:
    """A model that ships here, in eval mode on the CPU: frames (B, 3, H, W) in [0, 1] → what its card says.

    Raises:
        KeyError: the name is not in ``NAMES``.
    """
    entry = MODELS[ALIASES.get(name, name)]
    model = entry.network()
    model.load_state_dict(load_file(entry.file))
    model.eval()
    return model if entry.card is None else Model(model, entry.card)
