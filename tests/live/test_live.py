"""Live runs: the newest frame only, nothing queued, and whatever was shown is kept."""

import socket
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from cli.helpers import Picture, frames_of, texture, times_of, write_clip
from hypothesis import given
from hypothesis import strategies as st

from holdsteady.errors import ConfigError, VideoError
from holdsteady.live.latest import Latest, until_next
from holdsteady.live.run import Strength, run
from holdsteady.live.sinks import open_sink
from holdsteady.live.stats import Stats
from holdsteady.video import RunOptions, VideoFrame, open_video
from holdsteady.video.arrays import Arrays

RATE = 25


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 frames at 25 per second; the first pixels tell which."""
    pictures = texture(40, 32, 48)
    for number, picture in enumerate(pictures):
        picture[:8, :8] = 6 * number
    return write_clip(tmp_path_factory.mktemp("live") / "clip.mkv", pictures, codec="ffv1", pix_fmt="bgr0", options={})


def live(clip: str, sink: str, step: object, **settings: object) -> Stats:
    return run(
        clip,
        sink,
        step,  # type: ignore[arg-type]
        Arrays(),
        RunOptions(cuts="off"),
        on_cut=lambda: None,
        strength=Strength(1.0, None),
        **settings,  # type: ignore[arg-type]
    )


def number_of(picture: Picture) -> int:
    return round(float(picture[:8, :8].mean()) / 6)


def test_a_slow_model_gets_the_newest_frames_and_delay_does_not_grow(clip: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    late: list[float] = []

    def slow(frame: np.ndarray) -> np.ndarray:
        number = number_of(frame[0].transpose(1, 2, 0) * 255)
        late.append(time.monotonic() - begun - number / RATE)
        time.sleep(0.12)  # three frames
        return frame

    stats = live(clip, str(tmp_path / "out.mkv"), slow)
    numbers = [number_of(picture) for picture in frames_of(tmp_path / "out.mkv")]
    assert numbers == sorted(set(numbers)), "in order, and none twice"
    assert stats.frames == len(numbers) < 25
    assert stats.frames + stats.dropped == 40
    # A queue would be a second late by the end: each frame shown leaves two behind.
    assert late[-1] - late[0] < 0.5


def test_a_fast_model_gets_every_frame_at_its_time(clip: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    stats = live(clip, str(tmp_path / "out.mkv"), lambda frame: frame)
    assert time.monotonic() - begun > 39 / RATE, "a file is played at its own rate"
    assert stats.frames + stats.dropped == 40 and stats.frames > 20
    times = times_of(tmp_path / "out.mkv")
    assert all(time * RATE == round(time * RATE) for time in times[1:]), "frames keep their own times"


def test_what_was_shown_until_it_was_stopped_can_be_played(clip: str, tmp_path: Path) -> None:
    stop = threading.Event()

    def end(stats: Stats) -> None:
        if stats.frames == 5:
            stop.set()

    stats = live(clip, str(tmp_path / "out.mp4"), lambda frame: frame, status=end, stop=stop)
    assert stats.frames == 5 == len(frames_of(tmp_path / "out.mp4"))


def test_a_model_that_fails_leaves_no_file(clip: str, tmp_path: Path) -> None:
    def fails(_frame: np.ndarray) -> np.ndarray:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        live(clip, str(tmp_path / "out.mp4"), fails)
    assert list(tmp_path.iterdir()) == []


class Broken:
    """A source that breaks after two frames."""

    skipped = concealed = 0

    def __init__(self, clip: str) -> None:
        with open_video(clip) as reader:
            self.info = reader.info
            self._frames = [frame for _, frame in zip(range(2), reader, strict=False)]

    def __enter__(self) -> "Broken":
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield from self._frames
        raise VideoError("the camera is gone")


def test_a_source_that_breaks_is_said_after_its_last_frame(clip: str) -> None:
    taken = []
    with Latest(Broken(clip), threading.Event(), paced=False) as latest, pytest.raises(VideoError, match="gone"):
        for grabbed in latest:
            taken.append(grabbed)
    assert taken


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_frame_that_is_about_to_be_replaced_is_not_begun(age: float, interval: float) -> None:
    wait = until_next(age, interval)
    remaining = interval - age
    assert (wait > 0) == (0 < remaining < min(0.5 * interval, 0.05))
    assert wait == 0 or remaining < wait <= 0.075


def test_strength_follows_keys() -> None:
    seen: list[float] = []
    knob = Strength(0.8, seen.append)
    for key in ("+", "+", "+", "-", "0", "0", "x", ""):
        knob.press(key)
    assert seen == [0.9, 1.0, 1.0, 0.9, 0.0, 0.9]
    Strength(1.0, None).press("-")


def test_windows_need_an_opencv_that_has_them(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def headless(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    # As headless OpenCV does, which is what the extra brings; one with windows would show one here.
    monkeypatch.setattr(cv2, "namedWindow", headless)
    with pytest.raises(VideoError, match=r"--sink window: .*pip install opencv-python"):
        live(clip, "window", lambda frame: frame)


def test_a_virtual_camera_has_to_be_one(clip: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match=r"v4l2:.*is no device that takes pictures; give the one of v4l2loopback"):
        live(clip, f"v4l2:{tmp_path / 'file'}", lambda frame: frame)
    with pytest.raises(VideoError, match=r"No such file.*sudo modprobe v4l2loopback"):
        live(clip, f"v4l2:{tmp_path / 'none'}", lambda frame: frame)


def test_a_url_gets_an_encoded_stream(clip: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, open_video(clip) as reader:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = open_sink(f"udp://127.0.0.1:{receiver.getsockname()[1]}", reader.info, RunOptions(), None)
        with sink:
            for picture in texture(5, 33, 48):
                sink.show(picture, VideoFrame(picture, None, Fraction(1, 1000)))
        assert receiver.recv(4096)[0] == 0x47, "packets of an MPEG transport stream"


def test_an_unknown_url_is_refused(clip: str) -> None:
    with pytest.raises(ConfigError, match="live pictures go to udp://"):
        live(clip, "gopher://x", lambda frame: frame)


def test_transparency_that_is_left_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("qtrle", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "argb"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 4), 40 * number, np.uint8), format="argb")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.warns(UserWarning, match="transparency is left out"):
        live(str(path), str(tmp_path / "out.mkv"), lambda frame: frame)


def test_listed_cuts_are_those_of_the_source_also_where_frames_are_dropped(clip: str, tmp_path: Path) -> None:
    """A slow model sees every third frame or so; a shot that begins between two begins at the second."""
    (tmp_path / "cuts.txt").write_text("17\n31\n99\n")
    seen: list[int | str] = []

    def slow(frame: np.ndarray) -> np.ndarray:
        seen.append(number_of(frame[0].transpose(1, 2, 0) * 255))
        time.sleep(0.1)
        return frame

    with pytest.warns(UserWarning, match=r"cuts\.txt: no frame has the number 99: there are 40"):
        run(
            clip,
            str(tmp_path / "out.mkv"),
            slow,
            Arrays(),
            RunOptions(cuts=str(tmp_path / "cuts.txt")),
            on_cut=lambda: seen.append("cut"),
            strength=Strength(1.0, None),
        )
    numbers = [one for one in seen if one != "cut"]
    for cut, at in zip((17, 31), [place for place, one in enumerate(seen) if one == "cut"], strict=True):
        assert seen[at + 1] == next(number for number in numbers if isinstance(number, int) and number >= cut)


def test_a_source_that_breaks_leaves_what_was_shown_and_says_so(tmp_path: Path) -> None:
    parts = [write_clip(tmp_path / f"{side}.ts", texture(20, side, 64)) for side in (32, 48)]
    (tmp_path / "both.ts").write_bytes(b"".join(Path(part).read_bytes() for part in parts))
    sink = tmp_path / "out.mkv"
    with pytest.raises(VideoError, match=rf"size changes.*; the (\d+ frames|frame) shown before it (are|is) in {sink}"):
        live(str(tmp_path / "both.ts"), str(sink), lambda frame: frame)
    assert 1 <= len(frames_of(sink)) <= 20


def test_a_protocol_that_ffmpeg_does_not_have_is_called_so(clip: str) -> None:
    with pytest.raises(VideoError, match=r"this FFmpeg can't send to UDP://; take another of udp"):
        live(clip, "UDP://127.0.0.1:9", lambda frame: frame)
