"""Light and colours that change from frame to frame, fresh for each."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream
from holdsteady.errors import MissingExtraError


class Flicker(Corruption):
    """Brightness flicker: each frame is multiplied by exp(σ n), n normal, as in old film and under lamps."""

    name: ClassVar[str] = "flicker"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"sigma": (0.05, 0.1, 0.15, 0.25, 0.4)}

    sigma: float = Field(0.15, ge=0, le=5, description="standard deviation of the logarithm of the brightness")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        def change(frame: Tensor) -> Tensor:
            gain = torch.exp(self.sigma * torch.randn(shape[0], 1, 1, 1, generator=generator))
            return frame * gain.to(frame.device)

        return change


class ColorJitter(Corruption):
    """Brightness, contrast, saturation and hue of each frame are changed, in this order (torchvision).

    A factor is uniform in [1 − v, 1 + v], the turn of the hue uniform in [−hue, hue].
    """

    name: ClassVar[str] = "color-jitter"
    severities: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "brightness": (0.05, 0.1, 0.2, 0.3, 0.4),
        "contrast": (0.05, 0.1, 0.2, 0.3, 0.4),
        "saturation": (0.1, 0.2, 0.3, 0.5, 0.7),
        "hue": (0.01, 0.02, 0.03, 0.05, 0.08),
    }

    brightness: float = Field(0.2, ge=0, le=1, description="v of the factor of brightness")
    contrast: float = Field(0.2, ge=0, le=1, description="v of the factor of contrast")
    saturation: float = Field(0.3, ge=0, le=1, description="v of the factor of saturation")
    hue: float = Field(0.03, ge=0, le=0.5, description="largest turn of the hue; 1 is the whole circle")

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        functional = _vision()
        ranges = torch.tensor([self.brightness, self.contrast, self.saturation, self.hue])

        def jittered(image: Tensor) -> Tensor:
            turns = ranges * (2 * torch.rand(4, generator=generator) - 1)
            brightness, contrast, saturation = (max(0.0, 1 + turn) for turn in turns[:3].tolist())
            image = functional.adjust_brightness(image, brightness)
            image = functional.adjust_contrast(image, contrast)
            image = functional.adjust_saturation(image, saturation)
            return functional.adjust_hue(image, turns[3].item())

        return lambda frame: torch.stack([jittered(image) for image in frame])


def _vision() -> Any:
    """torchvision.transforms.v2.functional. Raises MissingExtraError if it is not installed."""
    try:
        from torchvision.transforms.v2 import functional
    except ImportError as error:
        raise MissingExtraError(
            "the corruption 'color-jitter' needs torchvision: pip install 'holdsteady[models]'"
        ) from error
    return functional
