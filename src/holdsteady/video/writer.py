"""Opening any sink of frames: video file, folder of PNG images, raw y4m stream on stdout."""

from .codecs import check_codec
from .frame import VideoInfo
from .image_writer import ImageWriter
from .sink import SinkKind, check_sink, sink_kind
from .video_writer import VideoWriter
from .writer_base import Writer


def open_writer(
    sink: str,
    info: VideoInfo,
    *,
    width: int,
    height: int,
    codec: str | None = None,
    crf: int | None = None,
    copy_from: str | None = None,
    start: float | None = None,
    duration: float | None = None,
    overwrite: bool = False,
) -> Writer:
    """Open a sink of frames. Nothing has the sink's name before the writer is finished.

    Args:
        sink: A video file (.mp4, .m4v, .mov, .mkv, .webm, .avi); a folder for PNG images (ends with `/`,
            exists, or has no extension); or `-` for a raw y4m stream on stdout.
        info: The source, whose times, colours, shape, rotation, tags and bit depth are kept.
        width, height: Size in pixels of the frames to be written, as stored (before rotation).
        codec: FFmpeg's name of an encoder; None for libx264, libvpx-vp9 in .webm, mjpeg in .avi.
        crf: Constant rate factor, 0 for the best quality; None for one that looks lossless.
        copy_from: File whose audio and subtitles are copied into a video file, or None.
        start, duration: The part of the source in seconds that is written, as given to the reader.
        overwrite: Whether an existing result may be replaced.

    Raises:
        ConfigError: The type of the sink or the codec is unknown, or crf does not fit it.
        VideoError: The sink exists (without overwrite), is the source, or can't be written.
    """
    check_sink(info.name, sink, overwrite)
    check_codec(sink, codec, crf)
    if sink_kind(sink) is SinkKind.FOLDER:
        return ImageWriter(sink, width=width, height=height)
    return VideoWriter(
        sink,
        info,
        width=width,
        height=height,
        codec=codec,
        crf=crf,
        copy_from=copy_from,
        start=start,
        duration=duration,
    )
