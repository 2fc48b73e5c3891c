"""What all weather shares: one scene for each item of a batch, and how light mixes with a image."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from holdsteady.corruptions.base import Corruption, Stream, spawn

Scene = Callable[[Tensor], Tensor]
"""Images (1, C, H, W) float32, one call a frame → the same in this weather."""


class Weather(Corruption):
    """A corruption that keeps a scene for each item of a batch and moves it continuously."""

    @abstractmethod
    def scene(self, height: int, width: int, generator: torch.Generator) -> Scene:
        """A new scene for images of this size; sizes within it scale with the height."""

    def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
        batch, _, height, width = shape
        scenes = [self.scene(height, width, spawn(generator)) for _ in range(batch)]
        return lambda frame: torch.cat([scene(item) for scene, item in zip(scenes, frame.split(1), strict=True)])


def toward(image: Tensor, light: Tensor | float, alpha: Tensor | float) -> Tensor:
    """A image with a share ``alpha`` of it replaced by ``light``."""
    return image + alpha * (light - image)


def lit(image: Tensor, least: float, most: float) -> float:
    """Brightness of something white in this scene: ``least`` in the dark, ``most`` in a white image."""
    return least + (most - least) * float(image.mean())
