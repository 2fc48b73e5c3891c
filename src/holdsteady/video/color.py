"""YUV↔RGB conversion by the tags of the stream, in one place so that a round trip loses nothing."""

from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from .frame import Pixels, Plane, VideoInfo

# AVColorSpace numbers. Those of swscale's own enum are the same, apart from 6, which it lacks.
RGB, BT709, UNSPECIFIED, BT470BG, SMPTE170M, BT2020C = 0, 1, 2, 5, 6, 10
# BT.2020 of constant luminance is near to the other, but not the same.
_KNOWN = {BT709: BT709, 4: 4, BT470BG: BT470BG, SMPTE170M: BT470BG, 7: 7, 9: 9, BT2020C: 9}
# FFmpeg's names of them.
MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}

# Codecs that tell matrix and range in their streams, or the matrix alone; Matroska tells both for all, y4m the range.
_TELL_ALL, _TELL_MATRIX = {"h264", "hevc", "av1", "vp9"}, {"mpeg2video", "prores"}
# Those that know one matrix, and others that know limited range, whatever a container tells.
_BT601, _LIMITED = {"mjpeg", "vp8"}, {"mpeg1video", "vp8"}

# Without these swscale truncates, which darkens luma by a whole step in each conversion.
_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


def is_rgb(pix_fmt: str) -> bool:
    """Whether the format stores red, green and blue (or a palette of them) and thus has no matrix."""
    return VideoFormat(pix_fmt).is_rgb or pix_fmt == "pal8"


def is_grey(pix_fmt: str) -> bool:
    """Whether the format stores brightness alone, with or without transparency."""
    return pix_fmt != "pal8" and sum(not part.is_alpha for part in VideoFormat(pix_fmt).components) == 1


def depth(pix_fmt: str) -> int:
    """Bits per colour component of a pixel format; 16 for floats, which are taken in [0, 1]."""
    return min(16, max(component.bits for component in VideoFormat(pix_fmt).components))


def is_float(pix_fmt: str) -> bool:
    """Whether the format has floating values."""
    return "f16" in pix_fmt or "f32" in pix_fmt


def chroma(pix_fmt: str) -> str:
    """How often chroma is stored: 444, 422, or 420 for all else, also for formats without chroma."""
    if is_rgb(pix_fmt) or is_grey(pix_fmt):
        return "420"
    form = VideoFormat(pix_fmt, 16, 16)
    return {(16, 16): "444", (8, 16): "422"}.get((form.chroma_width(), form.chroma_height()), "420")


def matrix(colorspace: int, height: int) -> int:
    """The matrix that converts a picture: as tagged, else BT.601 below 720 lines and BT.709 above."""
    return _KNOWN.get(colorspace, BT470BG if height < 720 else BT709)


def is_known(colorspace: int, pix_fmt: str) -> bool:
    """Whether pictures with that tag can be converted by it, if they have one and need one."""
    exact = colorspace in _KNOWN and colorspace != BT2020C
    return exact or colorspace == UNSPECIFIED or is_rgb(pix_fmt) or is_grey(pix_fmt)


def full_range(color_range: int, pix_fmt: str) -> bool:
    """Whether values span 0..max: as tagged; untagged only RGB, grey and the yuvj formats do."""
    if is_rgb(pix_fmt) or pix_fmt.startswith("yuvj"):
        return True
    return color_range == ColorRange.JPEG or (color_range == ColorRange.UNSPECIFIED and pix_fmt.startswith("gray"))


def to_rgb(frame: av.VideoFrame, colorspace: int, color_range: int) -> Pixels:
    """RGB (H, W, 3) of a decoded frame: uint8, or uint16 0..65535 if it has more than 8 bits."""
    pix_fmt = frame.format.name
    bits, full = depth(pix_fmt), full_range(color_range, pix_fmt)
    rgb = frame.to_ndarray(
        format="rgb24" if bits <= 8 else "rgb48le",
        src_colorspace=Colorspace(matrix(colorspace, frame.height)),
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_EXACT,
    )
    if bits <= 8:
        return cast(npt.NDArray[np.uint8], rgb)
    return _rescale(cast(npt.NDArray[np.uint16], rgb), _white(bits, full), 65535)


def has_alpha(pix_fmt: str) -> bool:
    """Whether pictures of the format can be transparent."""
    return pix_fmt == "pal8" or any(part.is_alpha for part in VideoFormat(pix_fmt).components)


def to_alpha(frame: av.VideoFrame) -> Plane:
    """Opacity (H, W) of a decoded frame: uint8, or uint16 0..65535 if it has more than 8 bits."""
    form = frame.format
    bits = depth(form.name)
    if form.name in ("rgba", "bgra"):  # as GIF and APNG are decoded; every fourth byte, without a conversion
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
        return cast(Plane, rows[:, 3 : 4 * plane.width : 4].copy())
    if form.name == "pal8":
        places, palette = frame.planes
        opacity = (np.frombuffer(memoryview(palette), np.uint32) >> 24).astype(np.uint8)
        rows = np.frombuffer(memoryview(places), np.uint8).reshape(places.height, -1)
        return cast(Plane, opacity[rows[:, : places.width]])
    part = next((part for part in form.components if part.is_alpha), None)
    if part is None or not form.is_planar or is_float(form.name):
        packed = frame.to_ndarray(format="rgba" if bits <= 8 else "rgba64le")
        return cast(Plane, np.ascontiguousarray(packed[..., 3]))
    plane = frame.planes[part.plane]
    kind = np.uint8 if bits <= 8 else np.dtype(">u2" if form.is_big_endian else "<u2")
    values = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)[:, : plane.width]
    if bits <= 8:
        return cast(Plane, np.array(values))
    return _rescale(values.astype(np.uint16), (1 << bits) - 1, 65535)


def special_colours(info: VideoInfo) -> list[str]:
    """In words, what a source's tags say of its colours without which they look wrong; nothing of usual ones."""
    primaries = {9: "BT.2020", 11: "P3", 12: "P3"}.get(info.color_primaries)
    transfer = {16: "PQ", 18: "HLG"}.get(info.color_trc)
    names = [name for name in (primaries, transfer) if name is not None]
    return [f"that its colours are {' and '.join(names)}, without which they look pale"] if names else []


def is_clear(frame: av.VideoFrame) -> bool:
    """Whether a decoded frame is transparent anywhere."""
    if not has_alpha(frame.format.name):
        return False
    alpha = to_alpha(frame)
    return bool(alpha.min() < np.iinfo(alpha.dtype).max)


@dataclass(frozen=True)
class Tags:
    """Matrix and range of a stream as FFmpeg's numbers, and whether its values span 0..max."""

    colorspace: int
    color_range: int
    full: bool


def output_tags(info: VideoInfo, pix_fmt: str, height: int, codec: str, suffix: str) -> Tags:
    """The tags of a result of `pix_fmt`: those of the source, as far as they fit and the file can tell them, else what
    is taken for granted without them.

    Args:
        info: The source.
        pix_fmt: Pixel format of the result.
        height: Height of the result in pixels, as stored.
        codec: FFmpeg's name of the result's codec, such as `h264`.
        suffix: Extension of the file, such as `.mp4`; empty for y4m.
    """
    if is_rgb(pix_fmt):
        return Tags(RGB, ColorRange.JPEG, True)
    in_matroska = suffix in (".mkv", ".webm")
    tells_matrix = codec in _TELL_ALL or codec in _TELL_MATRIX or in_matroska
    in_container = (in_matroska or suffix == "") and codec not in {*_TELL_MATRIX, *_LIMITED}
    tells_range = codec in _TELL_ALL or in_container
    colorspace = info.colorspace
    if codec in _BT601:
        colorspace = BT470BG
    elif is_rgb(info.pix_fmt) or colorspace not in {*_KNOWN, UNSPECIFIED} or not tells_matrix:
        colorspace = matrix(UNSPECIFIED, height)
    # FFmpeg has full range as a tag; the yuvj formats are its older way, and imply the tag.
    full = not is_rgb(info.pix_fmt) and full_range(info.color_range, info.pix_fmt) and tells_range
    full = full or pix_fmt.startswith("yuvj")
    unspecified = info.color_range == ColorRange.UNSPECIFIED and not is_rgb(info.pix_fmt)
    limited = ColorRange.UNSPECIFIED if unspecified else ColorRange.MPEG
    return Tags(colorspace, ColorRange.JPEG if full else limited, full)


def from_rgb(pixels: Pixels, pix_fmt: str, tags: Tags, alpha: Plane | None = None) -> av.VideoFrame:
    """A tagged frame of `pix_fmt` from RGB (H, W, 3) uint8 or uint16, the inverse of `to_rgb`.

    Args:
        pixels: The picture.
        pix_fmt: FFmpeg's name of the pixel format.
        tags: Matrix and range.
        alpha: Opacity (H, W) in the type of the pixels, for formats that have a place for it; None for opaque.
    """
    deep = pixels.dtype == np.uint16
    if deep and depth(pix_fmt) > 8:
        pixels = _rescale(cast(npt.NDArray[np.uint16], pixels), 65535, _white(depth(pix_fmt), tags.full))
    form = "rgb48le" if deep else "rgb24"
    in_planes = VideoFormat(pix_fmt).is_planar
    if alpha is not None and not in_planes:
        pixels, form = cast(Pixels, np.dstack([pixels, alpha])), "rgba64le" if deep else "rgba"
    packed = cast(npt.NDArray[np.uint8], np.ascontiguousarray(pixels))
    frame = av.VideoFrame.from_ndarray(packed, format=form)
    converted = frame.reformat(
        format=pix_fmt,
        dst_colorspace=Colorspace(matrix(tags.colorspace, pixels.shape[0])),
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG if tags.full else ColorRange.MPEG,
        interpolation=_EXACT,
    )
    converted.colorspace, converted.color_range = tags.colorspace, tags.color_range
    if alpha is not None and in_planes:
        _fill_alpha(converted, alpha)
    return converted


def _fill_alpha(frame: av.VideoFrame, alpha: Plane) -> None:
    """Write opacity (H, W) into the plane of a frame that is for it; it spans 0..max, whatever the colours do."""
    part = next(part for part in frame.format.components if part.is_alpha)
    bits = part.bits
    if alpha.dtype == np.uint8 and bits > 8:
        alpha = alpha.astype(np.uint16) * 257
    if alpha.dtype == np.uint16:
        alpha = cast(Plane, alpha >> (16 - bits))
    plane = frame.planes[part.plane]
    kind = np.uint8 if bits <= 8 else np.dtype(">u2" if frame.format.is_big_endian else "<u2")
    rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
    rows[:, : plane.width] = alpha
    plane.update(rows.tobytes())


def _white(bits: int, full: bool) -> int:
    """What swscale takes for white at 16 bits: it shifts full-range values and scales limited ones short."""
    return ((1 << bits) - 1) << (16 - min(bits, 16)) if full else 65283


def _rescale(pixels: npt.NDArray[np.uint16], white: int, target: int) -> npt.NDArray[np.uint16]:
    """Values with `white` moved to `target`; brighter ones saturate."""
    if white == target:
        return pixels
    scaled = pixels.astype(np.float32) * np.float32(target / white) + np.float32(0.5)
    saturated: npt.NDArray[np.uint16] = np.minimum(scaled, np.float32(65535)).astype(np.uint16)
    return saturated
