"""Timecodes of a part of a recording."""

from fractions import Fraction

import av
import pytest
from video.media import Film

from holdsteady.video import RunOptions, run
from holdsteady.video.timecode import later

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("before", "frames", "rate", "after"),
    [
        ("01:02:03:04", 0, 25, "01:02:03:04"),
        ("01:02:03:24", 1, 25, "01:02:04:00"),
        ("23:59:59:24", 1, 25, "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("unknown", 5, 25, "unknown"),
    ],
)
def test_later_timecodes(before, frames, rate, after):
    assert later(before, frames, Fraction(rate)) == after


def test_every_frame_of_ten_minutes_has_a_number_of_its_own():
    code, seen = "00:00:00;00", set()
    for _ in range(18_000):
        seen.add(code)
        code = later(code, 1, NTSC)
    assert len(seen) == 18_000
    assert code == later("00:00:00;00", 18_000, NTSC) == "00:10:00;18"
    assert not {text for text in seen if text[6:] in ("00;00", "00;01") and int(text[3:5]) % 10}


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_a_part_has_the_timecode_of_its_first_frame(tmp_path, suffix):
    source = Film(tmp_path / "a.mov").tags(timecode="01:02:03:04").save()
    sink = str(tmp_path / f"b.{suffix}")
    run(source, sink, lambda frame: frame, RunOptions(start=0.9, cuts="off"), on_cut=lambda: None)
    with av.open(sink) as container:
        assert "01:02:04:02" in {**container.streams.video[0].metadata, **container.metadata}.values()
