"""What FFmpeg tells beside the pixels of a frame, such as its rotation or HDR10's light levels.

Importing this changes PyAV for the whole process, unless something has done the like before: kinds that it
has no name for get one.
"""

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


if "_missing_" not in vars(Type):
    Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]
