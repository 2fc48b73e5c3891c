"""Writing video files, folders of images and streams."""

import contextlib
import warnings
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import RunOptions, VideoFrame, open_video, open_writer


def copy(source, sink, *, copy_from=None, **options):
    """Read and write without changing anything."""
    how = RunOptions(**options)
    with open_video(str(source), start=how.start, duration=how.duration) as reader:
        info = reader.info
        with open_writer(str(sink), info, how, width=info.width, height=info.height, copy_from=copy_from) as writer:
            for frame in reader:
                writer.write(frame)


def read(source):
    with open_video(str(source)) as reader:
        return reader.info, list(reader)


def packets(path, kind):
    """(seconds, bytes, position in the file) of the packets of one kind of stream."""
    with av.open(str(path)) as container:
        stream = next(item for item in container.streams if item.type == kind)
        return [(float(p.pts * p.time_base), bytes(p), p.pos) for p in container.demux(stream) if p.size]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    assert [item for item in tmp_path.rglob("*") if ".part-" in item.name] == []


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("colorspace", [1, 2, 6])
def test_round_trip_keeps_colours_and_tags(make_clip, pictures, tmp_path, colorspace, color_range, pix_fmt):
    source = make_clip("a.mp4", pictures[:4], pix_fmt=pix_fmt, colorspace=colorspace, color_range=color_range)
    copy(source, tmp_path / "b.mp4", crf=0)
    (before, frames), (after, copies) = read(source), read(tmp_path / "b.mp4")
    # H.265 can't leave the range open: limited is what that means.
    implied = 1 if before.bits > 8 and before.color_range == 0 else before.color_range
    assert (after.colorspace, after.color_range) == (before.colorspace, implied)
    assert (after.pix_fmt, after.bits) == (before.pix_fmt, before.bits)
    top = 255 if after.bits == 8 else 65535
    for frame, other in zip(frames, copies, strict=True):
        difference = (other.pixels.astype(float) - frame.pixels) / top
        # swscale truncates the chroma of 8-bit full range, by half a step on average.
        truncates = (color_range, pix_fmt) == (2, "yuv420p")
        assert np.abs(difference.mean(axis=(0, 1))).max() < (1.0 if truncates else 0.5) / 255
        assert np.abs(difference).mean() < 2 / 255


@pytest.mark.parametrize("tagged", [(1, 1), (1, 2), (5, 2), (9, 1)])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("b.avi", None),
        ("b.mkv", "mjpeg"),
        ("b.mov", "prores_ks"),
        ("b.mov", "v210"),
        ("b.avi", "ffv1"),
        ("b.mp4", "ffv1"),
        ("b.mkv", "ffv1"),
        ("b.mp4", "mpeg4"),
        ("b.mkv", "mpeg2video"),
        ("b.mkv", "mpeg1video"),
        ("b.webm", "libvpx"),
        ("b.webm", "libvpx-vp9"),
    ],
)
def test_colours_are_kept_where_matrix_and_range_can_not_be_told(make_clip, pictures, tmp_path, name, codec, tagged):
    matrix, limits = tagged
    clip = [np.ascontiguousarray(picture[:64, :96]) for picture in pictures[:2]]
    source = make_clip(
        "a.mkv", clip, codec="ffv1", pix_fmt="yuv444p", colorspace=matrix, color_range=limits, options={"level": "3"}
    )
    copy(source, tmp_path / name, codec=codec)
    (before, frames), (_, copies) = read(source), read(tmp_path / name)
    assert (before.colorspace, before.color_range) == tagged
    top = 255 if copies[0].pixels.dtype == np.uint8 else 65535
    difference = copies[0].pixels / top - frames[0].pixels / 255
    assert np.abs(difference.mean(axis=(0, 1))).max() < 1.2 / 255
    assert np.abs(difference).mean() < 4 / 255


@pytest.mark.parametrize("tagged", [(1, 1), (1, 2), (5, 2), (9, 1), (2, 0)])
def test_y4m_has_the_matrix_that_is_taken_for_granted(make_clip, tmp_path, tagged):
    matrix, limits = tagged
    colours = np.array(
        [[200, 30, 40], [20, 180, 60], [30, 40, 220], [128, 128, 128], [230, 230, 30], [0] * 3], np.uint8
    )
    clip = [np.tile(colours.repeat(16, axis=0), (64, 1, 1))] * 2
    options = {"level": "3"}
    names = [
        make_clip(
            "a.mkv", clip, codec="ffv1", pix_fmt="yuv444p", colorspace=matrix, color_range=limits, options=options
        )
    ]
    for name in ("b.y4m", "c.y4m"):
        with open_video(names[-1]) as reader, (tmp_path / name).open("wb") as file:
            options = RunOptions()
            with open_writer("-", reader.info, options, width=96, height=64, copy_from=None, stdout=file) as writer:
                for frame in reader:
                    writer.write(frame)
        names.append(str(tmp_path / name))
    shown = [[frame.pixels.astype(float) for frame in read(name)[1]] for name in names]
    full = [read(name)[0].color_range == 2 for name in names]
    assert full == [limits == 2] * 3
    for again in shown[1:]:
        assert np.abs(np.array(again) - shown[0]).max() <= 3


def test_motion_jpeg_of_high_definition_has_the_matrix_of_jpeg(make_clip, pictures, tmp_path):
    large = cv2.resize(pictures[0], (1280, 720))
    source = make_clip("a.mp4", [large], colorspace=1, color_range=1)
    copy(source, tmp_path / "b.avi")
    (_, frames), (_, copies) = read(source), read(tmp_path / "b.avi")
    difference = copies[0].pixels.astype(float) - frames[0].pixels
    assert np.abs(difference.mean(axis=(0, 1))).max() < 1


def test_times_shape_and_tags_are_kept(carphone, tmp_path):
    copy(carphone, tmp_path / "b.mp4")
    (before, frames), (after, copies) = read(carphone), read(tmp_path / "b.mp4")
    for name in ("rate", "time_base", "pixel_aspect", "colorspace", "color_range", "color_primaries", "color_trc"):
        assert getattr(after, name) == getattr(before, name)
    assert [frame.pts for frame in copies] == [frame.pts for frame in frames]
    with av.open(carphone) as one, av.open(str(tmp_path / "b.mp4")) as two:
        assert two.streams.video[0].duration == one.streams.video[0].duration  # the last frame lasts, too


def test_the_last_frame_written_need_not_be_the_last_of_the_source(carphone, tmp_path):
    with open_video(carphone) as reader:
        info, frames = reader.info, list(reader)
    with open_writer(str(tmp_path / "b.mp4"), info, width=info.width, height=info.height) as writer:
        for frame in frames[:5]:
            writer.write(frame)
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == 5 / info.rate


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_variable_frame_rate_is_kept(make_clip, pictures, tmp_path, suffix):
    times = [0, 40, 120, 130, 500, 510, 990]
    source = make_clip("a.mkv", pictures[: len(times)], pts=times, time_base=Fraction(1, 1000))
    copy(source, tmp_path / f"b{suffix}")
    _, frames = read(tmp_path / f"b{suffix}")
    assert [round(1000 * frame.pts * frame.time_base) for frame in frames] == times


def test_variable_frame_rate_in_avi_is_kept_to_the_frame(make_clip, pictures, tmp_path):
    source = make_clip("a.mkv", pictures[:4], pts=[0, 40, 200, 240], time_base=Fraction(1, 1000))
    copy(source, tmp_path / "b.avi")
    info, frames = read(tmp_path / "b.avi")
    before, _ = read(source)
    wanted = [round(Fraction(ms, 1000) * before.rate) / before.rate for ms in (0, 40, 200, 240)]
    assert [float(frame.pts * frame.time_base) for frame in frames] == pytest.approx([float(t) for t in wanted])
    assert info.frames >= 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_and_titles_are_kept(make_clip, pictures, tmp_path, degrees, suffix):
    source = make_clip("a.mp4", pictures[:2], rotation=degrees, metadata={"title": "Carphone"})
    copy(source, tmp_path / f"b{suffix}")
    info, _ = read(tmp_path / f"b{suffix}")
    assert info.rotation == degrees
    assert {key.lower(): value for key, value in info.metadata.items()}["title"] == "Carphone"


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("b.mp4", None, "yuv420p"),
        ("b.webm", None, "yuv420p"),
        ("b.avi", None, "yuvj420p"),
        ("b.avi", "libx264", "yuv420p"),
        ("b.mp4", "mpeg4", "yuv420p"),
        ("b.mov", "prores_ks", "yuv422p10le"),
        ("b.mkv", "ffv1", "yuv420p"),
        ("b.mkv", "libx265", "yuv420p"),
    ],
)
def test_containers_and_codecs(carphone, tmp_path, name, codec, pix_fmt):
    copy(carphone, tmp_path / name, codec=codec)
    (_, frames), (info, copies) = read(carphone), read(tmp_path / name)
    assert info.pix_fmt == pix_fmt
    scale = 1 if info.bits == 8 else 1 / 257
    for frame, other in zip(frames, copies, strict=True):
        assert np.abs(other.pixels * scale - frame.pixels.astype(float)).mean() < 4


@pytest.mark.parametrize("size", [(143, 175), (144, 175), (1, 1), (17, 33)])
def test_odd_sizes_are_kept(make_clip, pictures, tmp_path, size):
    cropped = [np.ascontiguousarray(p[: size[0], : size[1]]) for p in pictures[:3]]
    source = make_clip("a.mkv", cropped, codec="ffv1", pix_fmt="yuv444p", options={})
    copy(source, tmp_path / "b.mp4")
    info, frames = read(tmp_path / "b.mp4")
    assert info.pix_fmt == "yuv444p"
    assert [frame.pixels.shape[:2] for frame in frames] == [size] * 3


def test_one_frame(make_clip, pictures, tmp_path):
    copy(make_clip("a.mp4", pictures[:1]), tmp_path / "b.mp4")
    assert len(read(tmp_path / "b.mp4")[1]) == 1


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_of_few_frames_have_sound_times(make_clip, pictures, tmp_path, frames):
    """What libx265 says of their decoding times differs from run to run."""
    source = make_clip("a.mp4", pictures[:frames])
    for number in range(6):
        copy(source, tmp_path / "b.mkv", codec="libx265", overwrite=number > 0)
        times = [time for time, _, _ in packets(tmp_path / "b.mkv", "video")]
        assert sorted(times) == pytest.approx([0, 0.04, 0.08][:frames])


def test_fewer_bits_are_announced(make_clip, pictures, tmp_path):
    source = make_clip("a.mp4", pictures[:2], pix_fmt="yuv420p10le")
    with pytest.warns(UserWarning, match="10 bits per component, but mpeg4 is written with 8"):
        copy(source, tmp_path / "b.mp4", codec="mpeg4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy(source, tmp_path / "c.mkv", codec="libx265")
    assert read(tmp_path / "c.mkv")[0].pix_fmt == "yuv420p10le"


@pytest.mark.parametrize(
    ("inside", "codec", "pix_fmt", "sink", "becomes"),
    [
        ("a.mkv", "ffv1", "yuv420p9le", "b.mp4", "yuv420p10le"),
        ("a.mov", "v410", "yuv444p10le", "b.mp4", "yuv444p10le"),
        ("a.mov", "png", "ya16be", "b.mkv", "gbrap16le"),
    ],
)
def test_nothing_is_lost_of_unusual_formats(make_clip, pictures, tmp_path, inside, codec, pix_fmt, sink, becomes):
    deep = [picture.astype(np.uint16) * 257 for picture in pictures[:2]]
    source = make_clip(inside, deep, codec=codec, pix_fmt=pix_fmt, options={"strict": "-2"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy(source, tmp_path / sink)
    (before, frames), (after, copies) = read(source), read(tmp_path / sink)
    assert after.pix_fmt == becomes
    assert after.has_alpha == before.has_alpha
    assert np.abs(copies[0].pixels / 65535 - frames[0].pixels / 65535).mean() < 3 / 255


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (64, 15)])
def test_small_pictures_of_many_bits(make_clip, pictures, tmp_path, size):
    """x265 refuses them."""
    width, height = size
    deep = [picture[:height, :width].astype(np.uint16) * 257 for picture in pictures[:2]]
    source = make_clip("a.mkv", deep, codec="libx264", pix_fmt="yuv444p10le")
    for name in ("b.mp4", "b.mov", "b.mkv"):
        copy(source, tmp_path / name)
        info, frames = read(tmp_path / name)
        assert (info.width, info.height, info.bits, len(frames)) == (width, height, 10, 2)


def test_what_an_encoder_refuses_is_told(make_clip, pictures, tmp_path):
    source = make_clip("a.mkv", pictures[:2], rate=15, time_base=Fraction(1, 15))
    with pytest.raises(
        VideoError, match=r"mpeg1video as 176x144 yuv420p, 15 frames per second: .*choose another codec"
    ):
        copy(source, tmp_path / "b.mkv", codec="mpeg1video")
    with pytest.raises(VideoError, match=r"b\.avi: frames can't be converted to pal8"):
        copy(source, tmp_path / "b.avi", codec="msrle")
    assert [item.name for item in tmp_path.iterdir()] == ["a.mkv"]


def test_times_in_nanoseconds(make_clip, pictures, tmp_path):
    """Pictures that stand for seconds, in units of which MP4 has no place for so many."""
    nanosecond = Fraction(1, 10**9)
    pts = [number * 3 * 10**9 for number in range(4)]
    source = make_clip("a.nut", pictures[:4], codec="ffv1", pts=pts, time_base=nanosecond, options={"level": "3"})
    assert read(source)[0].time_base == nanosecond
    for name in ("b.mp4", "b.mov", "b.mkv", "b.webm"):
        copy(source, tmp_path / name)
        assert [float(frame.time) for frame in read(tmp_path / name)[1]] == pytest.approx([0, 3, 6, 9])


def test_the_mark_of_transparency_goes_with_it(make_clip, pictures, tmp_path):
    options = {"auto-alt-ref": "0", "crf": "10", "b": "0"}
    source = make_clip("a.webm", pictures[:2], codec="libvpx-vp9", pix_fmt="yuva420p", options=options)
    for name, codec, marks in (("b.mkv", "libx264", []), ("b.webm", "libvpx-vp9", ["1"])):
        with contextlib.nullcontext() if marks else pytest.warns(UserWarning, match="left out: transparency"):
            copy(source, tmp_path / name, codec=codec)
        with av.open(str(tmp_path / name)) as container:
            tags = container.streams.video[0].metadata
        assert [value for key, value in tags.items() if key.lower() == "alpha_mode"] == marks


def test_audio_is_copied_beside_the_frames(bunny, tmp_path):
    copy(bunny, tmp_path / "b.mp4", copy_from=bunny)
    before, after = packets(bunny, "audio"), packets(tmp_path / "b.mp4", "audio")
    assert [item[:2] for item in after] == [item[:2] for item in before]
    # Interleaved: the file does not hold all of one stream before the other.
    video = [item[2] for item in packets(tmp_path / "b.mp4", "video")]
    assert min(video) < after[len(after) // 2][2] < max(video)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.audio[0].metadata["language"] == "und"
        assert sum(frame.samples for frame in container.decode(audio=0)) > 48000


def test_audio_follows_start_and_duration(bunny, tmp_path):
    copy(bunny, tmp_path / "b.mp4", copy_from=bunny, start=0.4, duration=0.6)
    before, after = packets(bunny, "audio"), packets(tmp_path / "b.mp4", "audio")
    begin = read(bunny)[1][10]
    first = float(begin.pts * begin.time_base)
    wanted = [(time - first, data) for time, data, _ in before if first <= time < first + 0.6]
    assert len(after) == len(wanted) > 20
    for (time, data, _), (other, same) in zip(after, wanted, strict=True):
        assert data == same
        assert abs(time - other) < 1e-3
    _, frames = read(tmp_path / "b.mp4")
    assert (frames[0].pts, len(frames)) == (0, 15)


def test_settings_that_make_no_sense(carphone, tmp_path):
    cases = {
        ("b.mp4", "libx246", None): "did you mean .*libx264",
        ("b.mp4", "aac", None): "unknown video codec 'aac'",
        ("b.mp4", None, 52): "crf 52 is out of range",
        ("b.mkv", "ffv1", 20): "ffv1 has no crf",
        ("b.webm", "libx264", None): r"\.webm files can't hold codec libx264",
        ("b.mkv", "huffyuv", None): r"\.mkv files can't hold codec huffyuv; use \.avi or another",
        ("b.avi", "rawvideo", None): "can't be read back from video files; use ffv1",
        ("frames/", None, 20): "only apply to video files; this is a folder of PNG",
        ("b.gif", None, None): r"can't write files of type '\.gif'",
    }
    for (name, codec, crf), words in cases.items():
        with pytest.raises(ConfigError, match=words):
            copy(carphone, f"{tmp_path}/{name}", codec=codec, crf=crf)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked(carphone, tmp_path):
    sink = tmp_path / "b.mp4"
    sink.write_text("precious")
    with pytest.raises(VideoError, match="--overwrite"):
        copy(carphone, sink)
    assert sink.read_text() == "precious"
    copy(carphone, sink, overwrite=True)
    assert len(read(sink)[1]) == 20


def test_source_is_never_the_sink(make_clip, pictures, tmp_path):
    source = make_clip("a.mp4", pictures[:1])
    (tmp_path / "link.mp4").symlink_to(source)
    for sink in (source, tmp_path / "link.mp4", tmp_path / "." / "a.mp4"):
        with pytest.raises(VideoError, match="is the source"):
            copy(source, sink, overwrite=True)
    copy(source, tmp_path / "frames")
    for name in ("frames", "frames/*.png", "frames/000000.png"):
        with pytest.raises(VideoError, match="is the source"):
            copy(tmp_path / name, tmp_path / "frames", overwrite=True)


def test_places_that_can_not_be_written(carphone, tmp_path):
    with pytest.raises(VideoError, match="does not exist; create it first"):
        copy(carphone, tmp_path / "nowhere" / "b.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="without extension"):
        copy(carphone, tmp_path / "file")
    with pytest.raises(VideoError, match="not a folder"):
        copy(carphone, f"{tmp_path}/file/")
    with pytest.raises(VideoError, match="/proc"):
        copy(carphone, "/proc/b.mp4")
    with pytest.raises(VideoError, match="/proc"):
        copy(carphone, "/proc/frames/")


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "frames"])
def test_failure_leaves_what_was_there(carphone, tmp_path, name):
    sink = tmp_path / name
    for failure in (ValueError, SystemExit):
        with (
            open_video(carphone) as reader,
            pytest.raises(failure),
            open_writer(str(sink), reader.info, width=176, height=144) as writer,
        ):
            for number, frame in enumerate(reader):
                if number == 7:
                    raise failure
                writer.write(frame)
        assert not sink.exists()
    copy(carphone, sink)
    with (
        open_video(carphone) as reader,
        pytest.raises(ValueError, match="model"),
        open_writer(str(sink), reader.info, RunOptions(overwrite=True), width=176, height=144) as writer,
    ):
        writer.write(next(iter(reader)))
        raise ValueError("model")
    assert len(read(sink)[1]) == 20


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "frames"])
def test_interrupt_keeps_what_was_done(bunny, tmp_path, name):
    sink = tmp_path / name
    with (
        open_video(bunny) as reader,
        pytest.raises(KeyboardInterrupt),
        open_writer(str(sink), reader.info, width=320, height=180, copy_from=bunny) as writer,
    ):
        for number, frame in enumerate(reader):
            if number == 12:
                raise KeyboardInterrupt
            writer.write(frame)
    assert len(read(sink)[1]) == 12
    if name != "frames":
        assert 0.4 < packets(sink, "audio")[-1][0] <= 0.48  # no longer than the picture


def test_nothing_written_is_no_result(carphone, tmp_path):
    with open_video(carphone) as reader, open_writer(str(tmp_path / "b.mp4"), reader.info, width=176, height=144):
        pass
    assert list(tmp_path.iterdir()) == []


def test_frame_of_another_size(carphone, tmp_path):
    with (
        open_video(carphone) as reader,
        pytest.raises(VideoError, match="frame 0 is 176x144, but 88x72"),
        open_writer(str(tmp_path / "b.mp4"), reader.info, width=88, height=72) as writer,
    ):
        writer.write(next(iter(reader)))


def test_images_of_sixteen_bits(make_clip, pictures, tmp_path):
    source = make_clip("a.mp4", pictures[:3], pix_fmt="yuv420p10le")
    copy(source, tmp_path / "frames")
    assert sorted(item.name for item in (tmp_path / "frames").iterdir()) == [f"00000{k}.png" for k in range(3)]
    for frame, image in zip(read(source)[1], read(tmp_path / "frames")[1], strict=True):
        np.testing.assert_array_equal(frame.pixels, image.pixels)
    with pytest.warns(UserWarning, match="16 bits"):
        copy(tmp_path / "frames", tmp_path / "b.mp4", crf=4)
    info, frames = read(tmp_path / "b.mp4")
    assert (info.pix_fmt, info.colorspace, info.color_range) == ("yuv420p10le", 5, 1)
    assert np.abs(frames[0].pixels / 65535 - read(source)[1][0].pixels / 65535).mean() < 1 / 255


def test_lossless_codec_keeps_images_exactly(carphone, tmp_path):
    copy(carphone, tmp_path / "frames")
    copy(tmp_path / "frames", tmp_path / "b.mkv", codec="ffv1")
    for frame, other in zip(read(carphone)[1], read(tmp_path / "b.mkv")[1], strict=True):
        np.testing.assert_array_equal(frame.pixels, other.pixels)


def test_folder_keeps_what_is_not_ours(make_clip, pictures, carphone, tmp_path):
    sink = tmp_path / "frames"
    copy(carphone, sink)
    (sink / "notes.txt").write_text("precious")
    (sink / "cover.png").write_text("precious")
    with pytest.raises(VideoError, match="not empty"):
        copy(carphone, sink)
    copy(make_clip("a.mp4", pictures[:3]), sink, overwrite=True)
    names = sorted(item.name for item in sink.iterdir())
    assert names == ["000000.png", "000001.png", "000002.png", "cover.png", "notes.txt"]


@pytest.mark.parametrize("name", ["b.mkv", "frames"])
def test_full_disk(carphone, tmp_path, small_files, name):
    if name == "b.mkv":
        (tmp_path / name).write_text("precious")
    with small_files(9000), pytest.raises(VideoError, match="File too large"):
        copy(carphone, tmp_path / name, crf=1 if name == "b.mkv" else None, overwrite=True)
    if name == "b.mkv":
        assert (tmp_path / name).read_text() == "precious"
    assert [item.name for item in tmp_path.iterdir()] == (["b.mkv"] if name == "b.mkv" else [])


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.avi"])
@pytest.mark.parametrize("is_there", [False, True])
def test_full_disk_keeps_what_there_was_room_for(carphone, tmp_path, small_files, name, is_there):
    sink = tmp_path / name
    if is_there:
        sink.write_text("precious")
    with (
        small_files(900_000),
        pytest.raises(
            VideoError, match=r"(File too large|only \d+ of 120 frames could be written); the .* frames that"
        ) as caught,
    ):
        source = {"codec": "libx264", "crf": 0} if name == "b.avi" else {"crf": 0}
        copy_many(carphone, sink, overwrite=True, **source)
    (part,) = [item for item in tmp_path.iterdir() if item != sink or not is_there]
    assert (part.name == name) != is_there
    assert str(part) in str(caught.value)
    if is_there:
        assert sink.read_text() == "precious"
    with av.open(str(part)) as container:
        shown = 0
        with contextlib.suppress(av.error.FFmpegError):
            for _ in container.decode(video=0):
                shown += 1
    assert shown >= 1
    part.unlink()


def copy_many(source, sink, **options):
    """The frames of a clip six times, with a keyframe every ten."""
    with (
        open_video(source) as reader,
        open_writer(str(sink), reader.info, RunOptions(**options), width=176, height=144) as writer,
    ):
        frames = list(reader)
        tick = frames[1].pts - frames[0].pts
        for number in range(120):
            frame = frames[number % 20]
            writer.write(VideoFrame(frame.pixels, number * tick, frame.time_base))


def test_full_disk_keeps_the_images_that_there_was_room_for(carphone, tmp_path, small_files):
    with (
        open_video(carphone) as reader,
        small_files(5000),
        pytest.raises(
            VideoError, match=r"image 3 can't be written: File too large; the 3 frames that .* are in .*frames$"
        ),
        open_writer(f"{tmp_path}/frames", reader.info, width=176, height=144) as writer,
    ):
        for number, frame in enumerate(reader):
            if number < 3:
                frame.pixels[:] = 0
            writer.write(frame)
    assert sorted(item.name for item in (tmp_path / "frames").iterdir()) == ["000000.png", "000001.png", "000002.png"]
