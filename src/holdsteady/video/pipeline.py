"""Running a model over a video: decoding and encoding each in a thread beside it.

The threads beside the model call no torch: each would start a team of workers of its own, and the teams take the
processor from one another.
"""

import dataclasses
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from holdsteady.errors import VideoError

from .beside import beside, resized
from .border import Border, same_size
from .both_ways import Backward, both_ways, open_shelf
from .channel import Channel, ChannelClosedError
from .codecs import check_codec
from .cuts import open_cuts
from .frame import Pixels, Plane, VideoFrame, VideoInfo
from .options import RunOptions
from .orientation import as_stored, straightened, upright
from .pairing import since_first
from .reader import Reader, open_video
from .sink import check_sink, keeps_rotation
from .stdout import own_stdout
from .stream import StreamReader
from .writer import open_writer
from .writer_base import Writer

# Frames that may wait between two threads.
_WAITING = 4


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        frames: Frames written.
        seconds: Time that the run took.
        cuts: Numbers of the frames before which the model's memory was cleared.
        interrupted: Whether it was ended early, by Ctrl-C or `stop`.
        nan_pixels: Pixels that the model gave as NaN.
        skipped: Damaged packets of the source that could not be decoded.
        concealed: Frames of the source that are damaged in part.
    """

    frames: int
    seconds: float
    cuts: tuple[int, ...]
    interrupted: bool
    nan_pixels: int = 0
    skipped: int = 0
    concealed: int = 0


@dataclasses.dataclass
class _Decoded:
    frame: VideoFrame  # upright
    cut: bool


@dataclasses.dataclass
class _Result:
    frame: VideoFrame  # upright
    pixels: Pixels  # of the result
    alpha: Plane | None  # of the result; None for the source's, if it has some


def run(
    source: str,
    sink: str,
    step: Callable[[Any], Any],
    options: RunOptions | None = None,
    *,
    on_cut: Callable[[], None],
    on_frame: Callable[[VideoInfo, Fraction, int], None] | None = None,
    back: Backward | None = None,
    border: Border | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Send every frame of a video through a model and write the results.

    Memory does not depend on the length of the video. What a video file has beside its pictures is carried along, see
    `open_writer`. While the sink is stdout, whatever else writes there lands on stderr.

    Args:
        source: What to read, see `open_video`.
        sink: What to write, see `open_writer`. Its size is that of the first result.
        step: The model: takes an upright frame (1, 3, H, W) in [0, 1] on the options' device in their dtype, returns
            (1, 3, h, w), (1, 1, h, w), or (1, 4, h, w) with alpha, in [0, 1], always of one size. Called in the
            calling thread, under `torch.inference_mode()` where that is what frames are.
        options: The part to process, how to write it, and more; None for the defaults.
        on_cut: Called before `step` sees the first frame of a new shot.
        on_frame: Called before each step with the source's facts, the frame's time in seconds since its first one, and
            how many were read before it.
        back: A second pass, from the end of each shot, whose results are averaged with those of `step`. Frames that
            wait for it lie on disk, beside a video file or in TMPDIR: 80 at most.
        border: What frames are; None for tensors.
        progress: Called after each step with the frames done and the estimated total, or None if unknown.
        stop: Set it to end the run after the current step, as Ctrl-C does.

    Returns:
        A summary. After Ctrl-C it says `interrupted`, and the frames done so far are in the sink.

    Raises:
        ConfigError, VideoError: Nothing was begun, or writing failed: there is no result, unless the message says
            where it is. If reading failed midway, or `step` raised a VideoError for a source of its own, the frames
            before are in the sink, as the message says.
        ModelError: `step` returned something else; there is no result.
    """
    options = options or RunOptions()
    border = border or _tensors(options)
    stop = stop or threading.Event()
    check_sink(source, sink, options.overwrite)
    check_codec(sink, options.codec, options.crf)
    begun = time.monotonic()
    is_new_shot = open_cuts(options.cuts)
    done: list[int] = []  # frames before which a shot began
    lost = 0
    interrupted = False
    with ExitStack() as stack:
        stdout = stack.enter_context(own_stdout()) if sink == "-" else None
        reader = stack.enter_context(
            open_video(source, start=options.start, duration=options.duration, deinterlace=options.deinterlace)
        )
        info = reader.info
        copy_from = source if isinstance(reader, StreamReader) and Path(source).is_file() else None

        def open_sink(height: int, width: int, has_alpha: bool) -> Writer:
            stored = dataclasses.replace(_stored(info, sink), has_alpha=has_alpha)
            return open_writer(sink, stored, options, width=width, height=height, copy_from=copy_from, stdout=stdout)

        decoded: Channel[_Decoded] = Channel(_WAITING, stop)
        results: Channel[_Result] = Channel(_WAITING)
        encoder = _Encoder(open_sink, _stored(info, sink), options.side_by_side, lambda: _end(reader, options))
        with ThreadPoolExecutor(2, "holdsteady") as pool:
            decoding = pool.submit(_decode, reader, decoded, is_new_shot)
            encoding = pool.submit(encoder.run, results)
            failed_step: VideoError | None = None

            def first_pass() -> Iterator[tuple[bool, VideoFrame, Any]]:
                size = None
                for count, item in enumerate(decoded):
                    if item.cut:
                        on_cut()
                        done.append(count)
                    if on_frame is not None:
                        on_frame(info, since_first(item.frame, info, count), count)
                    with border.running():
                        result = step(border.show(item.frame.pixels))
                        size = same_size(border.size(result), size)
                    yield item.cut, item.frame, result
                    if progress is not None:
                        progress(count + 1, info.frames)

            def write(frame: VideoFrame, result: Any) -> int:
                with border.running():
                    given = border.give(result, deep=frame.pixels.dtype == np.uint16)
                results.put(_Result(frame, given.pixels, given.alpha))
                return given.lost

            if back is None:
                passed: Iterator[tuple[VideoFrame, Any]] = ((frame, result) for _, frame, result in first_pass())
            else:
                passed = both_ways(first_pass(), back, stack.enter_context(open_shelf(sink)), border.show, stop.is_set)
            try:
                for frame, result in passed:
                    lost += write(frame, result)
                interrupted = stop.is_set()
                decoded.abandon()
                if interrupted or decoding.exception() is not None:
                    encoder.ending = _Ending.PARTIAL
            except KeyboardInterrupt:
                interrupted = True
                encoder.ending = _Ending.PARTIAL
                stop.set()
                for frame, result in passed if back is not None else ():  # what waits on disk
                    lost += write(frame, result)
            except ChannelClosedError:
                pass  # the encoder failed; its own error is raised below
            except VideoError as error:
                failed_step = error
                encoder.ending = _Ending.PARTIAL
            except BaseException:
                encoder.ending = _Ending.DISCARD
                raise
            finally:
                decoded.abandon()
                results.finish()
            written = encoding.result()
            failure = failed_step or decoding.exception()
    _warn_about_nan(lost)
    if not interrupted and failure is None:
        is_new_shot.warn_of_rest()
    if isinstance(failure, VideoError) and written:
        before = "the frame before it is" if written == 1 else f"the {written} frames before it are"
        raise VideoError(f"{failure}; {before} in {sink}") from failure
    if failure is not None:
        raise failure
    return Summary(
        frames=written,
        seconds=time.monotonic() - begun,
        cuts=tuple(done),
        interrupted=interrupted,
        nan_pixels=lost,
        skipped=reader.skipped,
        concealed=reader.concealed,
    )


def _tensors(options: RunOptions) -> Border:
    from .tensors import Tensors

    return Tensors(options.device, options.dtype)


def _decode(
    reader: Reader,
    decoded: Channel[_Decoded],
    is_new_shot: Callable[[int, Pixels], bool],
) -> None:
    """Read frames and turn them upright, until the source ends or the receiver stops."""
    try:
        for number, frame in enumerate(reader):
            frame.pixels = upright(frame.pixels, reader.info)
            if frame.alpha is not None:
                frame.alpha = upright(frame.alpha, reader.info)
            cut = is_new_shot(number, frame.pixels) and number > 0
            decoded.put(_Decoded(frame, cut))
    except ChannelClosedError:
        pass
    finally:
        decoded.finish()


class _Ending(Enum):
    """What to do with the sink when no more results come."""

    COMPLETE = "keep it"
    PARTIAL = "keep it, with audio up to the last frame"
    DISCARD = "delete it"


class _Encoder:
    """Writes results, in a thread of its own. Set `ending` before the channel is finished."""

    def __init__(
        self,
        open_sink: Callable[[int, int, bool], Writer],
        stored: VideoInfo,
        side_by_side: bool,
        end: Callable[[], Fraction | None],
    ) -> None:
        self._open_sink, self._stored, self._side_by_side, self._end = open_sink, stored, side_by_side, end
        self._writer: Writer | None = None
        self.ending = _Ending.COMPLETE

    def run(self, results: Channel[_Result]) -> int:
        """Write all results and finish or discard the sink; returns the number of frames written."""
        try:
            for result in results:
                self._write(result)
        except BaseException:
            self.ending = _Ending.DISCARD
            raise
        finally:
            results.abandon()
            if self._writer is not None:
                if self.ending is _Ending.DISCARD:
                    self._writer.discard()
                else:
                    self._writer.finish(complete=self.ending is _Ending.COMPLETE, until=self._end())
        return self._writer.count if self._writer is not None else 0

    def _write(self, result: _Result) -> None:
        source, pixels, alpha = result.frame, result.pixels, result.alpha
        if alpha is None and source.alpha is not None:
            alpha = resized(source.alpha, *pixels.shape[:2])
        if self._side_by_side:
            pixels = beside(source.pixels, pixels)
            if alpha is not None:
                opaque = np.full_like(alpha, np.iinfo(alpha.dtype).max)
                alpha = beside(opaque if source.alpha is None else source.alpha, alpha)
        pixels = as_stored(pixels, self._stored)
        alpha = None if alpha is None else as_stored(alpha, self._stored)
        if self._writer is None:
            has_alpha = self._stored.has_alpha or alpha is not None
            self._writer = self._open_sink(pixels.shape[0], pixels.shape[1], has_alpha)
        self._writer.write(VideoFrame(pixels, source.pts, source.time_base, alpha, source.name))


def _end(reader: Reader, options: RunOptions) -> Fraction | None:
    """Seconds at which what was read ends; None where that is not known, as where the clock jumped on the way."""
    end = None if isinstance(reader, StreamReader) and reader.jumped else reader.info.end
    if end is None or options.duration is None:
        return end
    return min(end, reader.info.origin + Fraction(options.start or 0) + Fraction(options.duration))


def _stored(info: VideoInfo, sink: str) -> VideoInfo:
    """The source's facts as they hold for the sink: upright, if it can't tell players to turn it."""
    return info if keeps_rotation(sink) else straightened(info)


def _warn_about_nan(lost: int) -> None:
    if lost:
        warnings.warn(f"the model returned NaN for {lost} pixels; they were written as 0", stacklevel=3)
