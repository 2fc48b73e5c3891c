"""Reading video files, images and streams."""

import importlib
import itertools
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from av.stream import Disposition
from PIL import Image

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import RunOptions, open_video, side_data
from holdsteady.video.orientation import upright
from holdsteady.video.picture import read_picture


def read(source, **options):
    with open_video(str(source), **options) as reader:
        return list(reader)


def test_facts_of_a_file(carphone):
    with open_video(carphone) as reader:
        info = reader.info
        frames = list(reader)
    assert (info.width, info.height, info.frames, info.bits) == (176, 144, 20, 8)
    assert info.rate == Fraction(30000, 1001)
    assert info.pixel_aspect == Fraction(128, 117)
    assert (info.rotation, info.display_matrix) == (0, None)
    assert [frame.pts * frame.time_base for frame in frames] == [k / info.rate for k in range(20)]
    assert all(frame.pixels.shape == (144, 176, 3) and frame.pixels.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("first", [1, 11, 12, 24, 37, 69])
def test_seek_is_exact(bikes, first):
    whole = read(bikes)
    part = read(bikes, start=first / 25, duration=3 / 25)
    assert [frame.pts for frame in part] == [frame.pts for frame in whole[first : first + 3]]
    for got, wanted in zip(part, whole[first:], strict=False):
        np.testing.assert_array_equal(got.pixels, wanted.pixels)


def test_seek_between_frames_takes_the_next(bikes):
    assert read(bikes, start=0.41, duration=0.04)[0].pts == read(bikes)[11].pts


@pytest.mark.parametrize(
    ("start", "duration", "estimate"), [(None, 1.0, 25), (2.0, None, 20), (2.0, 9.0, 20), (2.0, 0.4, 10)]
)
def test_estimate_respects_start_and_duration(bikes, start, duration, estimate):
    with open_video(bikes, start=start, duration=duration) as reader:
        assert reader.info.frames == estimate == len(list(reader))


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), float("-inf")])
@pytest.mark.parametrize("name", ["start", "duration"])
def test_parts_are_of_finite_numbers(carphone, tmp_path, name, seconds):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    words = f"{name} is {seconds:g}, but has to be a number of seconds"
    with pytest.raises(ConfigError, match=words):
        RunOptions(**{name: seconds})
    for source in (carphone, str(tmp_path)):
        with pytest.raises(VideoError, match=words):
            open_video(source, **{name: seconds})


@pytest.mark.parametrize("start", [2.81, 1000.0])
def test_start_beyond_the_end(bikes, start):
    with pytest.raises(VideoError, match="has no frame"):
        open_video(bikes, start=start)


def test_nonsense_times(bikes):
    with pytest.raises(VideoError, match="negative"):
        open_video(bikes, start=-1)
    with pytest.raises(VideoError, match="above 0"):
        open_video(bikes, duration=0)


def test_errors_are_one_line_and_name_the_source(tmp_path, bunny):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 20)
    sound = tmp_path / "sound.mka"
    with av.open(bunny) as source, av.open(str(sound), "w") as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    (tmp_path / "folder").mkdir()
    cases = {
        tmp_path / "missing.mp4": "no such file",
        empty: "empty",
        text: "can't be opened as a video",
        sound: "no video stream",
        tmp_path / "folder": "no images",
        tmp_path / "folder" / "*.png": "no images",
        "97": "can't be opened",  # no such camera
        "http://127.0.0.1:9/clip.mp4": "can't be opened",  # nobody listens there
    }
    for source, words in cases.items():
        with pytest.raises(VideoError, match=words) as caught:
            open_video(str(source))
        assert str(source) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_file_gives_what_is_there(truncated, pictures, suffix):
    count = 0
    with open_video(truncated(suffix)) as reader, pytest.raises(VideoError, match="truncated") as caught:
        for frame, picture in zip(reader, itertools.cycle(pictures), strict=False):
            assert np.abs(frame.pixels.astype(int) - picture).mean() < 4  # a whole picture, not debris
            count += 1
    assert 15 < count < 25
    assert "decoding failed: the file is truncated" in str(caught.value)


def test_broken_packet_in_the_middle(make_clip, pictures):
    path = Path(make_clip("whole.avi", pictures, codec="png", pix_fmt="rgb24", options={}))
    data = bytearray(path.read_bytes())
    at = [k for k in range(len(data)) if data[k : k + 4] == b"\x89PNG"][12]
    data[at + 16 : at + 24] = bytes(8)  # a size of zero
    path.write_bytes(data)
    with open_video(str(path)) as reader, pytest.warns(UserWarning, match=r"damaged packet at 0\.48 s is skipped"):
        frames = list(reader)
    assert (reader.skipped, reader.concealed) == (1, 0)
    for frame, number in zip(frames, [*range(12), *range(13, 20)], strict=True):
        np.testing.assert_array_equal(frame.pixels, pictures[number])
        assert frame.pts == number


def test_display_times_that_jump_are_not_believed(make_clip, pictures, tmp_path):
    """As some recorders write them: the pictures are in order, but every fourth time is late."""
    source = make_clip("a.mp4", pictures, options={"bf": "0", "crf": "4"})
    path = tmp_path / "b.mp4"
    with av.open(source) as whole, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.dts is not None:
                packet.pts += (3 if number % 4 == 1 else 0) * packet.duration
                packet.stream = stream
                container.mux(packet)
    times = [frame.pts for frame in read(path)]
    steps = np.diff(times)
    assert len(times) == 20
    assert (steps[2:-1] == steps[5]).all()  # even, after the start at which the trouble is noticed


def test_cover_picture_is_no_video(bunny, pictures, tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(bunny) as source, av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream_from_template(source.streams.audio[0])
        cover = container.add_stream("png", width=176, height=144, options={})
        cover.pix_fmt = "rgb24"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(pictures[0], format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture) + cover.encode())
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                container.mux(packet)
    with pytest.raises(VideoError, match="no video stream"):
        open_video(str(path))


def test_pictures_of_an_unknown_codec_are_told(make_clip, pictures):
    path = Path(make_clip("a.mp4", pictures[:2]))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(VideoError, match=r"a\.mp4: its pictures are of a codec that FFmpeg does not know"):
        open_video(str(path))


def test_what_is_no_video_is_told_with_a_hint(make_clip, pictures, tmp_path):
    whole = Path(make_clip("a.mp4", pictures[:2])).read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    (tmp_path / "c.yuv").write_bytes(bytes(64 * 48 * 3))
    (tmp_path / "d.txt").write_text("hello\n" * 100)
    (tmp_path / "e.mp4").write_text("nothing of the kind")
    for name, words in {
        "b.mp4": r"Invalid data .*; where a recording or a copy ended early, the index \(moov\) is missing",
        "c.yuv": "raw pictures don't tell their size and rate: convert them to .y4m",
        "d.txt": "is a text file, not a video",
        "e.mp4": "Invalid data found when processing input$",
    }.items():
        with pytest.raises(VideoError, match=words):
            open_video(str(tmp_path / name))


@pytest.mark.parametrize("error", [av.error.PermissionError, av.error.InvalidDataError])
def test_what_can_not_be_read_is_told_by_its_own_reason(tmp_path, monkeypatch, error):
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(4) + b"ftyp" + bytes(100))

    def refuse(raised):
        def opened(*_args, **_options):
            raise raised(13, "refused")

        return opened

    monkeypatch.setattr("av.open", refuse(error))
    monkeypatch.setattr(Path, "open", refuse(PermissionError))
    with pytest.raises(VideoError, match=r"a\.mp4: can't be opened as a video: refused$"):
        open_video(str(path))


@pytest.mark.parametrize("pix_fmt", ["gbrpf32le", "gbrapf32le"])
def test_floating_values(make_clip, pictures, pix_fmt):
    options = {"compression": "zip16"}
    with open_video(make_clip("a.mov", pictures[:2], codec="exr", pix_fmt=pix_fmt, options=options)) as reader:
        first = next(iter(reader))
        assert (reader.info.bits, reader.info.has_alpha) == (16, pix_fmt == "gbrapf32le")
    assert np.abs(first.pixels / 65535 - pictures[0] / 255).max() < 1.1 / 255  # swscale shifts, on the way to floats
    if first.alpha is not None:
        assert (first.alpha == 65535).all()


def test_size_change_midway_is_reported(tmp_path, pictures):
    path = tmp_path / "frames.mjpeg"  # raw concatenated JPEGs
    small = pictures[1][:72, :88]
    path.write_bytes(b"".join(cv2.imencode(".jpg", p)[1].tobytes() for p in (pictures[0], small)))
    count = 0
    with open_video(str(path)) as reader, pytest.raises(VideoError, match="176x144 to 88x72 after 1 frames"):
        for _ in reader:
            count += 1
    assert count == 1


@pytest.mark.parametrize("orientation", [None, 3, 5, 6])
def test_pictures_of_cameras_with_exif(tmp_path, pictures, orientation):
    """Motion JPEG whose frames tell the camera and the way up, which PyAV has no name for."""
    exif = Image.Exif()
    exif[271] = "Camera"
    if orientation is not None:
        exif[274] = orientation
    path = tmp_path / "a.mjpeg"
    with path.open("wb") as file:
        for picture in pictures[:3]:
            Image.fromarray(picture).save(file, "JPEG", exif=exif, quality=95)
    with open_video(str(path)) as reader:
        frames, info = list(reader), reader.info
    assert len(frames) == 3
    assert (info.rotation, info.mirrored) == {None: (0, False), 3: (180, False), 5: (90, True), 6: (270, False)}[
        orientation
    ]
    first = next(iter(read_picture(path)))
    assert np.abs(upright(frames[0].pixels, info).astype(int) - first).mean() < 2


PATCHES = np.array(
    [[200, 30, 40], [20, 180, 60], [30, 40, 220], [128, 128, 128], [250, 250, 10], [255] * 3, [0] * 3], np.uint8
)
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def yuv_clip(path, colorspace, full, bits, height=64, tag=None):
    """A lossless 4:4:4 clip of colour patches whose values follow the formulas of the standards."""
    rgb = PATCHES / 255
    red, blue = WEIGHTS[colorspace if colorspace != 2 else (5 if height < 720 else 1)]
    luma = rgb @ [red, 1 - red - blue, blue]
    planes = [luma, (rgb[:, 2] - luma) / 2 / (1 - blue), (rgb[:, 0] - luma) / 2 / (1 - red)]
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    frame = av.VideoFrame(32 * len(PATCHES), height, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for number, (plane, values) in enumerate(zip(frame.planes, planes, strict=True)):
        if full:
            coded = values * top + (0 if number == 0 else 1 << (bits - 1))
        else:
            coded = values * (219 if number == 0 else 224) * unit + (16 if number == 0 else 128) * unit
        row = np.clip(np.rint(coded), 0, top).repeat(32)
        line = np.zeros(plane.line_size // (1 if bits == 8 else 2), np.uint8 if bits == 8 else np.uint16)
        line[: row.size] = row
        plane.update(np.tile(line, (height, 1)).tobytes())
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=frame.width, height=height)
        stream.pix_fmt = frame.format.name
        stream.codec_context.colorspace = frame.colorspace = colorspace if tag is None else tag
        stream.codec_context.color_range = frame.color_range = 2 if full else 1
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("colorspace", "height"), [(1, 64), (5, 64), (6, 64), (9, 64), (2, 64), (2, 720)])
def test_colours_follow_matrix_and_range(tmp_path, colorspace, height, full, bits):
    (frame,) = read(yuv_clip(tmp_path / "patches.mkv", colorspace, full, bits, height))
    assert frame.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    got = frame.pixels[32, 16::32] / (255 if bits == 8 else 65535) * 255
    assert np.abs(got - PATCHES).max() <= (2.01 if bits == 8 else 0.8)


def test_a_matrix_that_is_not_known_is_told(tmp_path):
    with pytest.warns(UserWarning, match="by the matrix ycgco, which can't be converted; they are taken for bt470bg"):
        read(yuv_clip(tmp_path / "a.mkv", 5, True, 8, tag=8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = read(yuv_clip(tmp_path / "9.mkv", 9, True, 8, tag=9))
    with pytest.warns(
        UserWarning, match="by the matrix bt2020c, which can't be converted; they are taken for bt2020nc"
    ):
        constant = read(yuv_clip(tmp_path / "10.mkv", 9, True, 8, tag=10))
    np.testing.assert_array_equal(near[0].pixels, constant[0].pixels)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_makes_the_picture_upright(make_clip, pictures, degrees):
    turned = np.ascontiguousarray(np.rot90(pictures[0], -degrees // 90))
    with open_video(make_clip("turned.mp4", [turned], rotation=degrees)) as reader:
        (frame,) = reader
        info = reader.info
    assert info.rotation == degrees
    assert len(info.display_matrix) == 9
    upright = np.rot90(frame.pixels, info.rotation // 90)
    assert np.abs(upright.astype(int) - pictures[0]).mean() < 4


def save(path, pixels):
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def test_images_in_natural_order(tmp_path, pictures):
    for number, picture in enumerate(pictures):
        save(tmp_path / f"f{number}.png", picture)
    (tmp_path / "notes.txt").write_text("not an image")
    for source in (tmp_path, tmp_path / "*.png", tmp_path / "f*"):
        with open_video(str(source)) as reader:
            frames = list(reader)
        assert (reader.info.frames, reader.info.rate) == (20, 25)
        assert [frame.pts for frame in frames] == list(range(20))
        for frame, picture in zip(frames, pictures, strict=True):
            np.testing.assert_array_equal(frame.pixels, picture)
    part = read(tmp_path, start=0.4, duration=0.12)
    assert [frame.pixels[50, 50].tolist() for frame in part] == [p[50, 50].tolist() for p in pictures[10:13]]
    with pytest.raises(VideoError, match="beyond the end"):
        open_video(str(tmp_path), start=0.8)


def test_sixteen_bit_images_are_exact(tmp_path):
    ramp = np.arange(64 * 64 * 3, dtype=np.uint16).reshape(64, 64, 3) * 5
    save(tmp_path / "a.png", ramp)
    (frame,) = read(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.pixels, ramp)


def test_bad_images_are_named(tmp_path, pictures):
    save(tmp_path / "0.png", pictures[0])
    save(tmp_path / "1.png", pictures[1][:100])
    with open_video(str(tmp_path)) as reader, pytest.raises(VideoError, match=r"1\.png: size 176x100"):
        list(reader)
    save(tmp_path / "1.png", pictures[1].astype(np.uint16))
    with open_video(str(tmp_path)) as reader, pytest.raises(VideoError, match=r"1\.png: 16 bits"):
        list(reader)
    (tmp_path / "1.png").write_bytes(b"nothing of the kind")
    with open_video(str(tmp_path)) as reader, pytest.raises(VideoError, match=r"1\.png: not an image"):
        list(reader)


def test_y4m_on_stdin(make_clip, pictures, monkeypatch):
    path = Path(make_clip("a.y4m", pictures, codec="wrapped_avframe", options={}))
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        frames = read("-")
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.pixels.astype(int) - picture).mean() < 4
    path.write_bytes(b"junk")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(VideoError, match="-: can't be opened as a y4m stream on stdin"):
            open_video("-")


def test_names_that_something_else_gives_to_kinds_are_left(monkeypatch):
    theirs = classmethod(lambda cls, _value: cls(0))
    monkeypatch.setattr(Type, "_missing_", theirs)
    importlib.reload(side_data)
    assert vars(Type)["_missing_"] is theirs
