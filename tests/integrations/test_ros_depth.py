"""The callback for depth, called as ROS calls it: messages with the fields of sensor_msgs/Image."""

import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from holdsteady.video import open_video

Plugin = Callable[[str], ModuleType]


@pytest.fixture
def module(plugin: Plugin) -> ModuleType:
    return plugin("ros_depth/steady_depth.py")


def message(picture: np.ndarray, seconds: float, encoding: str = "rgb8", padding: int = 0) -> Any:
    """An image (H, W, C) as a message whose rows are padded."""
    height, width, channels = picture.shape
    rows = np.pad(picture.reshape(height, width * channels), ((0, 0), (0, padding)), constant_values=99)
    stamp = SimpleNamespace(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id="camera"),
        height=height,
        width=width,
        encoding=encoding,
        step=width * channels + padding,
        data=rows.tobytes(),
    )


def picture(value: float, size: tuple[int, int] = (40, 48)) -> np.ndarray:
    return np.full((*size, 3), round(255 * value), np.uint8)


class Run:
    """A callback over a model, handed images one at a time."""

    def __init__(self, module: ModuleType, model: Any, adapter: Any) -> None:
        self.results: list[Any] = []
        self._came = threading.Semaphore(0)
        self.steady = module.SteadyDepth(self.publish, model, adapter)

    def publish(self, depth: Any) -> None:
        self.results.append(depth)
        self._came.release()

    def see(self, one: Any) -> Any:
        self.steady.on_image(one)
        assert self._came.acquire(timeout=60)
        return self.results[-1]


def red(frame: Tensor) -> Tensor:
    return frame[:, :1]


def test_depth_of_a_clip_is_steadier(module: ModuleType, carphone: str) -> None:
    with open_video(carphone) as reader:
        frames = [frame.pixels for frame in reader][:10]
    random = np.random.default_rng(0)
    noisy = [(frame + random.normal(0, 20, frame.shape)).clip(0, 255).astype(np.uint8) for frame in frames]

    def change(adapter: str) -> float:
        run = Run(module, "depth", adapter)
        with run.steady:
            depths = [run.see(message(frame, n / 30)).values for n, frame in enumerate(noisy)]
        assert depths[0].shape == frames[0].shape[:2] and depths[0].dtype == np.float32
        return float(np.abs(np.diff(np.log(np.stack(depths[4:]).clip(1e-3)), axis=0)).mean())

    assert change("depth-clean") < 0.8 * change("none")


def test_headers_come_back_and_times_that_jump_begin_anew(module: ModuleType) -> None:
    run = Run(module, red, "output-fixed:0.5")
    with run.steady:
        first = run.see(message(picture(1), 10.0))
        assert first.header.frame_id == "camera" and first.header.stamp.sec == 10
        assert run.see(message(picture(0), 10.1)).values.max() == pytest.approx(0.5)
        assert run.see(message(picture(0), 12.0)).values.max() == 0  # after a gap
        assert run.see(message(picture(1), 3.0)).values.min() == 1  # a bag was started again
        assert run.see(message(picture(0, (32, 64)), 3.1)).values.shape == (32, 64)


def test_the_newest_image_is_taken_and_none_waits(module: ModuleType) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(frame: Tensor) -> Tensor:
        begun.set()
        assert go_on.wait(60)
        return red(frame)

    run = Run(module, slow, "none")
    with run.steady:
        run.steady.on_image(message(picture(0), 0))
        assert begun.wait(60)
        start = time.monotonic()
        for number in range(1, 6):
            run.steady.on_image(message(picture(number / 5), number / 30))
        assert time.monotonic() - start < 5
        go_on.set()
    assert [float(result.values.max()) for result in run.results] == [0.0, 1.0]
    assert run.steady.dropped == 4


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_encodings_and_padded_rows(module: ModuleType, encoding: str) -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (6, 5, 1 if encoding == "mono8" else 3), np.uint8)
    read = module.pixels(message(image, 0, encoding, padding=3))
    assert read.shape == (6, 5, 3)
    assert np.array_equal(
        read, image[..., ::-1] if encoding == "bgr8" else np.repeat(image, 3 // image.shape[2], axis=2)
    )


def test_images_that_can_not_be_read(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="encoding 16UC1: convert it to one of rgb8, bgr8, mono8"):
        module.pixels(message(picture(0), 0, "16UC1"))
    cut = message(picture(0), 0)
    cut.data = cut.data[:-1]
    with pytest.raises(ValueError, match="an image of 48x40 rgb8 has 5759 bytes"):
        module.pixels(cut)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_it_is_kept(module: ModuleType) -> None:
    steady = module.SteadyDepth(lambda _: None, torch.nn.Identity(), "none")
    with steady:
        steady.on_image(message(picture(0), 0, "yuv422"))
    assert "encoding yuv422" in str(steady.failure)
