"""What a clip is (`VideoInfo`) and one picture of it (`VideoFrame`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Plane: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class VideoInfo:
    """The facts of a source that a reader states and a writer keeps.

    Attributes:
        name: The source as the user gave it, for messages.
        width, height: Size of the stored picture in pixels, before any rotation.
        rate: Average frames per second; 25 for images.
        time_base: Seconds per unit of `VideoFrame.pts`.
        pixel_aspect: Width of one pixel divided by its height.
        display_matrix: The nine integers of FFmpeg's display matrix, or None.
        rotation: Degrees (0, 90, 180, 270) to turn the stored picture counter-clockwise so that it
            is upright, see `upright`.
        mirrored: Whether the stored picture has to be mirrored left to right before it is turned.
        colorspace, color_range, color_primaries, color_trc: FFmpeg's numbers, as tagged.
        pix_fmt: FFmpeg's name of the stored pixel format.
        bits: Bits per colour component in the source.
        start_time: Time in seconds at which the container begins; 0 for most files.
        frames: Estimated number of frames that will be read, or None if unknown.
        metadata, stream_metadata: Tags of the container and of the video stream.
        origin: Time in seconds of the source's first frame, also if reading begins later.
        has_alpha: Whether frames come with `VideoFrame.alpha`.
        interlaced: Whether frames hold two fields of different times.
        side_data: HDR10's facts as FFmpeg's structs, under FFmpeg's names `MASTERING_DISPLAY_METADATA` and
            `CONTENT_LIGHT_LEVEL`, where the source has them.
        chroma_location: FFmpeg's name of the place of chroma samples; None for the usual one, at the left.
        fine_rate: Frames per second by which the times of all frames can be told, also where `rate` varies; None where
            the source does not say.
        end: Time in seconds at which the source's last frame ends; None where the source does not say.
        unkept: What else the source tells of its pictures, which no result can tell, in words.
        has_times: Whether frames have times of their own, unlike image files and pages.
    """

    name: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    pixel_aspect: Fraction
    display_matrix: tuple[int, ...] | None
    rotation: int
    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int
    pix_fmt: str
    bits: int
    start_time: Fraction
    frames: int | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    stream_metadata: Mapping[str, str] = field(default_factory=dict)
    mirrored: bool = False
    origin: Fraction = Fraction(0)
    has_alpha: bool = False
    interlaced: bool = False
    side_data: Mapping[str, bytes] = field(default_factory=dict)
    chroma_location: str | None = None
    fine_rate: Fraction | None = None
    end: Fraction | None = None
    unkept: tuple[str, ...] = ()
    has_times: bool = True


@dataclass
class VideoFrame:
    """One picture.

    Attributes:
        pixels: RGB (H, W, 3): uint8 0..255, or uint16 0..65535 when the source has more than 8 bits.
        pts: Time of display in units of `time_base`; None if the source does not say.
        time_base: Seconds per unit of `pts`.
        alpha: Opacity (H, W) in the type of the pixels, which are premultiplied or not as stored; None if the source
            has none.
        name: Name of the image file without its extension; None for other sources.
    """

    pixels: Pixels
    pts: int | None
    time_base: Fraction
    alpha: Plane | None = None
    name: str | None = None

    @property
    def time(self) -> Fraction | None:
        """Time of display in seconds, or None if the source does not say."""
        return None if self.pts is None else self.pts * self.time_base
