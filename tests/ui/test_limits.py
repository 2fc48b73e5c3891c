"""What files of strangers the page takes, and what it calls them."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from holdsteady.errors import VideoError
from holdsteady.ui.limits import Limits, safe_name
from holdsteady.ui.look import look_at

LIMITS = Limits(megabytes=1, seconds=2)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def movie(path: Path, width: int, height: int, rate: int = 25, codec: str = "mpeg4") -> Path:
    """Two frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(2):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(np.full(plane.buffer_size, 90, np.uint8).tobytes())
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


PLAYLISTS = {
    "ffconcat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "hls": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "dash": b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "subtitles": b"1\n00:00:00,000 --> 00:00:10,000\nhello\n",
    "text": b"this is no video",
    "html": b"<html><script>alert(1)</script></html>",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_what_is_no_video_is_refused_by_its_first_bytes(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x", PLAYLISTS[kind])
    with pytest.raises(VideoError, match=r"clip\.mp4: is no video file that this page takes; it takes MP4, MOV"):
        LIMITS.check_file(path, "clip.mp4")


def test_empty_and_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"clip\.mp4: the file is empty \(0 bytes\)"):
        LIMITS.check_file(written(tmp_path / "x", b""), "clip.mp4")
    with pytest.raises(VideoError, match=r"2 MB; this page takes up to 1 MB.*--max-mb"):
        LIMITS.check_file(written(tmp_path / "x", bytes(2_000_000)), "clip.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi"])
def test_videos_are_taken(suffix: str, tmp_path: Path) -> None:
    path = movie(tmp_path / f"clip.{suffix}", 64, 48)
    LIMITS.check_file(path, path.name)


def test_a_look_tells_the_facts(carphone: str) -> None:
    clip = look_at(Path(carphone), "my clip.mp4")
    assert (clip.name, clip.width, clip.height) == ("my clip.mp4", 176, 144)
    assert clip.rate == pytest.approx(29.97, abs=0.01)
    assert clip.seconds == pytest.approx(20 / 29.97, abs=0.05)
    assert clip.poster.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("size", "rate", "said"),
    [((3904, 2192), 25, "3904×2192 pixels; this page takes up to 3840×2160"), ((64, 48), 500, "500 frames per second")],
)
def test_a_look_refuses_what_takes_too_much(size: tuple[int, int], rate: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=f"^clip: {said}"):
        look_at(movie(tmp_path / "x.mp4", *size, rate=rate), "clip")


def test_a_look_speaks_of_damage_by_the_name_that_the_user_knows(tmp_path: Path, carphone: str) -> None:
    path = written(tmp_path / "secret", Path(carphone).read_bytes()[:3000])
    with pytest.raises(VideoError) as error:
        look_at(path, "holiday.mp4")
    assert "holiday.mp4" in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_playlist_behind_the_signature_of_a_video_is_no_video(tmp_path: Path) -> None:
    shutil.copy("/etc/hostname", tmp_path / "other.mp4")
    path = written(tmp_path / "x", b"\x00\x00\x00\x10ftyp\nffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(VideoError, match=r"^clip\.mp4: "):
        look_at(path, "clip.mp4")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a b.mov", "a b.mov"),
        ("--model=x.mp4", "model=x.mp4"),
        ("a\x00\n\u202eb.mp4", "ab.mp4"),
        ("", "video"),
        ("..", "video"),
        ("x" * 300 + ".mp4", "x" * 72 + ".mp4"),
        ("naïve 映画.mkv", "naïve 映画.mkv"),
    ],
)
def test_names(given: str, kept: str) -> None:
    assert safe_name(given) == kept
