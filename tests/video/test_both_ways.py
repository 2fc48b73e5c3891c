"""A second pass from the end of each shot, averaged with the first."""

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.helpers import texture, times_of, write_clip
from torch import Tensor

from holdsteady import video
from holdsteady.errors import VideoError
from holdsteady.video.both_ways import Backward, both_ways, open_shelf


class Average:
    """A step with a memory: half of it is what it gave before."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None

    def reset(self) -> None:
        self.memory = None

    def step(self, frame: Tensor) -> Tensor:
        self.memory = frame if self.memory is None else (frame + self.memory) / 2
        return self.memory


def passed(values: list[float]) -> list[float]:
    """What `Average` gives for numbers."""
    step = Average()
    return [float(step.step(torch.tensor(value))) for value in values]


def expected(values: list[float], piece: int, overlap: int) -> list[float]:
    """Of one shot, by the definition."""
    first, second = passed(values), []
    begin = 0
    while begin < len(values):
        whole = len(values) - begin < piece + overlap
        end = len(values) if whole else begin + piece
        seen = values[begin : len(values) if whole else end + overlap]
        second += passed(seen[::-1])[::-1][: end - begin]
        begin = end
    return [(a + b) / 2 for a, b in zip(first, second, strict=True)]


def frame_of(value: float, number: int) -> video.VideoFrame:
    pixels = np.full((2, 3, 3), round(value * 255), np.uint8)
    return video.VideoFrame(pixels, number, Fraction(1, 25), pixels[..., 0].copy(), f"name{number}")


def first_pass(
    values: list[float], cuts: set[int], fails_at: int | None = None, error: type[BaseException] = VideoError
):
    step = Average()
    for number, value in enumerate(values):
        if number == fails_at:
            raise error("gone")
        if number in cuts:
            step.reset()
        yield number in cuts, frame_of(value, number), step.step(torch.full((1, 3, 2, 3), value))


def show(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def through(first: Iterator, folder: Path, hurry: Callable[[], bool] = lambda: False, **how: int):
    back = Average()
    with open_shelf(str(folder / "out.mkv")) as shelf:
        most = 0
        for frame, result in both_ways(
            first, Backward(lambda f, _: back.step(f), back.reset), shelf, show, hurry, **how
        ):
            most = max(most, len({path.name.split(".")[0] for path in folder.glob(".holdsteady-*/*")}))
            yield frame, result, most


@pytest.mark.parametrize("piece", [64, 3])
def test_results_are_the_mean_of_both_passes_shot_by_shot(tmp_path: Path, piece: int) -> None:
    values = [number / 255 for number in np.random.default_rng(0).integers(0, 255, 17)]
    found = list(through(first_pass(values, {10}), tmp_path, piece=piece, overlap=2))
    wanted = expected(values[:10], piece, 2) + expected(values[10:], piece, 2)
    np.testing.assert_allclose([float(result.mean()) for _, result, _ in found], wanted, atol=1e-6)
    assert max(most for _, _, most in found) < piece + 2
    for number, (frame, _, _) in enumerate(found):
        before = frame_of(values[number], number)
        assert (frame.pts, frame.time_base, frame.name) == (before.pts, before.time_base, before.name)
        np.testing.assert_array_equal(frame.pixels, before.pixels)
        np.testing.assert_array_equal(frame.alpha, before.alpha)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [VideoError, KeyboardInterrupt])
def test_what_was_seen_before_an_end_is_given(tmp_path: Path, error: type[BaseException]) -> None:
    values = [0.2, 0.4, 0.8, 0.6]
    found = []
    with pytest.raises(error):
        for _, result, _ in through(first_pass(values, set(), 3, error), tmp_path):
            found.append(float(result.mean()))
    wanted = expected(values[:3], 64, 16) if error is VideoError else passed(values[:3])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert list(tmp_path.iterdir()) == []


def test_in_a_hurry_there_is_no_second_pass(tmp_path: Path) -> None:
    values = [0.2, 0.4, 0.8]
    found = [float(result.mean()) for _, result, _ in through(first_pass(values, set()), tmp_path, lambda: True)]
    np.testing.assert_allclose(found, passed(values), atol=1e-6)


def test_a_shelf_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="can't make a folder for frames"), open_shelf(str(tmp_path / "no" / "a.mp4")):
        pass


def test_a_run_that_is_stopped_leaves_what_was_done(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", texture(12))
    stop, ahead, back = threading.Event(), Average(), Average()

    def progress(done: int, _total: int | None) -> None:
        if done == 5:
            stop.set()

    summary = video.run(
        source,
        str(tmp_path / "out.mkv"),
        ahead.step,
        on_cut=ahead.reset,
        back=Backward(lambda frame, _: back.step(frame), back.reset),
        progress=progress,
        stop=stop,
    )
    assert (summary.interrupted, summary.frames) == (True, 5)
    assert times_of(tmp_path / "out.mkv") == times_of(source)[:5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]
