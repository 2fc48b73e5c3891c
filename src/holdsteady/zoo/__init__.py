"""What ships with the package: small trained models, and the clip of the demo. ``CARDS.md`` gives their origin."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    "denoise": Entry("white Gaussian noise, as in folders of PNGs", NAFNet, "denoise"),
}

#: Former names, which files of adapters and scripts may have.
ALIASES = {"nafnet16-denoise": "denoise"}

#: The names that :func:`load` takes.
NAMES = (*MODELS, *ALIASES)


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
