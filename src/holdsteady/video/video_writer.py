"""Encoding frames into a video file or a y4m stream."""

import contextlib
import errno
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.codec.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from holdsteady.errors import ConfigError, VideoError

from .carry import Cargo, LostPicturesError, carry
from .codecs import Encoding, choose_encoding
from .color import from_rgb, has_alpha, output_tags, special_colours
from .container import TAG_ERRORS, is_full, reason
from .copies import HEVC_TAG, QUICKTIME, kept_tags, muxer_options
from .frame import VideoFrame, VideoInfo
from .hdr import hdr_options
from .matroska import set_pixel_aspect
from .options import RunOptions
from .part import PartFile, keep_aside
from .plan import plan_streams, warn_about
from .slots import Slots
from .span import Span
from .timecode import later_tags
from .writer_base import Writer

_HEADER = 1 << 20  # bytes that hold everything that is rewritten when a file is closed


class VideoWriter(Writer):
    """Encodes into a video file, or for the sink `-` a y4m stream; the arguments are those of `open_writer`."""

    def __init__(
        self,
        sink: str,
        info: VideoInfo,
        options: RunOptions,
        *,
        width: int,
        height: int,
        copy_from: str | None,
        stdout: BinaryIO | None,
    ) -> None:
        super().__init__(sink, width=width, height=height)
        to_stdout = sink == "-"
        suffix = Path(sink).suffix.lower()
        codec = "wrapped_avframe" if to_stdout else options.codec
        encoding = choose_encoding(suffix, info, width=width, height=height, codec=codec, crf=options.crf)
        if options.start:
            info = replace(
                info,
                metadata=later_tags(info.metadata, options.start, info.rate),
                stream_metadata=later_tags(info.stream_metadata, options.start, info.rate),
            )
        self._info, self._suffix = info, suffix
        self._trimmed, self._duration = bool(options.start), options.duration
        self._copy_from = copy_from
        self._plans = [] if copy_from is None else plan_streams(copy_from, "" if to_stdout else suffix)
        self._stdout = stdout
        self._part = None if to_stdout else PartFile(Path(sink))
        kind = Codec(encoding.codec, "w").canonical_name
        self._tags = output_tags(info, encoding.pix_fmt, height, kind, "" if to_stdout else suffix)
        self._pix_fmt, self._keeps_alpha = encoding.pix_fmt, has_alpha(encoding.pix_fmt)
        warn_about(sink, self._plans, left_out(info, encoding, "" if to_stdout else suffix))
        self._slots = Slots(encoding.codec, suffix, info)
        self._base = self._slots.base
        self._nominal = 1 / (info.fine_rate or info.rate)  # seconds for which a frame stands where nothing tells
        self._last_pts: int | None = None
        self._first_time = self._time = Fraction(0)
        self._newest: list[av.Packet[VideoStream]] = []  # of the last frame so far, whose end is not known yet
        with self._errors("can't be created"):
            self._container = self._open()
        try:
            self._stream = self._add_stream(encoding, suffix)
            rate = f"{float(self._slots.rate):.6g} frames per second"
            with self._errors(
                f"can't be encoded with {encoding.codec} as {width}x{height} {encoding.pix_fmt}, {rate}",
                "" if to_stdout else "; choose another codec or type of file",
            ):
                self._container.start_encoding()
        except BaseException:
            self.discard()
            raise

    def _open(self) -> OutputContainer:
        if self._part is not None:
            options = muxer_options(self._suffix, self._info.metadata, in_pieces=True)
            return av.open(str(self._part.path), "w", container_options=options, metadata_errors=TAG_ERRORS)
        # More than 8 bits in y4m is an extension that FFmpeg only writes when told to.
        return av.open(
            self._stdout or sys.stdout.buffer,
            "w",
            format="yuv4mpegpipe",
            container_options={"strict": "-1"},
            metadata_errors=TAG_ERRORS,
        )

    def _add_stream(self, encoding: Encoding, suffix: str) -> VideoStream:
        info = self._info
        try:
            stream = cast(
                VideoStream,
                self._container.add_stream(encoding.codec, rate=self._slots.rate, options=encoding.options),
            )
        except ValueError as error:
            raise ConfigError(
                f"{self.sink}: {suffix} files can't hold codec {encoding.codec}; "
                f"use {'.avi' if suffix == '.mkv' else '.mkv'} or another codec"
            ) from error
        context = stream.codec_context
        context.width, context.height = self.width, self.height
        context.pix_fmt = encoding.pix_fmt
        context.time_base = stream.time_base = self._base
        context.sample_aspect_ratio = info.pixel_aspect
        context.colorspace, context.color_range = self._tags.colorspace, self._tags.color_range
        context.color_primaries, context.color_trc = info.color_primaries, info.color_trc
        if suffix in QUICKTIME and context.codec.canonical_name == "hevc":
            context.codec_tag = HEVC_TAG
        if suffix == ".avi":  # has no place for the display times that reordered frames need
            context.max_b_frames = 0
        if info.display_matrix is not None:
            stream.set_display_matrix(_scaled(info.display_matrix, self.width / info.width))
        stream.metadata.update(kept_tags(info.stream_metadata))
        if not self._keeps_alpha:
            for key in [key for key in stream.metadata if key.lower() == "alpha_mode"]:
                del stream.metadata[key]
        self._container.metadata.update(kept_tags(info.metadata))
        return stream

    def _write(self, frame: VideoFrame) -> None:
        time = self._time + 1 / self._info.rate if frame.pts is None else frame.pts * frame.time_base
        if self._last_pts is None:
            self._first_time = time
        self._time = time
        self._last_pts = self._slots.place(time - self._shift)
        with self._errors(f"frames can't be converted to {self._pix_fmt}"):
            picture = from_rgb(frame.pixels, self._pix_fmt, self._tags, frame.alpha if self._keeps_alpha else None)
        picture.color_primaries, picture.color_trc = self._info.color_primaries, self._info.color_trc
        picture.pts, picture.time_base = self._last_pts, self._base
        with self._errors(f"frame {self.count} can't be written"):
            self._mux(self._newest)
            self._newest = self._stream.encode(picture)

    def _mux(self, packets: list["av.Packet[VideoStream]"], last: Fraction | None = None) -> None:
        """Put packets into the file; `last` is for how many seconds the last frame of all stands."""
        for packet in packets:
            stands = last if last is not None and packet.pts == self._last_pts else self._nominal
            packet.duration = max(1, round(stands / self._base))  # encoders tell the average, of all
        self._container.mux(packets)

    @property
    def _shift(self) -> Fraction:
        """Seconds to subtract from all times, so that the result begins at 0, or with sound that comes first."""
        if self._trimmed:
            return self._first_time
        shift = max(self._info.start_time, Fraction(0))
        # Of pictures before 0 (a clock that wraps), players of the result would show nothing.
        return shift if self._first_time >= shift else min(self._info.start_time, self._first_time)

    def finish(self, *, complete: bool = True, until: Fraction | None = None) -> None:
        if not self.count:
            self.discard()
            return
        end, last = None, self._last_length(until if complete else None)
        warn_about(self.sink, [], self._slots.lost(last))
        if not complete:
            end = self._time + 1 / self._info.rate
        elif self._duration is not None:
            end = self._first_time + Fraction(self._duration)
        try:
            with self._errors("can't be finished"):
                rest = self._stream.encode(None)
                if self.count <= 2:  # too few to be reordered; libx265 leaves their decoding times undefined
                    for packet in rest:
                        packet.dts = packet.pts
                self._mux(self._newest + rest, last)
                self._container.close()
                if self._part is not None:
                    length = self._time + last - self._first_time if self._slots.uneven(last) else None
                    self._part = self._with_the_rest(self._part, end, length)
                    self._shape_pixels(self._part.path)
                    self._part.publish()
        except BaseException:
            self.discard()
            raise

    def _last_length(self, until: Fraction | None) -> Fraction:
        """Seconds for which the last frame stands, up to the end of the part that is written."""
        if until is None:
            return self._nominal
        if self._duration is not None:
            return max(self._nominal, until - self._time)
        return until - self._time if until > self._time else self._nominal

    def _with_the_rest(self, pictures: PartFile, end: Fraction | None, length: Fraction | None) -> PartFile:
        """The finished pictures, and beside them what comes from the source; for `length` see `Cargo`."""
        whole = pictures.sibling()
        try:
            if self._plans or self._suffix in QUICKTIME:  # where the images are in pieces
                tags = kept_tags(self._info.metadata)
                options = muxer_options(self._suffix, tags)
                cargo = Cargo(self._copy_from, self._suffix, self.count, self._slots.rate, length, tags, options)
                span = Span(self._shift, self._first_time if self._trimmed else None, end)
                became = carry(pictures.path, whole.path, self._plans, cargo, span)
                warn_about(self.sink, [now for now, then in zip(became, self._plans, strict=True) if now != then])
                pictures.discard()
                pictures = whole
        except LostPicturesError as error:
            raise OSError(errno.ENOSPC, str(error)) from error
        except Exception as error:  # whatever it is: it must not cost the pictures
            if (written := _count_frames(pictures.path)) < self.count:
                text = f"only {written} of {self.count} frames could be written"
                raise error if is_full(error) else OSError(errno.ENOSPC, text) from error
            warnings.warn(f"{self.sink}: left out: all but the pictures: {reason(error)}", stacklevel=4)
        finally:
            if pictures is not whole:
                whole.discard()
        return pictures

    def _shape_pixels(self, path: Path) -> None:
        """Write the shape of pixels where FFmpeg's muxer does not."""
        aspect = self._info.pixel_aspect
        if self._suffix not in (".mkv", ".webm") or aspect == 1:
            return
        with av.open(str(path), metadata_errors=TAG_ERRORS) as written:  # some codecs tell it themselves, and exactly
            if written.streams.video[0].sample_aspect_ratio == aspect:
                return
        try:
            done = set_pixel_aspect(path, self.width, self.height, aspect)
        except (LookupError, ValueError, OverflowError):  # a header unlike those that FFmpeg writes today
            done = False
        if not done:
            warnings.warn(f"{self.sink}: left out: the shape of its pixels ({aspect})", stacklevel=4)

    def _kept_aside(self) -> str:
        """Keep what there was room for, if anything, in words."""
        part, self._part = self._part, None
        if part is None:
            return ""
        # A file that is closed gets an end, for which there is no room either, and half of one does harm.
        size = part.path.stat().st_size
        with part.path.open("rb") as file:
            begin = file.read(_HEADER)
        with contextlib.suppress(FFmpegError, OSError):
            self._container.close()
        with part.path.open("r+b") as file:
            file.write(begin)
            file.truncate(size)
        frames = _count_frames(part.path)
        if not frames:
            part.discard()
            return ""
        return keep_aside(part, frames)

    def discard(self) -> None:
        # Closing writes an end to the file, which may fail for the very reason that led here.
        with contextlib.suppress(FFmpegError, OSError):
            self._container.close()
        if self._part is not None:
            self._part.discard()

    @contextlib.contextmanager
    def _errors(self, what: str, advice: str = "") -> Iterator[None]:
        """Turn errors of FFmpeg and of the system into VideoErrors."""
        try:
            yield
        except VideoError:
            raise
        except (FFmpegError, OSError) as error:
            kept = self._kept_aside() if is_full(error) else ""
            raise VideoError(f"{self.sink}: {what}: {reason(error)}{kept or advice}") from error


def left_out(info: VideoInfo, encoding: Encoding, suffix: str) -> list[str]:
    """What an encoding can't hold of the pictures of a source in a kind of file, in words."""
    lost = []
    if suffix in ("", ".avi") and Codec(encoding.codec, "w").canonical_name not in (
        "h264",
        "hevc",
        "av1",
        "mpeg2video",
    ):
        lost += special_colours(info)
    if info.has_alpha and not has_alpha(encoding.pix_fmt):
        lost.append(f"transparency: {encoding.codec} has no place for it")
    if info.side_data and not hdr_options(encoding.codec, info.side_data):
        lost.append(f"mastering display and light levels: {encoding.codec} has no place for them")
    return [*lost, *info.unkept]


def _count_frames(path: Path) -> int:
    """Pictures in a file whose end is missing; 0 if it can't be played."""
    count = 0
    with contextlib.suppress(FFmpegError, OSError, StopIteration):
        with av.open(str(path), metadata_errors=TAG_ERRORS) as container:
            next(container.decode(video=0))
        with av.open(str(path), metadata_errors=TAG_ERRORS) as container:
            for packet in container.demux(video=0):
                count += packet.size > 0 and not packet.is_corrupt
    return count


def _scaled(matrix: tuple[int, ...], factor: float) -> list[int]:
    """A display matrix for a picture that is larger by `factor`: its translation is in pixels."""
    return [*matrix[:6], round(matrix[6] * factor), round(matrix[7] * factor), matrix[8]]
