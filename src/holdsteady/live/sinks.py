"""Where live pictures go: a window, a file or stdout, a virtual camera, a URL."""

import errno
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import av
import numpy as np
from av.error import FFmpegError, ProtocolNotFoundError

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import Pixels, RunOptions, VideoFrame, VideoInfo, Writer, open_writer

#: What FFmpeg sends to each kind of URL as.
FORMATS = {"udp": "mpegts", "tcp": "mpegts", "srt": "mpegts", "rtmp": "flv", "rtmps": "flv", "rtsp": "rtsp"}
_V4L2 = "v4l2:"
_STREAM_BASE = Fraction(1, 1000)
_TITLE = "holdsteady"


class Sink(Protocol):
    """Takes pictures, each as soon as it is there."""

    def show(self, pixels: Pixels, source: VideoFrame) -> None:
        """Show a picture (h, w, 3), upright, that was made of a frame."""

    def key(self) -> str:
        """The key that was pressed since the last picture; empty for none."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_sink(name: str, info: VideoInfo, options: RunOptions, stdout: BinaryIO | None) -> Sink:
    """A sink by its name: ``window``, ``v4l2:/dev/video9``, a URL, a video file, a folder, or ``-``.

    Raises:
        ConfigError: the type of the URL is not known.
        VideoError: there are no windows here, or it can't be opened.
    """
    if name == "window":
        return Window()
    if name.startswith(_V4L2):
        return VirtualCamera(name.removeprefix(_V4L2))
    if "://" in name:
        return Stream(name, info)
    return File(name, info, options, stdout)


def is_file(name: str) -> bool:
    """Whether a sink is one that ``holdsteady run`` writes too."""
    return name != "window" and not name.startswith(_V4L2) and "://" not in name


class _Base:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kind is None or issubclass(kind, KeyboardInterrupt | VideoError))

    def close(self, keep: bool) -> None:
        """End; ``keep`` what was written."""

    def key(self) -> str:
        return ""


class Window(_Base):
    """A window of OpenCV's."""

    def __init__(self) -> None:
        import cv2

        try:
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise VideoError(
                "--sink window: this OpenCV has no windows here (opencv-python-headless never has): pip uninstall "
                "opencv-python-headless && pip install opencv-python; or take another sink, as a file or - for a player"
            ) from error
        self._key = ""

    def show(self, pixels: Pixels, source: VideoFrame) -> None:
        import cv2

        cv2.imshow(_TITLE, pixels[..., ::-1])
        code = cv2.waitKey(1)
        self._key = "" if code < 0 else chr(code & 0xFF)
        if cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self._key = "q"

    def key(self) -> str:
        return self._key

    def close(self, keep: bool) -> None:
        import cv2

        cv2.destroyWindow(_TITLE)


class File(_Base):
    """A video file, a folder of images or y4m on stdout, with the frames' own times."""

    def __init__(self, name: str, info: VideoInfo, options: RunOptions, stdout: BinaryIO | None) -> None:
        self._name, self._info, self._options, self._stdout = name, info, options, stdout
        self._writer: Writer | None = None

    def show(self, pixels: Pixels, source: VideoFrame) -> None:
        if self._writer is None:
            height, width = pixels.shape[:2]
            self._writer = open_writer(
                self._name, self._info, self._options, width=width, height=height, stdout=self._stdout
            )
        self._writer.write(VideoFrame(pixels, source.pts, source.time_base, None, source.name))

    def close(self, keep: bool) -> None:
        if self._writer is None:
            return
        if keep:
            self._writer.finish(complete=False)
        else:
            self._writer.discard()


class Stream(_Base):
    """An encoded stream to a URL, with the times at which pictures are there."""

    def __init__(self, url: str, info: VideoInfo) -> None:
        scheme = url.partition("://")[0].lower()
        if scheme not in FORMATS:
            raise ConfigError(f"{url}: live pictures go to {', '.join(f'{one}://' for one in FORMATS)}")
        self._url, self._rate, self._format = url, info.rate, FORMATS[scheme]
        self._container: Any = None
        self._begin, self._last = 0.0, -1

    def show(self, pixels: Pixels, source: VideoFrame) -> None:
        with _said(self._url):
            frame = _even(pixels)
            if self._container is None:
                self._open(frame.height, frame.width)
            self._last = max(self._last + 1, round((time.monotonic() - self._begin) * 1000))
            frame.pts, frame.time_base = self._last, _STREAM_BASE
            self._container.mux(self._stream.encode(frame))

    def _open(self, height: int, width: int) -> None:
        self._container = av.open(self._url, "w", format=self._format)
        # Without frames that wait for later ones.
        options = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = _STREAM_BASE
        self._stream.codec_context.max_b_frames = 0
        self._begin = time.monotonic()

    def close(self, keep: bool) -> None:
        if self._container is not None:
            with _said(self._url):
                self._container.mux(self._stream.encode())
                self._container.close()


class VirtualCamera(_Base):
    """A loopback device of Linux (v4l2loopback), which other programs see as a camera."""

    def __init__(self, device: str) -> None:
        self._device = device
        try:
            self._file = os.open(device, os.O_WRONLY)
        except OSError as error:
            raise VideoError(
                f"v4l2:{device}: {error.strerror}; make one by: sudo modprobe v4l2loopback video_nr=9"
            ) from error
        self._size: tuple[int, int] | None = None

    def show(self, pixels: Pixels, source: VideoFrame) -> None:
        frame = _even(pixels)
        try:
            if self._size != (frame.height, frame.width):
                self._size = frame.height, frame.width
                self._set_format(*self._size)
            os.write(self._file, frame.to_ndarray().tobytes())
        except OSError as error:
            what = "is no device that takes pictures" if error.errno in (errno.ENOTTY, errno.EINVAL) else error.strerror
            raise VideoError(f"v4l2:{self._device}: {what}; give the one of v4l2loopback") from error

    def _set_format(self, height: int, width: int) -> None:
        """VIDIOC_S_FMT of Linux's videodev2.h: a struct v4l2_format with planar YUV 4:2:0."""
        import fcntl

        output, no_field, srgb = 2, 1, 8
        fourcc = int.from_bytes(b"YU12", "little")
        picture = struct.pack("8I", width, height, fourcc, no_field, width, width * height * 3 // 2, srgb, 0)
        request = struct.pack("I4x", output) + picture.ljust(200, b"\0")
        fcntl.ioctl(self._file, 0xC0D05605, request)

    def close(self, keep: bool) -> None:
        os.close(self._file)


@contextmanager
def _said(url: str) -> Iterator[None]:
    """FFmpeg's errors in our words."""
    try:
        yield
    except ProtocolNotFoundError as error:
        scheme = url.partition("://")[0]
        raise VideoError(
            f"{url}: this FFmpeg can't send to {scheme}://; take another of {', '.join(FORMATS)}"
        ) from error
    except (FFmpegError, OSError) as error:
        raise VideoError(f"{url}: can't be sent to: {getattr(error, 'strerror', None) or error}") from error


def _even(pixels: Pixels) -> av.VideoFrame:
    """A picture as encoders take it: of 8 bits, colours at half the resolution, no odd row or column."""
    height, width = (side - side % 2 for side in pixels.shape[:2])
    picture: Any = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
    return frame.reformat(format="yuv420p")
