"""A corruption over a whole clip."""

import torch
from torch import Tensor

from holdsteady.corruptions.base import Corruption
from holdsteady.errors import LayoutError


def corrupt_clip(corruption: Corruption, clip: Tensor, generator: torch.Generator) -> Tensor:
    """A fresh stream of a corruption over one clip.

    Args:
        corruption: What to do to it.
        clip: Frames (T, C, H, W) in [0, 1], floating, C 1 or 3.
        generator: On the CPU; equal generators give equal results.

    Returns:
        (T, C, H, W) in [0, 1], of the clip's dtype, on its device.

    Raises:
        ConfigError: the generator is not on the CPU.
        LayoutError: the clip is not of this shape, or has no frames.
        MissingExtraError: the corruption needs torchvision, which is not installed.
    """
    if not isinstance(clip, Tensor) or clip.ndim != 4 or not len(clip):
        got = tuple(clip.shape) if isinstance(clip, Tensor) else type(clip).__name__
        raise LayoutError(f"a clip is a tensor (T, C, H, W) of at least one frame, not {got}")
    stream = corruption.start(generator)
    return torch.cat([stream(frame) for frame in clip.split(1)])
