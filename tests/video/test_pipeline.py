"""Running a model over a video."""

import _thread
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from holdsteady.errors import ConfigError, ModelError, VideoError
from holdsteady.video import RunOptions, open_video
from holdsteady.video import run as run_video
from holdsteady.video.channel import Channel, ChannelClosedError


def ignore():
    """For `on_cut` where the model has no memory."""


def run(source, sink, step, *, on_cut=ignore, progress=None, **options):
    """`holdsteady.video.run` with the options by name."""
    return run_video(str(source), str(sink), step, RunOptions(**options), on_cut=on_cut, progress=progress)


def read(source):
    with open_video(str(source)) as reader:
        return reader.info, [frame.pixels for frame in reader]


@pytest.fixture(autouse=True)
def ctrl_c():
    """As in a shell, also where the tests run in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def no_thread_and_no_part_is_left(tmp_path):
    before = threading.active_count()
    yield
    assert threading.active_count() == before
    assert [item for item in tmp_path.rglob("*") if ".part-" in item.name] == []


def test_every_frame_goes_through_the_model(carphone, tmp_path):
    seen = []

    def invert(frame):
        assert torch.is_inference_mode_enabled()
        assert threading.current_thread() is threading.main_thread()
        seen.append((frame.shape, frame.dtype, float(frame.min()), float(frame.max())))
        return 1 - frame

    calls = []
    summary = run(carphone, str(tmp_path / "b.mp4"), invert, on_cut=ignore, progress=lambda *n: calls.append(n), crf=4)
    assert (summary.frames, summary.cuts, summary.interrupted) == (20, (), False)
    assert summary.seconds > 0
    assert calls == [(n, 20) for n in range(1, 21)]
    assert {item[:2] for item in seen} == {((1, 3, 144, 176), torch.float32)}
    assert all(0 <= low < 0.1 and 0.9 < high <= 1 for _, _, low, high in seen)
    (_, frames), (_, results) = read(carphone), read(tmp_path / "b.mp4")
    for frame, result in zip(frames, results, strict=True):
        assert np.abs(255 - frame.astype(int) - result).mean() < 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_identity_is_exact_where_the_sink_is(carphone, tmp_path, dtype):
    run(carphone, str(tmp_path / "frames"), lambda frame: frame, on_cut=ignore, dtype=dtype)
    for frame, result in zip(read(carphone)[1], read(tmp_path / "frames")[1], strict=True):
        np.testing.assert_array_equal(frame, result)


def test_sixteen_bits_go_through_exactly(make_clip, pictures, tmp_path):
    source = make_clip("a.mp4", pictures[:3], pix_fmt="yuv420p10le")
    run(source, str(tmp_path / "frames"), lambda frame: frame, on_cut=ignore)
    for frame, result in zip(read(source)[1], read(tmp_path / "frames")[1], strict=True):
        assert frame.dtype == result.dtype == np.uint16
        np.testing.assert_array_equal(frame, result)


def test_memory_that_the_model_writes_again_is_safe(carphone, tmp_path):
    buffer = torch.empty(1, 3, 144, 176)
    run(carphone, str(tmp_path / "frames"), buffer.copy_, on_cut=ignore)
    for frame, result in zip(read(carphone)[1], read(tmp_path / "frames")[1], strict=True):
        np.testing.assert_array_equal(frame, result)


@pytest.mark.parametrize("cuts", ["auto", "off", "file"])
def test_model_forgets_at_the_first_frame_of_a_shot(bikes, tmp_path, cuts):
    spec = cuts
    if cuts == "file":
        (tmp_path / "cuts.txt").write_text("0\n3\n20\n")
        spec = str(tmp_path / "cuts.txt")
    steps, cleared = itertools.count(), []
    current = [0]

    def step(frame):
        current[0] = next(steps) + 1
        return frame

    summary = run(
        bikes, str(tmp_path / "b.mp4"), step, on_cut=lambda: cleared.append(current[0]), cuts=spec, duration=1.2
    )
    wanted = {"auto": [10], "off": [], "file": [3, 20]}[cuts]
    assert cleared == list(summary.cuts) == wanted
    assert summary.frames == 30


def test_larger_and_grey_results(carphone, tmp_path):
    def double_grey(frame):
        return torch.nn.functional.interpolate(frame.mean(1, keepdim=True), scale_factor=2)

    run(carphone, str(tmp_path / "b.mp4"), double_grey, on_cut=ignore, duration=0.1, crf=4)
    info, results = read(tmp_path / "b.mp4")
    assert (info.width, info.height, info.pixel_aspect) == (352, 288, read(carphone)[0].pixel_aspect)
    assert np.abs(results[0].max(axis=2).astype(int) - results[0].min(axis=2)).max() < 8
    grey = read(carphone)[1][0].mean(axis=2).repeat(2, 0).repeat(2, 1)
    assert np.abs(results[0].mean(axis=2) - grey).mean() < 2


@pytest.mark.parametrize("size", [None, (72, 88), (288, 352)])
def test_side_by_side(carphone, tmp_path, size):
    def step(frame):
        shape = size or frame.shape[2:]
        return torch.zeros(1, 1, *shape)

    run(carphone, str(tmp_path / "frames"), step, on_cut=ignore, duration=0.1, side_by_side=True)
    first = read(tmp_path / "frames")[1][0]
    height, width = size or (144, 176)
    assert first.shape == (height, 2 * width, 3)
    way = cv2.INTER_AREA if size == (72, 88) else cv2.INTER_CUBIC
    resized = cv2.resize(read(carphone)[1][0], (width, height), interpolation=way)
    assert np.abs(first[:, :width].astype(int) - resized).mean() < 0.5
    assert first[:, width:].max() == 0


@pytest.mark.parametrize("name", ["b.mp4", "b.avi", "frames"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_model_and_viewer_see_rotated_videos_upright(make_clip, pictures, tmp_path, degrees, name):
    turned = [np.ascontiguousarray(np.rot90(picture, -degrees // 90)) for picture in pictures[:3]]
    source = make_clip("a.mp4", turned, rotation=degrees)
    seen = []

    def step(frame):
        seen.append(frame[0].permute(1, 2, 0).numpy() * 255)
        return frame

    run(source, str(tmp_path / name), step, on_cut=ignore)
    assert np.abs(seen[0] - pictures[0]).mean() < 4
    info, frames = read(tmp_path / name)
    assert info.rotation == (degrees if name == "b.mp4" else 0)
    upright = np.rot90(frames[0], info.rotation // 90)
    assert np.abs(upright.astype(int) - pictures[0]).mean() < 6


def test_audio_comes_along(bunny, tmp_path):
    run(bunny, str(tmp_path / "b.mp4"), lambda frame: frame, on_cut=ignore, start=0.5)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert 0.8 < float(container.streams.audio[0].duration * container.streams.audio[0].time_base) < 1.0


def test_values_out_of_range_and_nan(carphone, tmp_path):
    def step(_):
        values = torch.tensor([float("nan"), float("inf"), -float("inf"), 2.0, -1.0, 127.4 / 255, 127.6 / 255])
        return values.reshape(1, 1, 1, -1).repeat(1, 1, 2, 1)

    with pytest.warns(UserWarning, match="NaN for 6 pixels"):
        run(carphone, str(tmp_path / "frames"), step, on_cut=ignore, duration=0.1)
    results = read(tmp_path / "frames")[1]
    assert len(results) == 3
    assert results[0][0, :, 0].tolist() == [0, 255, 0, 255, 0, 127, 128]


@pytest.mark.parametrize("after", [0, 1, 12])
def test_failing_model_leaves_no_result(carphone, tmp_path, after):
    steps = itertools.count()

    def step(frame):
        if next(steps) == after:
            raise RuntimeError("out of memory")
        return frame

    with pytest.raises(RuntimeError, match="out of memory"):
        run(carphone, str(tmp_path / "b.mp4"), step, on_cut=ignore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda frame: frame[0], r"\(3, 144, 176\)"),
        (lambda frame: frame[:, :2], r"\(1, 2, 144, 176\)"),
        (lambda frame: (frame * 255).to(torch.uint8), "uint8"),
        (lambda frame: frame.numpy(), "ndarray"),
    ],
)
def test_results_that_are_no_pictures(carphone, tmp_path, step, words):
    with pytest.raises(ModelError, match=words):
        run(carphone, str(tmp_path / "b.mp4"), step, on_cut=ignore)
    assert list(tmp_path.iterdir()) == []


def test_results_of_changing_size(carphone, tmp_path):
    sizes = itertools.count(8)
    with pytest.raises(ModelError, match="from 8x144 to 9x144"):
        run(carphone, str(tmp_path / "b.mp4"), lambda frame: frame[..., : next(sizes)], on_cut=ignore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slow", [0.0, 0.02])
def test_truncated_source_keeps_what_was_read(truncated, tmp_path, slow):
    source = truncated(".mp4")
    sink = tmp_path / "b.mp4"
    with pytest.raises(VideoError, match=r"truncated; the .* frames before it are in") as caught:
        run(source, str(sink), lambda frame: time.sleep(slow) or frame, on_cut=ignore)
    count = len(read(sink)[1])
    assert count > 15
    assert f"the {count} frames before it are in {sink}" in str(caught.value)


def test_interrupt_keeps_what_was_done(bunny, tmp_path):
    steps = itertools.count()

    def step(frame):
        if next(steps) == 9:
            _thread.interrupt_main()
            time.sleep(0.01)
        return frame

    summary = run(bunny, str(tmp_path / "b.mp4"), step, on_cut=ignore)
    assert summary.interrupted
    assert len(read(tmp_path / "b.mp4")[1]) == summary.frames == 9


@pytest.fixture
def slow_source(make_clip, pictures, tmp_path):
    """A named pipe with 200 frames of y4m, which calls back before each piece of one frame's size."""
    stream = Path(make_clip("whole.y4m", pictures * 10, codec="wrapped_avframe", options={})).read_bytes()
    size = len(stream) // 200
    path = tmp_path / "pipe.y4m"
    os.mkfifo(path)

    def start(before):
        def feed():
            with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
                for number in range(200):
                    before(number)
                    pipe.write(stream[number * size : (number + 1) * size if number < 199 else None])

        thread = threading.Thread(target=feed)
        thread.start()
        threads.append(thread)
        return str(path)

    threads = []
    yield start
    for thread in threads:
        thread.join()


def test_interrupt_while_waiting_for_a_frame(slow_source, tmp_path):
    def before(number):
        if number == 100:
            time.sleep(0.5)  # now the main thread waits
            _thread.interrupt_main()
            time.sleep(0.5)

    summary = run(slow_source(before), str(tmp_path / "b.mp4"), lambda frame: frame, on_cut=ignore)
    assert summary.interrupted
    assert 0 < len(read(tmp_path / "b.mp4")[1]) == summary.frames <= 100


def test_stop_keeps_what_was_done(bunny, slow_source, tmp_path):
    stop = threading.Event()
    steps = itertools.count()

    def step(frame):
        if next(steps) == 9:
            stop.set()
        return frame

    summary = run_video(bunny, str(tmp_path / "b.mp4"), step, on_cut=ignore, stop=stop)
    assert summary.interrupted
    assert len(read(tmp_path / "b.mp4")[1]) == summary.frames == 10
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert 0.3 < float(container.streams.audio[0].duration * container.streams.audio[0].time_base) < 0.5

    stop.clear()

    def before(number):
        if number == 100:
            time.sleep(0.3)  # now the main thread waits
            stop.set()
            time.sleep(0.5)

    summary = run_video(slow_source(before), str(tmp_path / "c.mp4"), lambda frame: frame, on_cut=ignore, stop=stop)
    assert summary.interrupted
    assert 0 < len(read(tmp_path / "c.mp4")[1]) == summary.frames <= 100


def test_interrupt_before_the_first_frame(carphone, tmp_path):
    def step(_):
        raise KeyboardInterrupt

    summary = run(carphone, str(tmp_path / "b.mp4"), step, on_cut=ignore)
    assert (summary.frames, summary.interrupted) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_ends_the_run(carphone, tmp_path, small_files):
    (tmp_path / "b.mkv").write_text("precious")
    with small_files(9000), pytest.raises(VideoError, match="File too large"):
        run(carphone, str(tmp_path / "b.mkv"), lambda frame: frame, on_cut=ignore, crf=1, overwrite=True)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("b.mkv", "precious")]


def test_streams_from_stdin_to_stdout(make_clip, pictures, tmp_path):
    stream = Path(make_clip("a.y4m", pictures, codec="wrapped_avframe", options={})).read_bytes()
    code = "from holdsteady.video import run; run('-', '-', lambda frame: 1 - frame, on_cut=print)"
    done = subprocess.run([sys.executable, "-c", code], input=stream, capture_output=True, timeout=50, check=True)
    assert done.stderr == b""
    (tmp_path / "b.y4m").write_bytes(done.stdout)
    info, results = read(tmp_path / "b.y4m")
    assert info.rate == 25
    for picture, result in zip(pictures, results, strict=True):
        assert np.abs(255 - picture.astype(int) - result).mean() < 4


def test_refusals_come_before_the_model_runs(carphone, tmp_path):
    def step(_):
        raise AssertionError("the model ran")

    existing = tmp_path / "b.mp4"
    existing.write_text("precious")
    cases = [
        (carphone, existing, {}, VideoError),
        (carphone, tmp_path / "c.mp4", {"codec": "libx246"}, ConfigError),
        (carphone, tmp_path / "c.mp4", {"cuts": str(tmp_path / "none")}, ConfigError),
        (carphone, tmp_path / "c.mp4", {"start": 60}, VideoError),
        (tmp_path / "none.mp4", tmp_path / "c.mp4", {}, VideoError),
    ]
    for source, sink, options, error in cases:
        with pytest.raises(error):
            run(str(source), str(sink), step, on_cut=ignore, **options)
    assert [item.name for item in tmp_path.iterdir()] == ["b.mp4"]
    assert existing.read_text() == "precious"


def test_few_frames_are_in_memory(slow_source, tmp_path):
    """Reading may not run ahead of a slow model by more than the queue and FFmpeg's buffers hold."""
    fed, done, ahead = [0], [0], []

    def before(number):
        fed[0] = number

    def step(frame):
        time.sleep(0.002)
        ahead.append(fed[0] - done[0])
        done[0] += 1
        return frame[..., ::4, ::4]

    assert run(slow_source(before), str(tmp_path / "b.mp4"), step, on_cut=ignore).frames == 200
    assert max(ahead) < 60


def test_channel_hands_over_in_order_and_ends_from_both_sides():
    channel = Channel(2)

    def send():
        for number in range(100):
            channel.put(number)
        channel.finish()

    sender = threading.Thread(target=send)
    sender.start()
    assert list(channel) == list(range(100))
    sender.join()

    channel = Channel(1)
    channel.put(0)
    threading.Timer(0.05, channel.abandon).start()
    with pytest.raises(ChannelClosedError):
        channel.put(1)
