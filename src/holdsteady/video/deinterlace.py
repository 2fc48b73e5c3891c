"""Whole pictures from interlaced ones."""

from collections.abc import Iterator

import av
from av.filter import Graph


def deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """One progressive frame for each interlaced one, with its time, by FFmpeg's bwdif.

    Frames not marked as interlaced are taken for it too, with the top field first. A frame follows once the one after
    it is known.
    """
    graph = None
    for frame in frames:
        if graph is None:
            graph = _graph(frame)
        graph.vpush(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph)


def _graph(first: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=first.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=all"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield frame
