"""Clips for the tests of `holdsteady.video`: real footage, and variants of it made with PyAV."""

import contextlib
import resource
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from holdsteady.video import Pixels, open_video


@pytest.fixture
def pictures(carphone: str) -> list[Pixels]:
    """The frames of carphone as RGB (144, 176, 3) uint8."""
    with open_video(carphone) as reader:
        return [frame.pixels for frame in reader]


MakeClip = Callable[..., str]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """A function that writes pictures with plain PyAV, independent of holdsteady's writer."""

    def make(
        name: str,
        pictures: Iterable[Pixels],
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        colorspace: int = 2,
        color_range: int = 0,
        rotation: int = 0,
        pts: list[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        rate: int | Fraction = 25,
        container_options: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        path = str(tmp_path / name)
        stream = None
        with av.open(path, "w", container_options=container_options) as container:
            container.metadata.update(metadata or {})
            for number, pixels in enumerate(pictures):
                height, width = pixels.shape[:2]
                if stream is None:
                    stream = container.add_stream(
                        codec, rate=rate, width=width, height=height, options=options or {"crf": "4"}
                    )
                    stream.pix_fmt = pix_fmt
                    stream.codec_context.time_base = stream.time_base = time_base
                    stream.codec_context.colorspace = colorspace
                    stream.codec_context.color_range = color_range
                    if rotation:
                        stream.set_display_rotation(rotation)
                form = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
                frame = av.VideoFrame.from_ndarray(pixels, format=form).reformat(
                    format=pix_fmt,
                    dst_colorspace=5 if colorspace in (2, 6) else colorspace,
                    src_color_range=2,
                    dst_color_range=color_range or 1,
                    interpolation="BICUBIC",
                )
                frame.colorspace, frame.color_range = colorspace, color_range
                frame.pts, frame.time_base = (pts[number] if pts else number), time_base
                container.mux(stream.encode(frame))
            assert stream is not None
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture
def truncated(make_clip: MakeClip, pictures: list[Pixels], tmp_path: Path) -> Callable[[str], str]:
    """A function that makes a file of 40 intra-only frames and cuts off its second half."""

    def make(suffix: str) -> str:
        options = {"movflags": "faststart"} if suffix == ".mp4" else {}
        whole = make_clip(
            f"whole{suffix}", pictures * 2, container_options=options, options={"crf": "20", "g": "1", "bf": "0"}
        )
        data = Path(whole).read_bytes()
        path = tmp_path / f"truncated{suffix}"
        path.write_bytes(data[: len(data) // 2])
        return str(path)

    return make


@pytest.fixture
def small_files() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """A context manager in which no file can grow beyond a number of bytes, as on a full disk."""

    @contextlib.contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
