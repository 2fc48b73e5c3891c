"""What `run`, `fix` and `corrupt` can be told about reading and writing, in one place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdsteady.errors import ConfigError

if TYPE_CHECKING:
    import torch


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
        ConfigError: `start` is negative, `duration` is not above 0, or `crf` is negative.
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
        # Not below zero: NaN is refused too.
        if self.start is not None and not self.start >= 0:
            raise ConfigError(f"start is {self.start:g} s, but can't be negative")
        if self.duration is not None and not self.duration > 0:
            raise ConfigError(f"duration is {self.duration:g} s, but has to be above 0")
        if self.crf is not None and self.crf < 0:
            raise ConfigError(f"crf is {self.crf}, but 0 is the best quality")
