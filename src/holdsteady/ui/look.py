"""A first look at a file of a stranger, in a process of its own with bounded memory and time.

``python -m holdsteady.ui.look FILE NAME`` prints what it found as JSON; decoders are large, and a file may be made to
break one.
"""

import base64
import io
import json
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from holdsteady.errors import HoldsteadyError, VideoError
from holdsteady.ui.limits import FORMATS, FORMATS_IN_WORDS, check_pictures
from holdsteady.video import open_video
from holdsteady.video.decoder import Decoder
from holdsteady.video.orientation import upright

_SECONDS = 30
_BYTES = 3 << 30
_POSTER = (480, 270)


@dataclass(frozen=True)
class Clip:
    """What is known of a file.

    Attributes:
        name: as the user calls it.
        width, height: upright, in pixels.
        rate: frames per second.
        seconds: how long it is, or None if that is not known.
        poster: its first frame, a small JPEG as a data URL.
    """

    name: str
    width: int
    height: int
    rate: float
    seconds: float | None
    poster: str


def look_at(path: Path, name: str) -> Clip:
    """Open a file in another process and tell what it is.

    Raises:
        VideoError: it can't be read, or takes more than it may.
    """
    command = [sys.executable, "-m", "holdsteady.ui.look", str(path), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise VideoError(f"{name}: could not be opened within {_SECONDS} s; it is damaged") from None
    last = done.stdout.strip().splitlines()[-1:]
    found = json.loads(last[0]) if done.returncode == 0 and last else {"error": f"{name}: can't be opened as a video"}
    if "error" in found:
        raise VideoError(found["error"].replace(str(path), name))
    return Clip(**found)


def look(path: str, name: str) -> Clip:
    """What a file is, and its first frame.

    Raises:
        VideoError: it can't be read, or its pictures are too large or too many.
    """
    # Facts of the header first: the reader decodes a frame at once, however large.
    with closing(Decoder(path)) as header:
        if header.container.format.name not in FORMATS:
            raise VideoError(f"{name}: is no video file that this page takes; it takes {FORMATS_IN_WORDS}")
        context = header.stream.codec_context
        check_pictures(name, context.width, context.height, 0)
        length = header.container.duration
    with open_video(path) as reader:
        info = reader.info
        check_pictures(name, info.width, info.height, float(info.rate))
        frame = next(iter(reader))
    pixels = upright(frame.pixels, info)
    seconds = None if length is None else length / 1e6
    seconds = float(info.frames / info.rate) if info.frames else seconds
    eight_bits = pixels if pixels.dtype == "uint8" else (pixels >> 8).astype("uint8")
    return Clip(name, pixels.shape[1], pixels.shape[0], float(info.rate), seconds, _poster(Image.fromarray(eight_bits)))


def _poster(picture: Image.Image) -> str:
    picture.thumbnail(_POSTER)
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))


def main(path: str, name: str) -> None:
    """Print what the file is, or what is wrong with it."""
    _bound_memory()
    try:
        print(json.dumps(asdict(look(path, name))))
    except HoldsteadyError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
