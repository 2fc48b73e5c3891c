"""What is carried beside the pictures: nothing of it may cost them, and what is not kept is said."""

import warnings
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from video.media import FONT, LINES, Film, jpeg, packets, seconds_of_sound, streams, texts

from holdsteady.video import RunOptions, open_video, run
from holdsteady.video.plan import Fate, StreamPlan
from holdsteady.video.probe import probe
from holdsteady.video.span import Span
from holdsteady.video.tracks import open_track


def ident(source, sink, **options):
    """A run of the identity; gives its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(str(source), str(sink), lambda frame: frame, RunOptions(cuts="off", **options), on_cut=lambda: None)
    return [str(item.message) for item in caught]


def count(path):
    with open_video(str(path)) as reader:
        return sum(1 for _ in reader)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    assert [item for item in tmp_path.rglob("*") if ".part-" in item.name] == []


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
def test_sound_without_named_layout_is_copied(tmp_path, codec, layout):
    source = Film(tmp_path / "a.mkv").sound(codec, layout).save()
    for suffix in ("mp4", "mov", "mkv"):
        assert ident(source, tmp_path / f"b.{suffix}") == []
        assert count(tmp_path / f"b.{suffix}") == 36
        assert packets(tmp_path / f"b.{suffix}", 1)[0][1][:60] == packets(source, 1)[0][1][:60]
    if layout != "mono":  # which MP4 does not name
        with av.open(str(tmp_path / "b.mp4")) as container:
            assert container.streams.audio[0].codec_context.layout.name == layout


@pytest.mark.parametrize(
    ("inside", "sound", "sink", "becomes"),
    [
        ("a.avi", "adpcm_ima_wav", "b.mkv", "aac"),
        ("a.avi", "wmav2", "b.mp4", "aac"),
        ("a.avi", "libmp3lame", "b.webm", "opus"),
        ("a.mov", "alac", "b.avi", "pcm_s16le"),
        ("a.mkv", "libopus", "b.avi", "mp3float"),
        ("a.mov", "pcm_s16be", "b.mkv", "pcm_s16be"),
        ("a.mov", "pcm_mulaw", "b.mp4", "aac"),
        ("a.mov", "alac", "b.webm", "opus"),
        ("a.mp4", "aac", "b.webm", "opus"),
    ],
)
def test_sound_that_the_container_can_not_hold_is_converted(tmp_path, inside, sound, sink, becomes):
    video = {"codec": "mpeg4"} if inside.endswith("avi") else {}
    source = Film(tmp_path / inside, **video).sound(sound, seconds=1.4).save()
    said = ident(source, tmp_path / sink)
    assert count(tmp_path / sink) == 36
    assert streams(tmp_path / sink)[1:] == [("audio", becomes)]
    assert [line for line in said if "left out" in line] == []
    length, loudness = seconds_of_sound(tmp_path / sink)
    assert length == pytest.approx(seconds_of_sound(source)[0], abs=0.06)
    assert loudness == pytest.approx(seconds_of_sound(source)[1], rel=0.05)
    if becomes != sound:
        assert len(said) == 1
        assert f"converted: audio stream 1 ({streams(source)[1][1]}) to " in said[0]


@pytest.mark.parametrize(
    ("inside", "kind", "sink", "becomes"),
    [
        ("a.mkv", "srt", "b.mp4", "mov_text"),
        ("a.mkv", "ass", "b.mov", "mov_text"),
        ("a.mkv", "webvtt", "b.m4v", "mov_text"),
        ("a.mp4", "mov_text", "b.mkv", "srt"),
        ("a.mp4", "mov_text", "b.webm", "webvtt"),
        ("a.mkv", "ass", "b.webm", "webvtt"),
        ("a.mkv", "ass", "b.mkv", "ssa"),
    ],
)
def test_subtitles_of_text_are_turned_into_those_of_the_container(tmp_path, inside, kind, sink, becomes):
    source = Film(tmp_path / inside).text(kind, language="ger").save()
    said = ident(source, tmp_path / sink)
    assert streams(tmp_path / sink)[1:] == [("subtitle", becomes)]
    plain = [(begin, end - begin, words.replace(r"{\i1}", "").replace(r"{\i0}", "")) for begin, end, words in LINES]
    found = [(begin, length, clean(words)) for begin, length, words in texts(tmp_path / sink)]
    for (begin, length, words), (at, lasts, shown) in zip(plain, found, strict=True):
        assert words == shown
        assert (at, lasts) == (pytest.approx(begin, abs=2e-3), pytest.approx(length, abs=4e-3))
    assert len(said) == (0 if kind == becomes or (sink == "b.mkv" and kind == "ass") else 1)
    with av.open(str(tmp_path / sink)) as container:
        assert container.streams.subtitles[0].metadata["language"] == "ger"


def clean(words):
    for tag in (r"{\i1}", r"{\i0}", r"{\r}"):
        words = words.replace(tag, "")
    return words


def test_subtitles_that_stand_at_the_same_time_keep_their_times(tmp_path):
    """MP4 can show one line at a time only."""
    lines = ((0.1, 0.8, "first"), (0.1, 0.9, "sign"), (0.3, 0.4, "inner"), (1.0, 1.2, "last"))
    source = Film(tmp_path / "a.mkv").text("ass", lines).save()
    ident(source, tmp_path / "b.mp4")
    found = [(round(begin, 2), round(length, 2), words) for begin, length, words in texts(tmp_path / "b.mp4")]
    assert found == [
        (0.1, 0.2, "first\nsign"),
        (0.3, 0.1, "first\nsign\ninner"),
        (0.4, 0.4, "first\nsign"),
        (0.8, 0.1, "sign"),
        (1.0, 0.2, "last"),
    ]


def test_a_pause_in_converted_sound_stays_a_pause(tmp_path):
    source = Film(tmp_path / "a.mkv").sound("flac", seconds=0.3, again=0.9).save()
    ident(source, tmp_path / "b.webm")
    length, loudness = seconds_of_sound(tmp_path / "b.webm")
    assert length == pytest.approx(1.2, abs=0.06)
    assert loudness == pytest.approx(seconds_of_sound(source)[1] / 2**0.5, rel=0.1)


@pytest.mark.parametrize("inside", ["a.mp4", "a.mkv"])
def test_sound_that_begins_before_zero_moves_no_picture_in_avi(tmp_path, inside):
    """AAC begins with what its encoder needed to get going."""
    source = Film(tmp_path / inside).sound("aac").save()
    run(source, str(tmp_path / "b.avi"), lambda frame: frame, on_cut=lambda: None)
    with av.open(str(tmp_path / "b.avi")) as container:
        pictures = container.streams.video[0]
        assert [entry.size > 0 for entry in pictures.index_entries] == [True] * 36
        assert [frame.pts * frame.time_base * 25 for frame in container.decode(pictures)] == list(range(36))
    (before, _), (after, _) = seconds_of_sound(source), seconds_of_sound(tmp_path / "b.avi")
    assert after == pytest.approx(before, abs=0.05)


def test_converted_sound_and_text_follow_start_and_duration(tmp_path):
    source = Film(tmp_path / "a.mkv").sound("flac").text("srt").save()
    for name in ("b.mp4", "b.mkv"):  # converted, copied
        ident(source, tmp_path / name, start=0.4, duration=0.6)
        stands = [(begin, length) for begin, length, _ in texts(tmp_path / name)]
        assert stands == [pytest.approx((0, 0.3), abs=3e-3), pytest.approx((0.5, 0.1), abs=3e-3)]
        assert texts(tmp_path / name)[1][2] == LINES[1][2]
    ident(source, tmp_path / "b.webm", start=0.4, duration=0.6)
    assert seconds_of_sound(tmp_path / "b.webm")[0] == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "layout", "sink", "becomes"),
    [
        ("flac", "7.1(wide)", "b.webm", "7.1"),
        ("ac3", "5.1(side)", "b.webm", "5.1"),
        ("flac", "2.1", "b.webm", "5.1"),
        ("flac", "4.0", "b.webm", "5.1"),
        ("libopus", "5.1", "b.avi", "stereo"),
        ("libopus", "7.1", "b.mov", "7.1"),
    ],
)
def test_converted_sound_gets_a_layout_that_the_encoder_takes(tmp_path, codec, layout, sink, becomes):
    source = Film(tmp_path / "a.mkv").sound(codec, layout).save()
    said = ident(source, tmp_path / sink)
    assert [line for line in said if "left out" in line] == []
    with av.open(str(tmp_path / sink)) as container:
        assert container.streams.audio[0].codec_context.layout.name == becomes
    assert seconds_of_sound(tmp_path / sink)[0] == pytest.approx(1.44, abs=0.06)


def test_converted_sound_goes_on_where_its_layout_changes(tmp_path):
    parts = [Film(tmp_path / f"{layout}.ts").sound("mp2", layout).save() for layout in ("stereo", "mono")]
    twice = tmp_path / "twice.ts"
    twice.write_bytes(b"".join(Path(part).read_bytes() for part in parts))
    (line,) = ident(twice, tmp_path / "b.webm")
    assert "converted" in line and "left out" not in line
    assert count(tmp_path / "b.webm") == 72
    assert seconds_of_sound(tmp_path / "b.webm")[0] == pytest.approx(2.88, abs=0.1)


@pytest.mark.parametrize(
    ("inside", "codec"),
    [
        *(("a.mkv", codec) for codec in ("truehd", "eac3", "ac3", "mp3", "dvd_subtitle", "hdmv_pgs_subtitle")),
        *(("a.ts", codec) for codec in ("truehd", "aac", "cook", "klv", "dvb_teletext")),
    ],
)
def test_a_broken_stream_never_costs_the_video(tmp_path, inside, codec):
    pieces = [(bytes([11, 119, 248, number]) * 40, 20 * number, 20 * number) for number in range(10)]
    rate = {} if codec in ("dvd_subtitle", "hdmv_pgs_subtitle", "klv", "dvb_teletext") else {"rate": 48000}
    source = Film(tmp_path / inside, frames=6).sound("libmp3lame", seconds=0.24).raw(codec, pieces, **rate).save()
    for suffix in ("mp4", "mkv", "mov", "webm", "avi"):
        said = ident(source, tmp_path / f"b.{suffix}")
        assert count(tmp_path / f"b.{suffix}") == 6
        kinds = streams(tmp_path / f"b.{suffix}")
        assert kinds[1][0] == "audio", "the other sound is kept"
        left_out = [line for line in said if "left out" in line and "stream 2" in line]
        assert len(left_out) == (0 if len(kinds) == 3 else 1)


def test_a_codec_that_nobody_knows(tmp_path):
    source = Path(Film(tmp_path / "a.mkv").sound("flac").save())
    source.write_bytes(source.read_bytes().replace(b"A_FLAC", b"A_FLIC"))
    for suffix in ("mp4", "mkv", "webm"):
        (line,) = ident(source, tmp_path / f"b.{suffix}")
        assert line.endswith("left out: audio stream 1 (of unknown kind): FFmpeg does not know its codec")
        assert count(tmp_path / f"b.{suffix}") == 36


def test_damage_in_mid_file_costs_that_packet_alone(tmp_path):
    """MP4 looks into packets of E-AC-3, and refuses this one long after the header."""
    source = Film(tmp_path / "a.mkv").sound("eac3").save()
    damage(source, 1, 20)
    said = ident(source, tmp_path / "b.mp4")
    assert count(tmp_path / "b.mp4") == 36
    (line,) = said
    assert "audio stream 1 (eac3) to aac" in line
    length, loudness = seconds_of_sound(tmp_path / "b.mp4")
    assert length == pytest.approx(1.44, abs=0.06)
    assert loudness > 0.1


def damage(path, index, number):
    """Overwrite a packet of a stream."""
    with av.open(path) as container:
        packet = [item for item in container.demux(container.streams[index]) if item.size][number]
        place, size = packet.pos, packet.size
    data = bytearray(Path(path).read_bytes())
    place = data.index(bytes(packet), place)
    data[place : place + size] = bytes(size)
    Path(path).write_bytes(data)


def test_times_that_muxers_refuse_are_mended(bunny, tmp_path):
    """Negative ones, and such that stand still or go back."""
    with av.open(bunny) as source, av.open(str(tmp_path / "b.mp4"), "w") as output:
        stream = source.streams.audio[0]
        plan = StreamPlan(stream.index, "audio", "aac", Fate.COPIED)
        track = open_track(plan, stream, output, Span(Fraction(0), None, None), ".mp4")
        times = [-2048, -1024, 0, 0, 1024, 512, None, 3072, 3072, 4096]
        for packet, time in zip(source.demux(stream), times, strict=False):
            packet.pts = packet.dts = time
            output.mux(list(track.packets(packet)))
    with av.open(str(tmp_path / "b.mp4")) as container:
        found = [packet.dts for packet in container.demux(audio=0) if packet.size]
    assert found == [-2048, -1024, 0, 1, 1024, 1025, 3072, 3073, 4096]


def test_chapters_are_kept_and_follow_start_and_duration(tmp_path):
    source = Film(tmp_path / "a.mkv").chapters((0, 500, "One"), (500, 900, "Two"), (900, 1440, "Three")).save()
    for suffix in ("mkv", "mp4", "mov", "webm"):
        assert ident(source, tmp_path / f"b.{suffix}") == []
        assert chapters(tmp_path / f"b.{suffix}") == [(0, 0.5, "One"), (0.5, 0.9, "Two"), (0.9, 1.44, "Three")]
        ident(source, tmp_path / f"c.{suffix}", start=0.6, duration=0.6)
        assert chapters(tmp_path / f"c.{suffix}") == [(0, 0.3, "Two"), (0.3, 0.6, "Three")]
    (line,) = ident(source, tmp_path / "b.avi")
    assert "left out: 3 chapters" in line
    assert ident(tmp_path / "b.mp4", tmp_path / "d.webm") == [], "MP4 has them as a stream too"
    assert len(chapters(tmp_path / "d.webm")) == 3


def chapters(path):
    with av.open(str(path)) as container:
        return [
            (
                pytest.approx(float(item["start"] * item["time_base"]), abs=1e-3),
                pytest.approx(float(item["end"] * item["time_base"]), abs=1e-3),
                item["metadata"]["title"],
            )
            for item in container.chapters()
        ]


def test_attachments_and_covers(tmp_path):
    film = Film(tmp_path / "a.mkv").attachment("font.ttf", "application/x-truetype-font", FONT)
    source = film.attachment("cover.jpg", "image/jpeg", jpeg()).save()
    assert ident(source, tmp_path / "b.mkv") == []
    with av.open(str(tmp_path / "b.mkv")) as container:
        (attachment,) = container.streams.attachments
        assert (attachment.name, attachment.mimetype, attachment.data) == (
            "font.ttf",
            "application/x-truetype-font",
            FONT,
        )
        cover = container.streams.video[1]
        assert cover.metadata["filename"] == "cover.jpg"
        assert bytes(next(container.demux(cover))) == jpeg()
    (line,) = ident(source, tmp_path / "b.mp4")
    assert "left out: attachment font.ttf" in line
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert bytes(next(container.demux(container.streams.video[1]))) == jpeg()
    (line,) = ident(source, tmp_path / "b.webm")
    assert "attachment font.ttf" in line and "cover stream 2 (mjpeg)" in line

    (line,) = ident(source, tmp_path / "b.avi")
    assert "cover stream 2 (mjpeg)" in line
    assert streams(tmp_path / "b.avi") == [("video", "mjpeg")]

    assert ident(tmp_path / "b.mp4", tmp_path / "c.mkv") == []
    with av.open(str(tmp_path / "c.mkv")) as container:
        cover = container.streams.video[1]
        assert (cover.metadata["mimetype"], bytes(next(container.demux(cover)))) == ("image/jpeg", jpeg())


def test_further_pictures_are_copied_where_they_fit(tmp_path, bunny):
    source = str(tmp_path / "a.mkv")
    with av.open(bunny) as film, av.open(source, "w") as output:
        copies = [output.add_stream_from_template(film.streams.video[0], framerate=25) for _ in range(2)]
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                times = packet.pts, packet.dts
                for copy in copies:
                    packet.stream, packet.time_base = copy, film.streams.video[0].time_base
                    packet.pts, packet.dts = times
                    output.mux(packet)
    for suffix in ("mkv", "mp4", "mov"):
        assert ident(source, tmp_path / f"b.{suffix}") == []
        assert [data for _, data in packets(tmp_path / f"b.{suffix}", 1)] == [data for _, data in packets(source, 1)]
    (line,) = ident(source, tmp_path / "b.webm", duration=0.2)
    assert "left out: video stream 1 (h264): " in line
    with av.open(source) as film:
        keys = [float(packet.pts * packet.time_base) for packet in film.demux(video=1) if packet.is_keyframe]
    ident(source, tmp_path / "c.mkv", start=0.2)
    with av.open(str(tmp_path / "c.mkv")) as film:
        kept = [packet for packet in film.demux(video=1) if packet.size]
    assert kept[0].is_keyframe, "what is before it can't be decoded"
    assert float(kept[0].pts * kept[0].time_base) == pytest.approx(keys[1] - keys[0] - 0.2, abs=0.05)


def test_a_timecode_is_kept(tmp_path):
    source = Film(tmp_path / "a.mov").tags(timecode="01:02:03:04").save()
    assert ("data", None) in [(kind, None) for kind, _ in streams(source)]
    for suffix in ("mov", "mp4", "mkv"):
        assert ident(source, tmp_path / f"b.{suffix}") == []
        with av.open(str(tmp_path / f"b.{suffix}")) as container:
            found = {**container.streams.video[0].metadata, **container.metadata}
            assert "01:02:03:04" in found.values()


def test_captions_in_the_pictures_are_said_to_be_lost(tmp_path):
    """As of American television: a message of H.264 before a slice."""
    path = Path(Film(tmp_path / "a.h264", frames=4).save())
    caption = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x20\xff"
    message = b"\0\0\0\1\x06\x04" + bytes([len(caption)]) + caption + b"\x80"
    path.write_bytes(path.read_bytes().replace(b"\0\0\1\x65", message + b"\0\0\1\x65", 1))
    for sink in ("b.mp4", "b.mkv", "b/"):
        (said,) = ident(path, f"{tmp_path}/{sink}")
        assert said.endswith(f"{sink}: left out: closed captions")
        assert probe(str(path), sink).warnings == [f"{sink}: left out: closed captions"]


@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_tags_of_phones_are_kept(tmp_path, suffix):
    tags = {
        "com.apple.quicktime.location.ISO6709": "+36.1-115.1/",
        "com.apple.quicktime.make": "Apple",
        "com.android.version": "14",
        "title": "Holiday",
    }
    source = Film(tmp_path / "a.mov", movflags="use_metadata_tags").tags(**tags).sound("aac").save()
    assert ident(source, tmp_path / f"b.{suffix}") == []
    with av.open(str(tmp_path / f"b.{suffix}")) as container:
        assert {key: container.metadata[key] for key in tags} == tags


def test_statistics_of_the_old_file_are_dropped(tmp_path):
    statistics = {"BPS": "123", "NUMBER_OF_FRAMES-eng": "999", "_STATISTICS_TAGS": "BPS", "DURATION-eng": "01:00:00"}
    film = Film(tmp_path / "a.mkv").sound("aac", title="Loud", **statistics)
    film.video.metadata.update({**statistics, "title": "Fast", "language": "deu"})
    assert ident(film.save(), tmp_path / "b.mkv") == []
    with av.open(str(tmp_path / "b.mkv")) as container:
        tags = [dict(stream.metadata) for stream in container.streams]
    assert [one["title"] for one in tags] == ["Fast", "Loud"]
    assert tags[0]["language"] == "deu"
    assert not any(key in one for one in tags for key in statistics)


@pytest.mark.parametrize("sound", [False, True])
def test_recordings_that_lie_one_after_the_other(tmp_path, sound):
    """The clock starts again at the join."""
    film = Film(tmp_path / "a.ts", frames=25)
    source = (film.sound("libmp3lame", seconds=1) if sound else film).save()
    twice = tmp_path / "twice.ts"
    twice.write_bytes(Path(source).read_bytes() * 2)
    assert ident(twice, tmp_path / "b.mp4") == []
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].frames == 50
        assert container.duration / av.time_base == pytest.approx(2.04, abs=0.06)
    if sound:
        times = [time for time, _ in packets(tmp_path / "b.mp4", 1)]
        assert max(b - a for a, b in pairwise(times)) < 0.06
        assert seconds_of_sound(tmp_path / "b.mp4")[0] == pytest.approx(2, abs=0.1)


def test_tags_that_are_no_utf8_stay_as_they_are(tmp_path):
    """As old cameras and programs write them."""
    source = Path(Film(tmp_path / "a.avi", codec="mpeg4").tags(title="Cafe in Koeln").save())
    source.write_bytes(source.read_bytes().replace(b"Cafe in Koeln", "Café in Köln!".encode("latin-1")))
    for name in ("b.avi", "b.mkv", "b.mp4", "b/", "b.webm"):
        assert ident(source, f"{tmp_path}/{name}") == []
    for name in ("b.avi", "b.mkv", "b.mp4", "b.webm"):
        with av.open(str(tmp_path / name), metadata_errors="surrogateescape") as container:
            assert container.metadata["title"].encode("utf-8", "surrogateescape") == "Café in Köln!".encode("latin-1")
    assert probe(str(source), "b.mp4").tags["title"] == "Caf\udce9 in K\udcf6ln!"
