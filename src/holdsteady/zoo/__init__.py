"""What ships with the package: small trained models, and the clip of the demo. ``CARDS.md`` gives their origin."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from holdsteady.models.nafnet import NAFNet

_FOLDER = Path(__file__).parent

#: 120 frames of 176×144, real footage, clean: the noise of the demo is added with a seed.
DEMO_CLIP = _FOLDER / "carphone.mp4"

_BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "nafnet16-denoise": NAFNet,
}

#: The names that :func:`load` takes.
NAMES = tuple(_BUILDERS)


def load(name: str) -> nn.Module:
    """A model that ships here, in eval mode on the CPU: frames (B, 3, H, W) in [0, 1] → the same.

    Raises:
        KeyError: the name is not in ``NAMES``.
    """
    model = _BUILDERS[name]()
    model.load_state_dict(load_file(_FOLDER / f"{name}.safetensors"))
    return model.eval()
