"""Where the samples of chroma lie, which PyAV tells only in the words of FFmpeg's description of a file."""

import re

import av.logging
from av.container import InputContainer
from av.stream import Stream

_PLACES = ("topleft", "top", "bottomleft", "bottom", "center")


def chroma_location(container: InputContainer, stream: Stream) -> str | None:
    """FFmpeg's name of the place of chroma samples; None for the usual one, at the left, and where it is not told."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    av.logging.set_libav_level(av.logging.VERBOSE)
    try:
        described = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_libav_level(av.logging.INFO)
        av.logging.set_level(level)
    line = re.search(rf"^ *Stream #\d+:{stream.index}\b.*?Video: .*$", described, re.MULTILINE)
    words = [word.strip() for word in re.split("[(),]", line[0])] if line else []
    return next((place for place in _PLACES if place in words), None)
