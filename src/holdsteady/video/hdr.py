"""HDR10's facts about the display and the light, and where chroma lies, in the words of each encoder."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MASTERING, LIGHT = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"
# Encoders that write both into their stream: the option, its names for the two, and whether it wants physical units.
_ENCODERS = {
    "libx265": ("x265-params", "master-display", "max-cll", False),
    "libx264": ("x264-params", "mastering-display", "cll", False),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", True),
}
_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # units of H.265's messages in one


@dataclass(frozen=True)
class Mastering:
    """The display that a film was graded on: CIE 1931 coordinates of its primaries and white, luminance in cd/m²."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    darkest: float
    brightest: float


def mastering(data: bytes) -> Mastering | None:
    """FFmpeg's AVMasteringDisplayMetadata, or None where it does not tell both colours and luminance."""
    numbers = struct.unpack_from("=22i", data)
    ratios = [above / below if below else 0.0 for above, below in zip(numbers[0:20:2], numbers[1:20:2], strict=True)]
    if not (numbers[20] and numbers[21]):
        return None
    red, green, blue, white = zip(ratios[0:8:2], ratios[1:8:2], strict=True)
    return Mastering(red, green, blue, white, ratios[8], ratios[9])


def hdr_options(encoder: str, side_data: Mapping[str, bytes]) -> dict[str, str]:
    """Options that make an encoder write HDR10's facts; none if it can't, or there are none.

    Args:
        encoder: FFmpeg's name of it.
        side_data: FFmpeg's structs, under the names of `VideoInfo.side_data`.
    """
    if encoder not in _ENCODERS:
        return {}
    option, for_display, for_light, physical = _ENCODERS[encoder]
    settings = []
    display = mastering(side_data[MASTERING]) if MASTERING in side_data else None
    if display is not None:
        settings.append(f"{for_display}={_in_words(display, physical)}")
    if LIGHT in side_data:
        brightest, average = struct.unpack_from("=2I", side_data[LIGHT])
        settings.append(f"{for_light}={brightest},{average}")
    return {option: ":".join(settings)} if settings else {}


def _in_words(display: Mastering, physical: bool) -> str:
    def pair(values: tuple[float, float], units: int) -> str:
        return "({},{})".format(*(f"{value:g}" if physical else str(round(value * units)) for value in values))

    primaries = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    colours = "".join(name + pair(place, _CHROMATICITY) for name, place in primaries.items())
    return colours + "L" + pair((display.brightest, display.darkest), _LUMINANCE)
