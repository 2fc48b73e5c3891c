"""What `run`, `fix` and `corrupt` can be told about reading and writing, in one place."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdsteady.errors import ConfigError

if TYPE_CHECKING:
    import torch


def part_fault(start: float | None, duration: float | None) -> str | None:
    """What is wrong with a part of a video, in words; None if nothing is."""
    for name, seconds in (("start", start), ("duration", duration)):
        if seconds is not None and not math.isfinite(seconds):
            return f"{name} is {seconds:g}, but has to be a number of seconds; leave it out for the whole video"
    if start is not None and start < 0:
        return f"start is {start:g} s, but can't be negative"
    if duration is not None and duration <= 0:
        return f"duration is {duration:g} s, but has to be above 0"
    return None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a video is read, shown to a model and written.

    Attributes:
        start: Seconds to skip, counted from the first frame; None for none.
        duration: Seconds to process from there; None for all.
        deinterlace: Whether interlaced frames are made whole first (bwdif).
        cuts: Where shots begin, see `open_cuts`.
        codec: FFmpeg's name of an encoder; None for a default by container and source, see `choose_encoding`.
        crf: Constant rate factor, 0 for the best quality; None for one that looks lossless.
        overwrite: Whether an existing result may be replaced.
        side_by_side: Write the input, resized, to the left of the result.
        device, dtype: Where and in what precision a model of PyTorch gets its frames: torch's, or their names.

    Raises:
        ConfigError: `start` is negative, `duration` is not above 0, either is no finite number, or `crf` is negative.
    """

    start: float | None = None
    duration: float | None = None
    deinterlace: bool = False
    cuts: str = "auto"
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False
    side_by_side: bool = False
    device: "str | torch.device" = "cpu"
    dtype: "str | torch.dtype" = "float32"

    def __post_init__(self) -> None:
        fault = part_fault(self.start, self.duration)
        if fault is not None:
            raise ConfigError(fault)
        if self.crf is not None and self.crf < 0:
            raise ConfigError(f"crf is {self.crf}, but 0 is the best quality")
