"""Interlaced sources: told, and made whole on request."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from av.filter import Graph

from holdsteady.errors import VideoError
from holdsteady.video import open_video


def smooth(count):
    """A pattern that moves by 3 pixels a picture: RGB (96, 160, 3), with nothing finer than 4 lines."""
    y, x = np.mgrid[:96, :160]
    for number in range(count):
        wave = 128 + 60 * np.sin((x - 3 * number) / 6) + 40 * np.cos(y / 9)
        yield np.repeat(np.rint(wave)[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def interlaced(tmp_path):
    """25 fields a second woven in pairs, the top first, of 50 pictures; and the pictures of the first fields."""
    path, pictures = str(tmp_path / "i.mkv"), list(smooth(40))
    graph = Graph()
    form = av.VideoFormat("yuv420p", 160, 96)
    source = graph.add_buffer(width=160, height=96, format=form, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    with av.open(path, "w") as container:
        options = {"flags": "+ildct+ilme+qscale", "global_quality": "118"}
        stream = container.add_stream("mpeg2video", rate=25, width=160, height=96, options=options)
        for number, (woven, below) in enumerate(zip(pictures[::2], pictures[1::2], strict=True)):
            picture = woven.copy()
            picture[1::2] = below[1::2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            graph.vpush(frame)
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode())
    return path, pictures[::2]


def combing(pixels):
    """How much lines differ from those beside them, beyond what the picture does."""
    grey = pixels[8:-8, 8:-8].astype(int).mean(axis=2)
    return np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean()


def test_interlaced_sources_are_told(interlaced):
    path, _ = interlaced
    with open_video(path) as reader, pytest.warns(UserWarning, match="is interlaced.*give --deinterlace") as told:
        frames = list(reader)
    assert (reader.info.interlaced, len(told)) == (True, 1)
    assert combing(frames[5].pixels) > 10


def test_whole_pictures_one_for_each(interlaced):
    path, truth = interlaced
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_video(path, deinterlace=True) as reader:
            frames = list(reader)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_video(path) as woven:
            times = [frame.time for frame in woven]
    assert not reader.info.interlaced
    assert [frame.time for frame in frames] == times
    for frame, picture in zip(frames[1:-1], truth[1:-1], strict=False):
        assert combing(frame.pixels) < 3
        assert np.abs(frame.pixels[8:-8, 8:-8].astype(int) - picture[8:-8, 8:-8]).mean() < 4
    with open_video(path, start=0.2, duration=0.2, deinterlace=True) as reader:
        assert [frame.time for frame in reader] == times[5:10]


def test_pictures_that_are_too_small_are_told(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=2, height=2)
        stream.pix_fmt = "yuv444p"
        container.mux(stream.encode(av.VideoFrame(2, 2, "yuv444p")))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"a\.mkv: pictures of 2x2 yuv444p can't be deinterlaced: .*leave out"):
        open_video(str(path), deinterlace=True)


def test_progressive_sources_are_not(carphone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_video(carphone) as reader:
            assert len(list(reader)) == 20
    assert not reader.info.interlaced
