"""Whole pictures from interlaced ones."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.error import FFmpegError
from av.filter import Graph

from holdsteady.errors import VideoError

from .container import reason


def deinterlaced(frames: Iterator[av.VideoFrame], name: str) -> Iterator[av.VideoFrame]:
    """One progressive frame for each interlaced one, with its time, by FFmpeg's bwdif.

    Frames not marked as interlaced are taken for it too, with the top field first. A frame follows once the one after
    it is known.

    Args:
        frames: In order.
        name: Of the source, for messages.

    Raises:
        VideoError: They are too small for it, or of an unusual format.
    """
    graph, base, shape = None, Fraction(1), None
    for frame in frames:
        if graph is None or shape != (frame.width, frame.height, frame.format.name):
            if graph is not None:
                graph.vpush(None)
                yield from _pulled(graph, base)
            shape = frame.width, frame.height, frame.format.name
            base = frame.time_base or base
            graph = _graph(frame, base, name)
        graph.vpush(frame)
        yield from _pulled(graph, base)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, base)


def _graph(first: av.VideoFrame, base: Fraction, name: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=all"), graph.add("buffersink"))
    try:
        graph.configure()
    except FFmpegError as error:
        raise VideoError(
            f"{name}: pictures of {first.width}x{first.height} {first.format.name} can't be deinterlaced: "
            f"{reason(error)}; leave out --deinterlace"
        ) from error
    return graph


def _pulled(graph: Graph, base: Fraction) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        if frame.pts is not None and frame.time_base is not None:  # bwdif counts twice as fast
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / base), base
        yield frame
