"""Many files: skipped, resumed, reported, batched, and spread over workers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holdsteady.errors import ConfigError, HoldsteadyError, StateError, VideoError
from holdsteady.host.state_files import load_state, save_state
from holdsteady.jobs.batch import batch
from holdsteady.jobs.inputs import find_jobs
from holdsteady.jobs.manifest import MANIFEST_NAME, read_entries
from holdsteady.jobs.work import UNFINISHED, Order
from holdsteady.video import RunOptions

MODEL = """
import os, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Conv2d(3, 3, 3, padding=1)
    def forward(self, x):
        time.sleep(float(os.environ.get("SLOW", "0")))
        return x + 0.1 * self.inner(x)

def build():
    return Net()

def depth():
    torch.manual_seed(0)
    return nn.Conv2d(3, 1, 3, padding=1)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    return f"{tmp_path / 'model.py'}:build"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three videos of 64×48, one of them in a folder, with 12 frames each and a new shot in the middle."""
    folder = tmp_path / "clips"
    (folder / "inner").mkdir(parents=True)
    for number, name in enumerate(("a.mp4", "b.mkv", "inner/a.mp4")):
        write_clip(folder / name, number)
    return folder


def write_clip(path: Path, seed: int, frames: int = 12) -> None:
    """A noisy pan, and from the middle on another: one cut, and much for an adapter to do."""
    random = np.random.default_rng(seed)
    texture = cv2.resize(random.uniform(60, 200, (8, 24, 3)), (160, 48), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for t in range(frames):
            shown = (texture if t < frames // 2 else 255 - texture)[:, t : t + 64] + random.normal(0, 8, (48, 64, 3))
            picture = np.ascontiguousarray(shown.clip(0, 255).astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def pixels(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_folders_keep_their_folders_and_globs_their_names(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [job.name for job in find_jobs([clips], out)] == ["a.mp4", "b.mkv", "inner/a.mp4"]
    assert [job.name for job in find_jobs([str(clips / "*.m*"), clips / "a.mp4"], out)] == ["a.mp4", "b.mkv"]
    assert [job.name for job in find_jobs([clips], out, ".mov")] == ["a.mov", "b.mov", "inner/a.mov"]
    assert find_jobs([clips], clips / "inner")[-1].name == "b.mkv"  # results are no inputs
    with pytest.raises(ConfigError, match="would both become"):
        find_jobs([clips / "a.mp4", clips / "inner" / "a.mp4"], out)
    with pytest.raises(ConfigError, match=r"--suffix \.xyz"):
        find_jobs([clips], out, ".xyz")
    with pytest.raises(VideoError, match="no such file"):
        find_jobs([clips / "c.mp4"], out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="no video"):
        find_jobs([tmp_path / "empty"], out)


def test_what_is_done_is_skipped_until_something_changes(clips: Path, model: str, tmp_path: Path) -> None:
    out, order = tmp_path / "out", Order(model)
    first = batch([clips], out, order)
    assert (first.done, first.failed, first.left) == (("a.mp4", "b.mkv", "inner/a.mp4"), {}, ())
    assert len(pixels(out / "inner" / "a.mp4")) == 12
    assert not (out / UNFINISHED).exists()
    assert batch([clips], out, order).skipped == first.done
    write_clip(clips / "b.mkv", 9)
    (out / "inner" / "a.mp4").write_bytes(b"cut off")
    assert batch([clips], out, order).done == ("b.mkv", "inner/a.mp4")
    assert batch([clips], out, replace(order, strength=0.5)).done == first.done
    (tmp_path / "model.py").write_text(MODEL.replace("0.1", "0.2"))  # the same weights
    assert batch([clips], out, replace(order, strength=0.5)).done == first.done


def test_one_file_fails_and_the_others_are_finished(clips: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (clips / "broken.mp4").write_bytes(b"no video at all" * 100)
    out.mkdir()
    (out / "a.mp4").write_bytes(b"someone's own")
    report = batch([clips], out, Order(model))
    assert report.done == ("b.mkv", "inner/a.mp4")
    assert sorted(report.failed) == ["a.mp4", "broken.mp4"]
    assert "exists already" in report.failed["a.mp4"]
    assert (out / "a.mp4").read_bytes() == b"someone's own"
    assert read_entries(out)["broken.mp4"].status == "failed"
    assert batch([clips], out, Order(model), overwrite=True).done == ("a.mp4",)
    write_clip(clips / "broken.mp4", 3)
    assert batch([clips], out, Order(model)).done == ("broken.mp4",)


def test_results_of_another_function_are_made_again(clips: Path, tmp_path: Path) -> None:
    out, one = tmp_path / "out", clips / "a.mp4"
    assert batch([one], out, Order(lambda frame: frame * 0.2, "none")).done == ("a.mp4",)
    dark = pixels(out / "a.mp4").mean()
    assert batch([one], out, Order(lambda frame: frame * 0.9, "none")).done == ("a.mp4",)
    assert pixels(out / "a.mp4").mean() > 3 * dark
    assert batch([one], out, Order(lambda frame: frame * 0.9, "none")).skipped == ("a.mp4",)


def test_an_interrupted_file_does_not_go_on_with_another_function(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stop, progress = stopping_at("a.mp4", 5)
    first = batch([clips / "a.mp4"], out, Order(lambda frame: frame * 0.2, "none"), progress=progress, stop=stop)
    assert first.left == ("a.mp4",)
    batch([clips / "a.mp4"], out, Order(lambda frame: frame * 0.9, "none"))
    assert read_entries(out)["a.mp4"].resumed == 0


def test_a_file_of_ones_own_is_not_replaced_after_a_failure(clips: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (clips / "x.mp4").write_bytes(b"no video at all" * 100)
    assert list(batch([clips / "x.mp4"], out, Order(model)).failed) == ["x.mp4"]
    write_clip(clips / "x.mp4", 3)
    (out / "x.mp4").write_bytes(b"someone's own")
    assert "no batch made it" in batch([clips / "x.mp4"], out, Order(model)).failed["x.mp4"]
    assert (out / "x.mp4").read_bytes() == b"someone's own"
    assert batch([clips / "x.mp4"], out, Order(model), overwrite=True).done == ("x.mp4",)
    # A result of an earlier batch stays its own while the source fails.
    (clips / "x.mp4").write_bytes(b"no video at all" * 100)
    assert list(batch([clips / "x.mp4"], out, Order(model)).failed) == ["x.mp4"]
    write_clip(clips / "x.mp4", 4)
    assert batch([clips / "x.mp4"], out, Order(model)).done == ("x.mp4",)


def test_the_part_of_a_damaged_file_is_the_batchs_own(clips: Path, model: str, tmp_path: Path) -> None:
    write_clip(clips / "x.mkv", 3, frames=40)
    whole = (clips / "x.mkv").read_bytes()
    for was_done in (False, True):
        if was_done:
            assert batch([clips / "x.mkv"], tmp_path / "out", order_of(model)).done == ("x.mkv",)
        (clips / "x.mkv").write_bytes(whole[: len(whole) // 2])
        for _ in range(2):
            assert "before it are in" in batch([clips / "x.mkv"], tmp_path / "out", order_of(model)).failed["x.mkv"]
        (clips / "x.mkv").write_bytes(whole)
        assert batch([clips / "x.mkv"], tmp_path / "out", order_of(model)).done == ("x.mkv",)
        (clips / "x.mkv").write_bytes(whole + b" ")  # another one, for the round after a result


def order_of(model: str, adapter: str = "motion-fixed") -> Order:
    """With results that keep every pixel: x264 itself makes another file of the same pictures each time."""
    return Order(model, adapter, options=RunOptions(codec="ffv1"))


@pytest.mark.parametrize(
    ("name", "adapter"), [("build", "motion-fixed"), ("build", "simple-fixed:0.5"), ("depth", "output-fixed:0.5")]
)
def test_a_killed_run_resumes_inside_a_file(clips: Path, model: str, tmp_path: Path, name: str, adapter: str) -> None:
    """With points inside, across a cut, with depth whose shown range follows: the same pixels as undisturbed."""
    write_clip(clips / "a.mp4", 0, frames=40)
    spec = model.replace("build", name)
    undisturbed = batch([clips / "a.mp4"], tmp_path / "whole", order_of(spec, adapter), suffix=".mkv")
    assert undisturbed.done == ("a.mkv",)
    batch([clips / "a.mp4"], tmp_path / "base", order_of(spec, "none"), suffix=".mkv")
    whole = pixels(tmp_path / "whole" / "a.mkv")
    same = [np.array_equal(*pair) for pair in zip(whole, pixels(tmp_path / "base" / "a.mkv"), strict=True)]
    assert [t for t, is_same in enumerate(same) if is_same] == [0, 20]  # where shots begin
    script = (
        "import sys\nfrom pathlib import Path\nfrom holdsteady.jobs.batch import batch\n"
        "from holdsteady.jobs.work import Order\nfrom holdsteady.video import RunOptions\n"
        "order = Order(sys.argv[3], sys.argv[4], every=0, options=RunOptions(codec='ffv1'))\n"
        "batch([sys.argv[1]], sys.argv[2], order, suffix='.mkv')"
    )
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", script, clips / "a.mp4", out, spec, adapter]
    process = subprocess.Popen(list(map(str, arguments)), env=os.environ | {"SLOW": "0.05"})
    try:
        deadline = time.monotonic() + 120
        while not any(out.glob(f"{UNFINISHED}/*/000015.rgb.png")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (out / "a.mkv").exists()
    assert batch([clips / "a.mp4"], out, order_of(spec, adapter), suffix=".mkv").done == ("a.mkv",)
    assert 15 <= read_entries(out)["a.mkv"].resumed < 40
    np.testing.assert_array_equal(pixels(out / "a.mkv"), whole)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "a.mkv", "manifest.json"]


def stopping_at(name: str, frames: int) -> tuple[threading.Event, Callable[[str, int, int | None], None]]:
    """An event, and a progress that sets it when so many frames of a file are done."""
    stop = threading.Event()

    def progress(current: str, *counts: int | None) -> None:
        if (current, counts[0]) == (name, frames):
            stop.set()

    return stop, progress


def test_stopping_keeps_what_was_done(clips: Path, model: str, tmp_path: Path) -> None:
    order, out = order_of(model), tmp_path / "out"
    stop, progress = stopping_at("b.mkv", 7)
    report = batch([clips], out, order, progress=progress, stop=stop, suffix=".mkv")
    assert (report.done, report.left) == (("a.mkv",), ("b.mkv", "inner/a.mkv"))
    assert not (out / "b.mkv").exists()
    again = batch([clips], out, order, suffix=".mkv")
    assert (again.skipped, again.done) == (("a.mkv",), ("b.mkv", "inner/a.mkv"))
    assert read_entries(out)["b.mkv"].resumed >= 7
    batch([clips], tmp_path / "whole", order, suffix=".mkv")
    np.testing.assert_array_equal(pixels(out / "b.mkv"), pixels(tmp_path / "whole" / "b.mkv"))


def test_what_was_kept_is_thrown_away_when_it_is_damaged(clips: Path, model: str, tmp_path: Path) -> None:
    order, out = Order(model), tmp_path / "out"
    for damage in ("000002.rgb.png", "state.safetensors"):
        stop, progress = stopping_at("a.mp4", 5)
        batch([clips / "a.mp4"], out, order, progress=progress, stop=stop)
        (kept,) = (out / UNFINISHED).glob(f"*/{damage}")
        kept.write_bytes(kept.read_bytes()[:20])
        assert batch([clips / "a.mp4"], out, order).done == ("a.mp4",)
        assert read_entries(out)["a.mp4"].resumed == 0
        (out / "a.mp4").unlink()


def test_streams_share_the_model_and_nothing_else(clips: Path, model: str, tmp_path: Path) -> None:
    """Of two sizes, one of them with a cut elsewhere, one damaged: each result is as if it had been alone."""
    write_clip(clips / "c.mp4", 5, frames=20)
    (clips / "d.mp4").write_bytes(b"no video at all" * 100)
    for adapter in ("motion-fixed", "simple-fixed:0.5"):
        alone, both = tmp_path / f"alone-{adapter}", tmp_path / f"both-{adapter}"
        one = batch([clips], alone, order_of(model, adapter), suffix=".mkv")
        two = batch([clips], both, order_of(model, adapter), streams=3, suffix=".mkv")
        assert sorted(two.done) == sorted(one.done) == ["a.mkv", "b.mkv", "c.mkv", "inner/a.mkv"]
        assert list(two.failed) == ["d.mkv"]
        for name in two.done:
            difference = pixels(both / name).astype(int) - pixels(alone / name)
            assert len(difference) in (12, 20)
            # Kernels round otherwise for batches, then flows differ a little; another file would by tens.
            assert np.abs(difference).mean() < 1


def test_a_shared_model_is_never_in_two_frames_at_once(clips: Path, tmp_path: Path) -> None:
    inside, most = threading.Semaphore(1), []

    class Alone(torch.nn.Module):
        def forward(self, frame: torch.Tensor) -> torch.Tensor:
            most.append(inside.acquire(blocking=False))
            time.sleep(0.02)  # others begin in that time, if they do
            if most[-1]:
                inside.release()
            return frame

    report = batch([clips], tmp_path / "out", Order(Alone()), streams=3)
    assert len(report.done) == 3
    assert all(most)


def test_a_model_of_one_frame_at_a_time_is_run_so_and_named(clips: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="does not take 2 frames at a time"):
        report = batch([clips], tmp_path / "out", Order(lambda frame: frame[:1]), streams=2)
    assert len(report.done) == 3


def test_one_batch_at_a_time_works_in_a_folder(clips: Path, model: str, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(VideoError, match="another batch works in this folder"):
        batch([clips], tmp_path / "out", Order(model))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_manifest_that_was_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    entry = {"source": "a", "source_digest": "0", "key": "1", "status": "done", "frames": 3}
    whole = json.dumps(
        {"format": 1, "version": "0", "model": "m", "adapter": "a", "options": {}, "files": {"a": entry}}
    )
    at = data.draw(st.integers(0, len(whole)))
    changed = whole[:at] + data.draw(st.text(max_size=4)) + whole[at + data.draw(st.integers(0, 9)) :]
    (folder / MANIFEST_NAME).write_text(changed, encoding="utf-8")
    try:
        read_entries(folder)
    except HoldsteadyError as error:
        assert str(folder) in str(error)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 2000), value=st.integers(0, 255), cut=st.booleans())
def test_a_state_that_was_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, cut: bool
) -> None:

    import holdsteady

    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    _, state = holdsteady.stabilize(torch.nn.Identity(), "motion-fixed").step(torch.rand(2, 3, 16, 16))
    save_state(state, path, {"a": "b"})
    read, notes = load_state(path)
    assert notes == {"a": "b"}
    assert read is not None
    assert (read.frame_shape, read.streams) == (state.frame_shape, 2)
    assert torch.equal(read.memories["0:output"]["stabilized"], state.memories["0:output"]["stabilized"])
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at] = value
    path.write_bytes(whole[:at] if cut else whole)
    try:
        load_state(path)
    except StateError as error:
        assert str(path) in str(error)


@pytest.mark.slow
def test_on_ray_a_killed_worker_loses_nothing(clips: Path, model: str, tmp_path: Path, monkeypatch) -> None:
    """Two workers on a cluster of this machine; one of them is killed midway: each file is done once, none is lost."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("SLOW", "0.05")
    for number in range(4):
        write_clip(clips / f"more{number}.mp4", 20 + number, frames=30)
    out, order = tmp_path / "out", Order(model, every=0.2)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        noted: list[str] = []
        killed: list[int] = []

        def note(name: str, _entry: object) -> None:
            noted.append(name)
            if not killed:
                commands = ((int(path.parent.name), path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline"))
                killed.append(next(process for process, command in commands if command.startswith(b"ray::Actor")))
                os.kill(killed[0], signal.SIGKILL)

        report = batch([clips], out, order, engine="ray", workers=2, note=note)
    finally:
        ray.shutdown()
    assert killed
    assert report.failed == {}
    assert sorted(noted) == sorted(report.done) == sorted(set(noted))
    assert len(report.done) == 7
    assert {name: len(pixels(out / name)) for name in report.done}.keys() == read_entries(out).keys()


def test_a_manifest_of_another_format_is_called_so(clips: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST_NAME).write_text('{"format": 2, "jobs": []}')
    with pytest.raises(ConfigError, match="has format 2; this version reads 1"):
        batch([clips], tmp_path / "out", Order(model))


def test_a_batch_that_can_not_begin_leaves_nothing(clips: Path, model: str, tmp_path: Path) -> None:
    with pytest.raises(HoldsteadyError):
        batch([clips], tmp_path / "new" / "out", Order(model, "no-such-adapter"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(HoldsteadyError):
        batch([clips], tmp_path / "out", Order(f"{tmp_path / 'gone.py'}:build"))
    assert list((tmp_path / "out").iterdir()) == []


def test_places_that_are_taken_are_a_fault_of_their_file(clips: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a.mp4").mkdir(parents=True)
    (out / "inner").write_text("someone's own")
    report = batch([clips], out, Order(model), overwrite=True)
    assert report.done == ("b.mkv",)
    assert "is a folder; rename it" in report.failed["a.mp4"]
    assert "inner: this folder can't be made" in report.failed["inner/a.mp4"]
    assert (out / "inner").read_text() == "someone's own"


def test_workers_are_for_ray(clips: Path, model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--workers 2 is for --engine ray; in this process give --streams"):
        batch([clips], tmp_path / "out", Order(model), workers=2)


def test_a_damaged_manifest_is_told_in_a_few_words(clips: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for text, words in {
        '{"format": 1, "version": 3}': "version: Input should be a valid string",
        "[]": "it: ",
        "{": "",
    }.items():
        (tmp_path / "out" / MANIFEST_NAME).write_text(text)
        with pytest.raises(ConfigError, match=rf"manifest\.json is damaged \({words}.*\); remove it") as caught:
            batch([clips], tmp_path / "out", Order(model))
        assert "pydantic" not in str(caught.value)
