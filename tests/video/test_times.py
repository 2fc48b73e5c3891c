"""The times of frames where those of the file jump, begin late, or are missing."""

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video.media import Film, seconds_of_sound

from holdsteady.errors import VideoError
from holdsteady.video import RunOptions, open_video, run
from holdsteady.video.probe import probe


def times_of(source, **options):
    with open_video(str(source), **options) as reader:
        return [float(frame.time) for frame in reader]


def even(count, first=0.0, step=0.04):
    return pytest.approx([first + k * step for k in range(count)], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.vob", "mpeg2video"),
        ("a.flv", "flv"),
    ],
)
def test_recordings_in_one_file_go_on_where_the_last_ended(make_clip, pictures, name, codec):
    path = Path(make_clip(name, pictures, codec=codec, options={}))
    data = path.read_bytes()
    path.write_bytes(data * 3 if name != "a.flv" else data + data[13:] * 2)
    times = times_of(path)
    assert times == even(60, times[0])
    if name != "a.flv":
        assert times_of(path, start=1.0) == even(35, times[25])
        with open_video(str(path), start=1.0, duration=0.2) as reader:
            parts = list(reader)
        with open_video(str(path)) as reader:
            whole = list(reader)[25:30]
        for part, wanted in zip(parts, whole, strict=True):
            np.testing.assert_array_equal(part.pixels, wanted.pixels)


def remuxed(source, path, moved):
    """A copy whose packets' times are changed by a function of the packet's number and its time base."""
    with av.open(source) as whole, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(packet for packet in whole.demux(video=0) if packet.size):
            ticks = round(moved(number) / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            packet.stream = stream
            container.mux(packet)
    return path


PLAIN = {"bf": "0", "crf": "20"}


def test_a_clock_far_ahead_is_closed_up_in_a_transport_stream_and_a_slide_stays_in_mp4(make_clip, pictures, tmp_path):
    source = make_clip("a.ts", pictures, options=PLAIN)
    times = times_of(remuxed(source, tmp_path / "far.ts", lambda number: 1000 if number >= 10 else 0))
    assert times == even(20, times[0])
    for name in ("slide.mp4", "slide.mkv"):
        times = times_of(remuxed(source, tmp_path / name, lambda number: 20 if number >= 10 else 0))
        assert np.diff(times) == pytest.approx([0.04] * 9 + [20.04] + [0.04] * 9, abs=2e-3)
    times = times_of(remuxed(source, tmp_path / "pause.ts", lambda number: 5 if number >= 10 else 0))
    assert np.diff(times)[9] == pytest.approx(5.04, abs=1e-3)


def test_a_wrapped_clock(make_clip, pictures, tmp_path):
    wrap = 2**33 / 90000
    path = remuxed(make_clip("a.ts", pictures, options=PLAIN), tmp_path / "wrap.ts", lambda _: wrap - 0.4 - 1.4)
    times = times_of(path)
    assert np.diff(times) == pytest.approx([0.04] * 19, abs=1e-3)
    for name in ("b.mp4", "b.mkv"):
        run(str(path), str(tmp_path / name), lambda frame: frame, on_cut=lambda: None)
        assert times_of(tmp_path / name) == even(20), "players show nothing of what is before 0"


def test_the_length_of_the_pictures_is_not_that_of_subtitles(tmp_path):
    with open_video(Film(tmp_path / "a.mkv").text("srt", ((0.2, 4e6, "to the end"),)).save()) as reader:
        assert reader.info.frames == 36


def test_frame_rates_that_vary_are_kept(make_clip, pictures):
    pts = [0, 40, 90, 100, 180, 300, 333, 1000, 6000, 26000]
    path = make_clip("a.mkv", pictures[:10], pts=pts, time_base=Fraction(1, 1000))
    assert times_of(path) == pytest.approx([t / 1000 for t in pts])


HEVC = {"x265-params": "log-level=none"}


@pytest.mark.parametrize(
    ("pts", "rate", "codec", "options"),
    [
        (range(0, 20_000, 1000), 1, "libx264", {"crf": "20"}),
        (range(0, 10_000, 500), 2, "libx264", {"crf": "20"}),
        (range(0, 4000, 200), 5, "libx264", {"crf": "20"}),
        (range(0, 5000, 250), 4, "libx265", HEVC),
        ([*range(0, 10_000, 1000), *range(9040, 9440, 40)], 25, "libx264", {"crf": "20"}),
    ],
)
def test_long_steps_of_reordered_pictures_are_no_jump(make_clip, pictures, pts, rate, codec, options):
    """FFmpeg gives the first packets of such a Matroska no decoding times."""
    path = make_clip(
        "a.mkv", pictures, pts=list(pts), time_base=Fraction(1, 1000), rate=rate, codec=codec, options=options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert times_of(path) == [time / 1000 for time in pts]


def test_further_pictures_that_are_reordered_keep_their_times(tmp_path):
    source = Film(tmp_path / "a.mkv").second_video().save()
    for name in ("b.mkv", "b.mp4"):
        run(source, str(tmp_path / name), lambda frame: frame, on_cut=lambda: None)
        with av.open(str(tmp_path / name)) as container:
            again = [float(frame.pts * frame.time_base) for frame in container.decode(video=1)]
        assert np.diff(again) == pytest.approx([0.04] * 35, abs=1.1e-3)


UNEVEN = [*range(0, 400, 40), *range(1360, 6360, 1000)]
HALTING = [*range(0, 10_000, 1000), *range(9040, 9440, 40)]
SLIDES = [*range(0, 400, 40), 5000, 10_000, 15_000]


def copied(source, path, **options):
    """What was said while a clip was copied."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(source, str(path), lambda frame: frame, RunOptions(**options), on_cut=lambda: None)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("pts", [UNEVEN, HALTING, SLIDES])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("b.mp4", None), ("b.mov", "libx265"), ("b.mkv", None), ("b.mp4", "mpeg4"), ("b.avi", None)],
)
def test_times_that_vary_are_kept_to_the_end(make_clip, pictures, tmp_path, pts, name, codec):
    """Encoders reorder pictures; headers of MP4 and MOV tell the sum of the steps between decoding times."""
    source = make_clip("a.mp4", pictures[: len(pts)], pts=pts, time_base=Fraction(1, 1000), options={"bf": "0"})
    assert copied(source, tmp_path / name, codec=codec) == []
    assert times_of(tmp_path / name) == pytest.approx([time / 1000 for time in pts], abs=1e-3)
    with av.open(str(tmp_path / name)) as container:
        assert container.duration / 1e6 == pytest.approx(pts[-1] / 1000 + 0.04, abs=0.011)


@pytest.mark.parametrize(("name", "holder"), [("b.avi", ".avi"), ("-", "y4m")])
def test_times_that_can_not_be_kept_are_told(make_clip, pictures, tmp_path, name, holder):
    pts = [0, 7, 55, 313, 1201, 1400]
    source = make_clip("a.mkv", pictures[:6], pts=pts, time_base=Fraction(1, 1000))
    sink = name if name == "-" else tmp_path / name
    (told,) = copied(source, sink)
    assert "left out: the times of its frames, moved by up to" in told
    assert f"s: {holder} has a constant rate, here 25 frames per second" in told
    assert [text.partition("up to")[0] for text in probe(source, str(sink)).warnings] == [told.partition("up to")[0]]


def animated(path):
    """Four pictures, of which the last stands for three seconds."""
    shades = [Image.fromarray(np.full((32, 32, 3), 60 * number, np.uint8)) for number in range(4)]
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=[100, 100, 100, 3000], lossless=True)
    return str(path)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".mov", ".avi"])
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_a_last_picture_stands_as_long_as_in_the_source(tmp_path, name, suffix):
    result = tmp_path / f"b{suffix}"
    copied(animated(tmp_path / name), result)
    assert times_of(result) == even(4, step=0.1)
    with av.open(str(result)) as container:
        assert container.duration / 1e6 == pytest.approx(3.3, abs=2e-3)
    copied(str(result), tmp_path / "c.mp4")
    with av.open(str(tmp_path / "c.mp4")) as container:
        expected = 0.4 if suffix == ".avi" else 3.3  # no place in an AVI tells that
        assert container.duration / 1e6 == pytest.approx(expected, abs=2e-3)


def test_a_last_picture_ends_with_the_part_that_is_taken(tmp_path):
    source = animated(tmp_path / "a.webp")
    copied(source, tmp_path / "b.mkv", duration=2.0)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.duration / 1e6 == pytest.approx(2.0, abs=2e-3)
    (told,) = [text for text in probe(source, "-").warnings if "left out" in text]
    assert "that its last frame stands for 3 s: y4m has a constant rate" in told


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_last_picture_ends_with_itself_where_the_clock_jumped(make_clip, pictures, tmp_path, suffix):
    pts = [40 * number + (number > 9) * 40 * 3_600_000 for number in range(20)]
    source = make_clip("a.mkv", pictures[:10] * 2, pts=pts, time_base=Fraction(1, 1000), options=PLAIN)
    result = tmp_path / f"b{suffix}"
    copied(source, result)
    assert times_of(result) == even(20)
    with av.open(str(result)) as container:
        assert container.duration / 1e6 == pytest.approx(0.8, abs=2e-3)


@pytest.mark.parametrize(("start", "duration", "count"), [(0.5, 0.5, 12), (0.02, 0.3, 7)])
def test_a_part_of_constant_rate_keeps_it(make_clip, pictures, tmp_path, start, duration, count):
    source = make_clip("a.mp4", pictures[:20] + pictures[:20], options=PLAIN)
    for suffix in (".mp4", ".avi", ".mkv"):
        copied(source, tmp_path / f"b{suffix}", start=start, duration=duration)
        with av.open(str(tmp_path / f"b{suffix}")) as container:
            assert container.streams.video[0].average_rate == 25
            assert container.duration / 1e6 == pytest.approx(count * 0.04, abs=2e-3)


def test_of_a_damaged_animation_what_can_be_decoded_is_kept(tmp_path):
    path = Path(animated(tmp_path / "a.png"))
    whole = path.read_bytes()
    middle = whole.index(b"fdAT", whole.index(b"fdAT") + 4) - 20
    path.write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    with pytest.raises(VideoError, match=r"frames? before it are in"):
        run(str(path), str(tmp_path / "b.mkv"), lambda frame: frame, RunOptions(cuts="off"), on_cut=lambda: None)
    assert 1 <= len(times_of(tmp_path / "b.mkv")) < 4


def test_a_last_picture_may_stand_long(make_clip, pictures):
    path = make_clip("a.mkv", pictures[:10], rate=1, time_base=Fraction(1), options={"bf": "0"})
    assert times_of(path) == list(range(10))
    with open_video(path) as reader:
        assert reader.info.frames == 10


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.h264", "libx264", {}),
        ("a.h264", "libx264", {"bf": "0"}),
        ("a.hevc", "libx265", HEVC),
        ("a.m2v", "mpeg2video", {"bf": "2"}),
        ("a.mjpeg", "mjpeg", {}),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.avi", "libx264", {}),
        ("b.avi", "ffv1", {}),
    ],
)
def test_files_without_times_begin_at_zero(make_clip, pictures, name, codec, options):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_clip(name, pictures, codec=codec, pix_fmt=pix_fmt, options=options)
    assert times_of(path) == even(20)
    assert times_of(path, start=0.4, duration=0.2) == even(5, 0.4)


def test_the_origin_is_the_first_frame_of_the_source(make_clip, pictures, tmp_path):
    path = remuxed(make_clip("a.mkv", pictures, options=PLAIN), tmp_path / "late.mkv", lambda _: 3)
    for start in (None, 0.4):
        with open_video(str(path), start=start) as reader:
            assert reader.info.origin == 3
            assert next(iter(reader)).time == pytest.approx(3 + (start or 0))


@pytest.mark.parametrize("name", ["a.dv", "a.avi", "a.mov"])
def test_rate_and_number_of_frames_of_camcorders(make_clip, name):
    """DV states 1/60000 s as the time of a frame."""
    rate = Fraction(30000, 1001)
    pictures = [np.full((480, 720, 3), 20 * number, np.uint8) for number in range(5)]
    path = make_clip(name, pictures, codec="dvvideo", pix_fmt="yuv411p", rate=rate, time_base=1 / rate, options={})
    with open_video(path) as reader:
        assert (reader.info.rate, reader.info.frames) == (rate, 5)
        assert [float(frame.time) for frame in reader] == even(5, step=float(1 / rate))


def test_frames_that_are_repeated_in_an_avi_are_not_counted(make_clip, pictures):
    path = make_clip("a.avi", pictures[:5], codec="mjpeg", pix_fmt="yuvj420p", pts=[0, 1, 2, 10, 30], options={})
    with open_video(path) as reader:
        assert reader.info.frames == 5
        assert [round(frame.time * 25) for frame in reader] == [0, 1, 2, 10, 30]


@pytest.mark.parametrize(("name", "codec", "sound"), [("a.ts", "libx264", "aac"), ("a.vob", "mpeg2video", "ac3")])
def test_sound_goes_on_with_the_pictures_where_recordings_join(tmp_path, name, codec, sound):
    path = Path(Film(tmp_path / name, codec=codec).sound(sound).save())
    alone, _ = seconds_of_sound(path)
    path.write_bytes(path.read_bytes() * 3)
    run(str(path), str(tmp_path / "b.mkv"), lambda frame: frame, on_cut=lambda: None)
    times = times_of(tmp_path / "b.mkv")
    assert times == even(108, times[0])
    with av.open(str(tmp_path / "b.mkv")) as container:
        stream = container.streams.audio[0]
        heard = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size]
    assert np.diff(heard).min() > -0.001
    assert np.diff(heard).max() < 0.04
    assert heard[-1] - heard[0] == pytest.approx(3 * alone, abs=0.1)
    assert heard[0] == pytest.approx(times[0], abs=0.1)
