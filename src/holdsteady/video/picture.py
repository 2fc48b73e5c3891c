"""Reading image files of any kind as RGB and alpha."""

import io
import itertools
import warnings
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from holdsteady.errors import VideoError

from .container import reason
from .frame import Pixels, Plane

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
FLOAT_SUFFIXES = frozenset({".exr", ".hdr"})

# Formats whose files may hold several pictures that belong to a clip.
PAGED = ("WEBP", "TIFF", "PNG")
_PHOTOMETRIC, _CMYK = 262, 5
_SUBFILE, _REDUCED = 254, 1  # TIFF's mark of a smaller copy of another page
_BITS_PER_SAMPLE = 258
_ORIENTATION = 274
# EXIF's orientations: whether to mirror left to right, and quarter turns counter-clockwise after it.
_EXIF = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3), 8: (False, 1)}


class Picture(NamedTuple):
    """RGB (H, W, 3) and, where the file has it, alpha (H, W): uint8, or uint16 for more than 8 bits and floats."""

    pixels: Pixels
    alpha: Plane | None


def has_more(image: Image.Image) -> bool:
    """Whether an image file that is open has more than its first picture and smaller copies. Ends at the first one."""
    if image.format != "TIFF":
        return image.format in PAGED and getattr(image, "n_frames", 1) > 1
    try:
        for number in itertools.count(1):
            image.seek(number)
            if not _is_copy(image):
                return True
    except EOFError:
        return False
    except Exception:  # there is another, which can't be found
        return True
    finally:
        image.seek(0)
    return False


def page_numbers(image: Image.Image, name: str | Path) -> list[int]:
    """Those of the pictures in an image file that is open, without smaller copies of others. Ends at the first one.

    Args:
        image: The file.
        name: Its name, for a warning where a damaged one ends early.
    """
    if image.format != "TIFF":
        return list(range(cast(int, getattr(image, "n_frames", 1)) if image.format in PAGED else 1))
    kept = []
    for number in itertools.count():
        try:
            image.seek(number)
        except EOFError:
            break
        except Exception as error:  # whatever Pillow makes of damaged ones
            warnings.warn(f"{name}: ends at picture {number}, which can't be found: {error}", stacklevel=2)
            break
        if not _is_copy(image):
            kept.append(number)
    image.seek(0)
    return kept


def _is_copy(image: Image.Image) -> bool:
    """Whether the page of a TIFF that is open is a smaller copy of another."""
    return bool(cast(Any, image).tag_v2.get(_SUBFILE, 0) & _REDUCED)


def read_picture(path: Path) -> Picture:
    """An image file, upright by its EXIF orientation; the first of several pictures in it, with a warning.

    Floating values are clipped to [0, 1], without a tone curve.

    Raises:
        VideoError: It can't be read or decoded.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VideoError(f"{path}: can't be read: {error.strerror}") from error
    if path.suffix.lower() == ".exr":
        return _by_ffmpeg(data, path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            if has_more(image):
                # From this line, whoever reads: it is shown once a folder.
                warnings.warn(
                    f"{path.parent}: only the first picture is taken of files that hold several; give such a file by "
                    "itself for all of them",
                    stacklevel=1,
                )
            if bits(image) <= 8:
                ImageOps.exif_transpose(image, in_place=True)
                return from_pillow(image)
            tiff = image.format == "TIFF"  # which OpenCV turns itself
            orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
    except Exception:  # no image or a damaged one, or of more than 8 bits, which Pillow does not know in colour
        orientation, tiff = 1, False
    decoded = _decoded(np.frombuffer(data, np.uint8), path)
    if decoded.dtype == np.uint8 and _deep_tiff(data):  # as grey and alpha
        raise VideoError(f"{path}: a TIFF of a kind of which only 8 bits can be read; save it as RGB or RGBA")
    picture = from_opencv(decoded, path)
    if tiff or orientation not in _EXIF:
        return picture
    return Picture(
        _turned(picture.pixels, orientation),
        None if picture.alpha is None else _turned(picture.alpha, orientation),
    )


def profile(path: Path) -> str | None:
    """The name of an image file's colour profile; None where it has none, or that of sRGB."""
    try:
        with Image.open(path) as image:
            data = image.info.get("icc_profile")
        name = ImageCms.getProfileDescription(io.BytesIO(data)).strip() if data else "sRGB"
    except Exception:  # no image, or a damaged profile
        return None
    return None if "srgb" in name.lower() else name


def _deep_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF of more than 8 bits, of whatever kind."""
    try:
        file, tags = io.BytesIO(data), TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file.seek(tags.next)
        tags.load(file)
        return max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8
    except Exception:  # no TIFF
        return False


def bits(image: Image.Image) -> int:
    """Bits per component of an image file that is open; Pillow would cut colours of 16 bits to 8 without a word."""
    if image.format == "TIFF":
        return max(cast(Any, image).tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    if image.mode.startswith(("I", "F")):
        return 16
    return 16 if any("16" in str(tile[3]) for tile in cast(Any, image).tile) else 8


def from_pillow(image: Image.Image) -> Picture:
    """The pixels of an image of at most 8 bits."""
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        both = np.asarray(image.convert("RGBA"))
        return Picture(np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3]))
    return Picture(np.array(image.convert("RGB")), None)


def from_opencv(image: npt.NDArray[Any], path: Path) -> Picture:
    """The pixels of what OpenCV decoded: grey, BGR or BGRA of any type."""
    if image.dtype not in (np.uint8, np.uint16):
        if image.dtype.kind != "f":
            raise VideoError(f"{path}: images of {image.dtype} are not supported; use 8 or 16 bits or floats")
        image = _clipped(image, path)
    if image.ndim == 2:
        return Picture(cast(Pixels, cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)), None)
    alpha = np.ascontiguousarray(image[..., 3]) if image.shape[2] == 4 else None
    return Picture(cast(Pixels, cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2RGB)), alpha)


def _decoded(data: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[Any]:
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:
        raise VideoError(f"{path}: can't be decoded as an image: {error.err}") from error
    if image is None:
        raise VideoError(f"{path}: not an image that can be decoded ({data.size} bytes)")
    return cast(npt.NDArray[Any], image)


def _by_ffmpeg(data: bytes, path: Path) -> Picture:
    """OpenEXR, which OpenCV's wheels don't read."""
    try:
        with av.open(io.BytesIO(data), format="exr_pipe") as container:
            frame = next(cast(InputContainer, container).decode(video=0))
            image: npt.NDArray[Any] = frame.to_ndarray(
                format={1: "grayf32le", 3: "gbrpf32le"}.get(len(frame.format.components), "gbrapf32le")
            )
    except (FFmpegError, OSError, StopIteration, IndexError) as error:
        raise VideoError(f"{path}: can't be decoded as an image: {reason(cast(Exception, error))}") from error
    if image.ndim == 3:  # ordered as OpenCV does
        image = np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])
    return from_opencv(image, path)


def _clipped(image: npt.NDArray[Any], path: Path) -> npt.NDArray[np.uint16]:
    """Floating values as 16 bits of [0, 1]; NaN as 0."""
    values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=np.inf, neginf=-np.inf)
    if values.max(initial=0.0) > 1 or values.min(initial=0.0) < 0:
        # One warning a folder, whatever the number of its images.
        warnings.warn(f"{path.parent}: floating values outside of [0, 1] are clipped", stacklevel=2)
    return np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)


def _turned(picture: Any, orientation: int) -> Any:
    mirrored, turns = _EXIF[orientation]
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if mirrored else picture, turns))
