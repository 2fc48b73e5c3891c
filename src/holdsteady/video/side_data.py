"""What FFmpeg tells beside the pixels of a frame, such as its rotation or HDR10's light levels."""

from collections.abc import Iterable, Mapping
from typing import cast

import av
from av.sidedata.sidedata import SideData, Type


def side_data(frame: av.VideoFrame) -> Mapping[str, bytes]:
    """FFmpeg's structs by PyAV's names of their kinds."""
    return {data.type.name: bytes(data) for data in cast(Iterable[SideData], frame.side_data)}


def _unnamed(cls: type[Type], value: object) -> Type:
    """A kind that PyAV has no name for, as EXIF: it refuses all that there is beside such a frame otherwise."""
    kind = object.__new__(cls)
    kind.__dict__.update(_name_=f"KIND_{value}", _value_=value)
    return kind


Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]
