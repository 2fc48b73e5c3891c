"""Damaged files: what can be decoded is, what can't be is counted and told."""

import re
import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from holdsteady.errors import VideoError
from holdsteady.video import decoder, open_video

CLIPS = Path(__file__).parent.parent / "clips"


def read(source, **options):
    """Times, pixels and the reader's two counts."""
    with warnings.catch_warnings(record=True) as caught, open_video(str(source), **options) as reader:
        warnings.simplefilter("always")
        frames = list(reader)
    return frames, (reader.skipped, reader.concealed), [str(warning.message) for warning in caught]


def damage(path, numbers, keep=16):
    """Zero packets of a video but for their first bytes."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(Path(path).read_bytes())
    for number in numbers:
        position, size = packets[number]
        data[position + keep : position + size] = bytes(size - keep)
    damaged = Path(path).with_stem("damaged")
    damaged.write_bytes(data)
    return damaged


CODECS = {
    "h264.mkv": {"codec": "libx264"},
    "hevc.mkv": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "color_range": 2, "options": {}},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "options": {}},
}


@pytest.mark.parametrize("threads", [1, 16])
@pytest.mark.parametrize("numbers", [[10], [17], [19], [13, 15]])
@pytest.mark.parametrize("name", CODECS)
def test_one_damaged_packet_costs_one_frame(make_clip, pictures, monkeypatch, name, numbers, threads):
    """As from ffmpeg, however many threads decode, and wherever in the file."""
    opened = decoder.Decoder._open

    def open_with_threads(self, *, careful):
        opened(self, careful=careful)
        self._context.thread_count = threads

    monkeypatch.setattr(decoder.Decoder, "_open", open_with_threads)
    path = damage(make_clip(name, pictures, **CODECS[name]), numbers)
    frames, (skipped, _), told = read(path)
    assert len(frames) == len(pictures) - len(numbers)
    assert skipped == len(told) == len(numbers)
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    gone = set(range(20)) - {round(time * 25) for time in times}
    assert len(gone) == len(numbers)
    assert {float(re.search(r"a damaged packet at (\S+) s is skipped", text)[1]) for text in told} == {
        number / 25 for number in gone
    }


def test_a_lost_keyframe_is_concealed(make_clip, pictures):
    path = damage(make_clip("a.mkv", pictures), [0])
    frames, (skipped, concealed), _ = read(path)
    assert (len(frames), skipped) == (19, 1)
    assert concealed > 15


def test_a_lost_keyframe_of_hevc_is_told(make_clip, pictures):
    """Its decoder passes over it without an error."""
    path = damage(make_clip("a.mkv", pictures, **CODECS["hevc.mkv"]), [0], keep=5)
    frames, (skipped, _), told = read(path)
    assert (len(frames), skipped, len(told)) == (19, 1, 1)
    assert "a damaged packet at 0.00 s is skipped" in told[0]


def test_the_corrupted_file_of_decord():
    frames, counts, told = read(CLIPS / "corrupted.mp4")
    assert (len(frames), counts) == (49, (1, 0))
    assert len(told) == 1
    assert "a damaged packet at 3.00 s is skipped" in told[0]


def test_an_index_out_of_order():
    frames, counts, _ = read(CLIPS / "unordered.mov")
    assert (len(frames), counts) == (4, (0, 0))
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)


def test_a_turned_file_of_decord():
    with open_video(str(CLIPS / "video_90.mov")) as reader:
        assert (reader.info.rotation, reader.info.mirrored, len(list(reader))) == (270, False, 3)


def test_only_the_first_of_many_are_told_one_by_one(make_clip, pictures):
    path = damage(make_clip("a.mkv", pictures, **CODECS["mjpeg.mkv"]), range(5, 15))
    frames, (skipped, _), told = read(path)
    assert (len(frames), skipped, len(told)) == (10, 10, 3)
    assert "further ones are only counted" in told[-1]
    assert [round(frame.time * 25) for frame in frames] == [*range(5), *range(15, 20)]


def test_many_damaged_packets_in_a_row_end_it(make_clip, pictures, monkeypatch):
    monkeypatch.setattr(decoder, "PATIENCE", 8)
    path = damage(make_clip("a.mkv", pictures, **CODECS["mjpeg.mkv"]), range(5, 20))
    count = 0
    with (
        warnings.catch_warnings(),
        open_video(str(path)) as reader,
        pytest.raises(VideoError, match=r"8 packets in a row can't be decoded, the last at 0\.48 s"),
    ):
        warnings.simplefilter("ignore")
        for _ in reader:
            count += 1
    assert count == 5


def test_damage_after_a_seek(make_clip, pictures):
    path = damage(make_clip("a.mkv", pictures * 4, options={"g": "10", "crf": "20"}), [65])
    frames, (skipped, _), _ = read(path, start=2.0, duration=1.0)
    whole, _, _ = read(path)
    expected = [frame for frame in whole if 2.0 <= frame.time < 3.0]
    assert skipped == 1
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    for got, wanted in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(got.pixels, wanted.pixels)


def test_a_recording_that_begins_between_keyframes(make_clip, pictures, tmp_path):
    """A cut transport stream: what the decoder can show of the pictures before the first keyframe is shown."""
    source = make_clip("a.ts", pictures * 2, options={"g": "20", "bf": "0", "crf": "20"})
    path = tmp_path / "cut.ts"
    with av.open(source) as whole, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for packet in [packet for packet in whole.demux(video=0) if packet.size][8:]:
            packet.stream = stream
            container.mux(packet)
    frames, _, _ = read(path)
    assert len(frames) >= 28  # the second keyframe and all after it, and what there is before
    assert np.abs(frames[-1].pixels.astype(int) - pictures[-1]).mean() < 6
