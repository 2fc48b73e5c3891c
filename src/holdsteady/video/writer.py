"""Opening any sink of frames: video file, folder of PNG images, raw y4m stream on stdout."""

from typing import BinaryIO

from .codecs import check_codec
from .frame import VideoInfo
from .image_writer import ImageWriter, images_lose
from .options import RunOptions
from .plan import plan_streams, warn_about
from .sink import SinkKind, check_sink, sink_kind
from .video_writer import VideoWriter
from .writer_base import Writer


def open_writer(
    sink: str,
    info: VideoInfo,
    options: RunOptions | None = None,
    *,
    width: int,
    height: int,
    copy_from: str | None = None,
    stdout: BinaryIO | None = None,
) -> Writer:
    """Open a sink of frames. Nothing has the sink's name before the writer is finished.

    Args:
        sink: A video file (.mp4, .m4v, .mov, .mkv, .webm, .avi); a folder for PNG images (ends with `/`,
            exists, or has no extension); or `-` for a raw y4m stream on stdout.
        info: The source, whose times, colours, shape, rotation, tags and bit depth are kept.
        options: The encoder, whether an existing result may be replaced, and the part of the source that is written
            (as given to the reader); None for the defaults.
        width, height: Size in pixels of the frames to be written, as stored (before rotation).
        copy_from: File whose sound, subtitles, chapters, covers, attachments and further streams are carried into a
            video file, converted where it can't hold them as they are; or None. What is left out is said in a warning.
        stdout: Where to write for `-`; None for `sys.stdout`.

    Raises:
        ConfigError: The type of the sink or the codec is unknown, or crf does not fit it.
        VideoError: The sink exists (without overwrite), is the source, or can't be written.
    """
    options = options or RunOptions()
    check_sink(info.name, sink, options.overwrite)
    check_codec(sink, options.codec, options.crf)
    kind = sink_kind(sink)
    if kind is SinkKind.FOLDER:
        plans = [] if copy_from is None else plan_streams(copy_from, "")
        warn_about(sink, plans, images_lose(info))
        return ImageWriter(sink, width=width, height=height)
    return VideoWriter(sink, info, options, width=width, height=height, copy_from=copy_from, stdout=stdout)
