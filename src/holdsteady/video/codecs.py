"""Choosing an encoder, its settings and its pixel format."""

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
from av.codec.codec import Codec, UnknownCodecError, find_best_pix_fmt_of_list
from av.video.format import VideoFormat

from holdsteady.errors import ConfigError

from .color import chroma, depth, has_alpha, is_float, is_rgb
from .frame import VideoInfo
from .hdr import hdr_options
from .sink import SinkKind, sink_kind

# H.264 in AVI comes back a frame late, and late by a gap where the frame rate varies.
_DEFAULT = {".webm": "libvpx-vp9", ".avi": "mjpeg"}
# Above 8 bits: Main 10, which televisions and phones play, as they don't play H.264 of 10 bits. M4V knows H.264 alone.
_DEFAULT_DEEP = {".mp4": "libx265", ".mov": "libx265", ".mkv": "libx265"}
_DEFAULT_BITS = {"libx265": 10}
_SMALLEST_DEEP = 16  # smaller pictures are refused by x265
# With transparency. MP4 has no place for it.
_DEFAULT_ALPHA = {".mov": "prores_ks", ".mkv": "ffv1", ".webm": "libvpx-vp9", ".avi": "png"}
# Formats with transparency that these offer and then refuse, or that hardly any player knows.
_BAD_ALPHA = {"libx265": ("yuva",), "libvpx-vp9": ("yuva422", "yuva444", "gbrap")}
# Quality that is hard to tell from the source, and the worst value that each accepts.
_CRF = {
    "libx264": (16, 51),
    "libx264rgb": (16, 51),
    "libx265": (18, 51),
    "libvpx": (10, 63),
    "libvpx-vp9": (24, 63),
    "libsvtav1": (24, 63),
    "libaom-av1": (24, 63),
}
_OPTIONS = {
    # The encoder shares the processor with the model: the default preset takes twice as long for 1 to 2 dB at
    # 42 dB and more.
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "fast", "x265-params": "log-level=error"},
    "libvpx-vp9": {"row-mt": "1", "cpu-used": "4"},
    # Without a fixed quantizer these aim at a bit rate that is far too low.
    "mjpeg": {"flags": "+qscale", "global_quality": "236"},
    "mpeg4": {"flags": "+qscale", "global_quality": "236"},
}


@dataclass(frozen=True)
class Encoding:
    """How to encode: name of the encoder, pixel format and encoder options."""

    codec: str
    pix_fmt: str
    options: dict[str, str]


def choose_encoding(
    suffix: str, info: VideoInfo, *, width: int, height: int, codec: str | None, crf: int | None
) -> Encoding:
    """The encoder and pixel format that lose least of a clip.

    Args:
        suffix: Extension of the file to be written, such as `.mp4`.
        info: The source, whose bit depth and chroma format are kept where possible.
        width, height: Size to be encoded. Odd sizes get a format with full chroma.
        codec: FFmpeg's name of an encoder; None for the default of the container.
        crf: Constant rate factor, 0 for the best quality; None for a default that looks lossless.

    Raises:
        ConfigError: The codec is unknown or no video encoder, or crf does not fit it.
    """
    encoder, options = _settings(suffix, codec or _default(suffix, info, min(width, height)), crf)
    pix_fmt = _pixel_format(encoder, info, width, height, None if codec else _DEFAULT_BITS.get(encoder.name))
    for option, value in hdr_options(encoder.name, info.side_data).items():
        options[option] = ":".join(filter(None, (options.get(option), value)))
    if info.chroma_location is not None and "420" in pix_fmt:
        options["chroma_sample_location"] = info.chroma_location
    return Encoding(encoder.name, pix_fmt, options)


def check_codec(sink: str, codec: str | None, crf: int | None) -> None:
    """Refuse settings that `choose_encoding` would refuse, before any work is done.

    Raises:
        ConfigError: The codec is unknown or no video encoder, crf does not fit it, or either is given for
            a sink that is not a video file.
    """
    if sink_kind(sink) is SinkKind.FILE:
        _settings(Path(sink).suffix.lower(), codec, crf)
    elif codec is not None or crf is not None:
        raise ConfigError(f"{sink}: codec and crf only apply to video files; this is a {sink_kind(sink).value}")


def _default(suffix: str, info: VideoInfo, side: int) -> str:
    """The encoder for what a source has, in that container, for pictures whose shorter side is given."""
    offers = []
    if info.has_alpha:
        offers.append(_DEFAULT_ALPHA.get(suffix))
    if info.bits > 8 and side >= _SMALLEST_DEEP:
        offers.append(_DEFAULT_DEEP.get(suffix))
    offers.append(_DEFAULT.get(suffix))
    return next((name for name in offers if name is not None and _video_encoder(name) is not None), "libx264")


def _settings(suffix: str, codec: str | None, crf: int | None) -> tuple[Codec, dict[str, str]]:
    """The encoder and its options."""
    encoder = _find_encoder(codec or _DEFAULT.get(suffix, "libx264"))
    if encoder.name == "rawvideo":  # the containers don't tell its pixel format so that it can be read again
        raise ConfigError("codec rawvideo can't be read back from video files; use ffv1, which loses nothing either")
    options = dict(_OPTIONS.get(encoder.name, {}))
    if encoder.name in _CRF:
        default, worst = _CRF[encoder.name]
        if crf is not None and not 0 <= crf <= worst:
            raise ConfigError(f"crf {crf} is out of range; {encoder.name} takes 0 (best) to {worst}")
        options["crf"] = str(default if crf is None else crf)
    elif crf is not None:
        raise ConfigError(f"codec {encoder.name} has no crf (given: {crf}); leave it out")
    return encoder, options


def _find_encoder(name: str) -> Codec:
    """The video encoder of that name; a ConfigError names similar ones."""
    encoder = _video_encoder(name)
    if encoder is None:
        near = difflib.get_close_matches(name, sorted(av.codecs_available), n=12, cutoff=0.5)
        known = [item for item in near if _video_encoder(item) is not None][:4]
        hint = f"did you mean {', '.join(known)}?" if known else "try libx264, libx265, libvpx-vp9 or ffv1"
        raise ConfigError(f"unknown video codec {name!r}; {hint}")
    return encoder


def _video_encoder(name: str) -> Codec | None:
    try:
        encoder = Codec(name, "w")
    except UnknownCodecError:
        return None
    return encoder if encoder.type == "video" else None


def _pixel_format(encoder: Codec, info: VideoInfo, width: int, height: int, most_bits: int | None) -> str:
    """The encoder's format closest to the source's, with even-size chroma only for even sizes.

    Args:
        most_bits: The most bits per component that players of it know; None for no limit.
    """
    offered = [form.name for form in encoder.video_formats or [] if not is_float(form.name)]
    odd = bool(width % 2 or height % 2)
    if info.has_alpha:
        bad = _BAD_ALPHA.get(encoder.name, ())
        clear = [name for name in offered if has_alpha(name) and not name.startswith(bad)]
        clear = [name for name in clear if not odd or "420" not in name]
        if clear:
            return _closest(clear, info.pix_fmt)
    if is_rgb(info.pix_fmt) and offered and not encoder.lossy:
        return _closest(offered, "gbrp" if info.bits <= 8 else f"gbrp{info.bits}le")
    # 4:2:0 plays everywhere; other chroma only where the source has it or the size forbids 4:2:0.
    chromas = ["444"] if odd else ["420", "422", "444"]
    own = chroma(info.pix_fmt)
    if own in chromas[1:]:
        chromas.insert(0, own)
    kinds = ["yuvj", "yuv"] if encoder.name == "mjpeg" else ["yuv"]  # JPEG has full range only
    enough = next(bits for bits in (8, 10, 12, 16) if bits >= info.bits)
    most = min(enough, most_bits or enough)
    depths = sorted({bits for bits in (8, 10, 12, 16) if bits <= most}, reverse=True)
    for bits in [info.bits, *depths] if 8 <= info.bits <= most else depths:
        tail = "" if bits == 8 else f"{bits}le"
        for name in [f"{kind}{part}p{tail}" for part in chromas for kind in kinds]:
            if name in offered or not offered:
                if depth(name) < info.bits:
                    warnings.warn(
                        f"{info.name} has {info.bits} bits per component, but {encoder.name} is written with "
                        f"{depth(name)}; ffv1 in .mkv keeps all",
                        stacklevel=2,
                    )
                return name
    if odd:
        raise ConfigError(
            f"codec {encoder.name} can't store the odd size {width}x{height}; use libx264, libx265 or ffv1"
        )
    return _closest(offered, info.pix_fmt)


def _closest(offered: list[str], pix_fmt: str) -> str:
    """The offered format that loses least of `pix_fmt`."""
    return cast(VideoFormat, find_best_pix_fmt_of_list(offered, pix_fmt)[0]).name
