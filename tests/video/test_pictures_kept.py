"""What belongs to the pictures: shape of pixels, transparency, HDR10's facts, codecs that players know, names."""

import warnings
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from video.media import Film

from holdsteady.errors import VideoError
from holdsteady.video import RunOptions, open_video, run
from holdsteady.video.matroska import display_size


def ident(source, sink, step=lambda frame: frame, **options):
    """A run of the identity; gives its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(str(source), str(sink), step, RunOptions(cuts="off", **options), on_cut=lambda: None)
    return [str(item.message) for item in caught]


def first(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context, next(container.decode(stream))


def anamorphic(path, aspect=Fraction(4, 3), size=(160, 90)):
    film = Film(path, size=size, frames=5)
    film.video.codec_context.sample_aspect_ratio = aspect
    return film


@pytest.mark.parametrize(
    ("sink", "codec"),
    [
        ("b.webm", None),
        ("b.mkv", "ffv1"),
        ("b.mkv", None),
        ("b.mkv", "libvpx-vp9"),
        ("b.mp4", None),
        ("b.mov", "prores_ks"),
        ("b.avi", None),
    ],
)
def test_shape_of_pixels(tmp_path, sink, codec):
    for sound in (False, True):
        film = anamorphic(tmp_path / "a.mp4")
        source = (film.sound("aac") if sound else film).save()
        ident(source, tmp_path / sink, codec=codec, overwrite=True)
        with av.open(str(tmp_path / sink)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        with open_video(str(tmp_path / sink)) as reader:
            assert len(list(reader)) == 5
        with av.open(str(tmp_path / sink)) as container:  # the index still leads to the right places
            container.seek(0)
            assert sum(1 for packet in container.demux(video=0) if packet.size) == 5


def test_a_shape_of_pixels_that_has_no_place_is_named(tmp_path):
    source = anamorphic(tmp_path / "a.mp4").save()
    (line,) = ident(source, tmp_path / "frames")
    assert line.endswith("left out: the shape of its pixels (4/3)")


def test_size_of_display():
    assert display_size(720, 576, Fraction(64, 45)) == (1024, 576)
    assert display_size(160, 90, Fraction(4, 3)) == (192, 81)
    assert display_size(175, 143, Fraction(127, 128)) == (174, 143), "to a pixel where no small ratio fits"


@pytest.fixture
def clear(tmp_path):
    """A function that makes pictures that are transparent by degrees; gives the path and opacity (48, 64)."""
    alpha = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (48, 1))

    def make(name, codec, pix_fmt, options=None):
        with av.open(str(tmp_path / name), "w") as output:
            stream = output.add_stream(codec, rate=25, width=64, height=48, options=options or {})
            stream.pix_fmt = pix_fmt
            for number in range(3):
                pixels = np.dstack([np.full((48, 64, 3), 90 + 20 * number, np.uint8), alpha])
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=pix_fmt)
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return str(tmp_path / name), alpha

    return make


def opacity(path):
    with open_video(str(path)) as reader:
        frame = next(iter(reader))
        assert frame.alpha is not None
        return frame.alpha / (255 if frame.alpha.dtype == np.uint8 else 65535)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("a.mov", "png", "rgba"), ("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "yuva444p")],
)
def test_transparency_goes_past_the_model(clear, tmp_path, name, codec, pix_fmt):
    source, alpha = clear(name, codec, pix_fmt)
    for sink, encoder in {
        "b.mov": None,
        "c.mov": "png",
        "d.mov": "qtrle",
        "e.mkv": None,
        "f.webm": None,
        "g.avi": None,
        "frames/": None,
    }.items():
        assert ident(source, f"{tmp_path}/{sink}", codec=encoder) == []
        tolerance = 0.03 if sink == "f.webm" else 1.3 / 255
        assert np.abs(opacity(tmp_path / sink) - alpha / 255).max() <= tolerance, sink
    assert cv2.imread(str(tmp_path / "frames/000000.png"), cv2.IMREAD_UNCHANGED).shape == (48, 64, 4)
    assert first(tmp_path / "b.mov")[0].codec.canonical_name == "prores"
    for sink, encoder in {"h.mp4": None, "i.mov": "libx264"}.items():
        (line,) = ident(source, tmp_path / sink, codec=encoder)
        assert "left out: transparency: libx264 has no place for it" in line


def test_transparency_of_sixteen_bits_and_of_other_sizes(clear, tmp_path):
    source, alpha = clear("a.mov", "prores_ks", "yuva444p10le")
    ident(source, tmp_path / "b.mov")
    assert np.abs(opacity(tmp_path / "b.mov") - alpha / 255).max() < 1 / 250
    ident(source, tmp_path / "frames")
    assert cv2.imread(str(tmp_path / "frames/000000.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert np.abs(opacity(tmp_path / "frames") - alpha / 255).max() < 1 / 250
    ident(source, tmp_path / "small", lambda frame: frame[..., ::2, ::2])
    assert (
        np.abs(opacity(tmp_path / "small") - cv2.resize(alpha, (32, 24), interpolation=cv2.INTER_AREA) / 255).max()
        < 0.01
    )
    ident(source, tmp_path / "both", side_by_side=True)
    assert np.abs(opacity(tmp_path / "both") - np.hstack([alpha, alpha]) / 255).max() < 1 / 250


DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


def film_in_hdr(path, chroma="topleft"):
    settings = f"log-level=error:master-display={DISPLAY}:max-cll=1000,400:colorprim=bt2020:transfer=smpte2084"
    options = {"x265-params": settings, "chroma_sample_location": chroma}
    return Film(path, codec="libx265", pix_fmt="yuv420p10le", options=options, frames=4)


def facts(path):
    _, frame = first(path)
    return {name: bytes(frame.side_data[name]) for name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")}


@pytest.mark.parametrize("codec", [None, "libx265", "libx264"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_facts_of_hdr_are_kept(tmp_path, suffix, codec):
    source = film_in_hdr(tmp_path / "a.mp4").save()
    assert ident(source, tmp_path / f"b.{suffix}", codec=codec) == []
    assert facts(tmp_path / f"b.{suffix}") == facts(source)
    with open_video(source) as before, open_video(str(tmp_path / f"b.{suffix}")) as after:
        assert before.info.chroma_location == after.info.chroma_location == "topleft"
        assert (after.info.color_primaries, after.info.color_trc) == (9, 16)
        assert after.info.pix_fmt == "yuv420p10le"


def test_facts_of_hdr_in_av1_and_where_they_have_no_place(tmp_path):
    source = film_in_hdr(tmp_path / "a.mp4", chroma="left").save()
    ident(source, tmp_path / "b.mkv", codec="libsvtav1")
    _, frame = first(tmp_path / "b.mkv")
    assert bytes(frame.side_data["CONTENT_LIGHT_LEVEL"]) == facts(source)["CONTENT_LIGHT_LEVEL"]
    (line,) = ident(source, tmp_path / "c.mkv", codec="ffv1")
    assert "left out: mastering display and light levels: ffv1 has no place for them" in line


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_more_than_eight_bits_are_written_as_main_10_that_apple_plays(tmp_path, suffix):
    source = Film(tmp_path / "a.mkv", pix_fmt="yuv420p10le", frames=4).sound("aac").save()
    for codec in (None, "libx265"):
        ident(source, tmp_path / f"b.{suffix}", codec=codec, overwrite=True)
        context, frame = first(tmp_path / f"b.{suffix}")
        assert (context.name, context.profile) == ("hevc", "Main 10")
        assert frame.format.name == "yuv420p10le"
        if suffix != "mkv":
            assert context.codec_tag == "hvc1"


def test_names_of_images_are_kept(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(["frame7.png", "frame10.png", "Frame10.bmp", "a.b %d-x.png", "-y.jpg"]):
        cv2.imwrite(str(tmp_path / "in" / name), np.full((16, 16, 3), 40 * number, np.uint8))
    ident(tmp_path / "in", tmp_path / "out")
    names = {"frame7.png", "frame10.png", "Frame10_2.png", "Frame10.png", "frame10_2.png", "a.b %d-x.png", "-y.png"}
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert len(found) == 5 and found < names
    assert cv2.imread(str(tmp_path / "out/frame7.png")).max() == 0
    assert cv2.imread(str(tmp_path / "out/a.b %d-x.png")).min() == 120


@pytest.mark.parametrize(
    "name",
    ["x" * 245 + ".mp4", "x" * 251 + ".mp4", "ä" * 125 + ".mkv", "a:b.mp4", "-o.mp4", "50%d 100%.mp4", "[b]*?.mkv"],
)
def test_names_as_files_are(bunny, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    ident(bunny, name, duration=0.2)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with av.open(f"file:{tmp_path / name}") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    long = "y" * 240
    ident(bunny, f"{long}/", duration=0.1)
    assert len(list(Path(long).iterdir())) == 3


def test_a_name_that_is_too_long_is_told(bunny, tmp_path):
    for name in ("x" * 252 + ".mp4", "y" * 256 + "/"):
        with pytest.raises(VideoError, match=r"can't be written: File name too long"):
            ident(bunny, f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sink", "codec"),
    [("b.avi", None), ("b.avi", "mpeg2video"), ("b/", None), ("b.mkv", None), ("b.mp4", None), ("b.mov", None)],
)
def test_hdr_colours_are_kept_or_said_to_be_lost(tmp_path, sink, codec):
    x265 = "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
    source = Film(
        tmp_path / "h.mp4", codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": x265}, frames=3
    ).save()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(source, f"{tmp_path}/{sink}", lambda frame: frame, RunOptions(cuts="off", codec=codec), on_cut=lambda: None)
    told = any("that its colours are BT.2020 and HLG" in str(one.message) for one in caught)
    with open_video(f"{tmp_path}/{sink}".rstrip("/")) as reader:
        kept = (reader.info.color_primaries, reader.info.color_trc) == (9, 18)
    assert told != kept
    assert kept == (sink in ("b.mkv", "b.mp4", "b.mov") or codec == "mpeg2video")
