"""A model and an adapter over frames of any size."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.errors import ModelError
from holdsteady.models.runner import FrameRunner


class Picky(nn.Module):
    """The identity for sides that the stride divides."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, frame: Tensor) -> Tensor:
        if frame.shape[-2] % self.stride or frame.shape[-1] % self.stride:
            raise ArithmeticError("odd")
        return frame


def test_runner_pads_and_crops_back() -> None:
    seen: list[tuple[int, ...]] = []

    def model(frame: Tensor) -> Tensor:
        seen.append(tuple(frame.shape[-2:]))
        return Picky(16)(frame)

    runner = FrameRunner(model, ())
    for _ in range(2):
        frame = torch.rand(1, 3, 37, 53)
        assert torch.equal(runner.step(frame), frame)
    assert seen[-2:] == [(48, 64)] * 2
    enlarging = FrameRunner(lambda x: F.interpolate(Picky(8)(x), scale_factor=2), "output-fixed:0.5")
    assert enlarging.step(frame).shape == (1, 3, 74, 106)


def test_runner_remembers_and_forgets() -> None:
    runner = FrameRunner(Picky(16), "output-fixed:0.25")
    dark, bright = torch.zeros(1, 3, 37, 53), torch.ones(1, 3, 37, 53)
    runner.reset()
    assert runner.step(dark).max() == 0
    assert runner.step(bright).unique().tolist() == [0.25]
    runner.reset()
    assert runner.step(bright).unique().tolist() == [1.0]


def test_runner_names_the_frame_and_the_place_where_a_model_failed() -> None:
    def model(frame: Tensor) -> Tensor:
        if frame.max() > 1:
            raise ZeroDivisionError("too bright\nby far")
        return frame

    runner = FrameRunner(model, "motion-fixed")
    for _ in range(2):
        runner.step(torch.rand(1, 3, 37, 53))
    with pytest.raises(ModelError, match=r"failed at frame 2: ZeroDivisionError: too bright \(test_runner\.py, line"):
        runner.step(torch.full((1, 3, 37, 53), 2.0))


def test_a_model_that_fails_on_whole_frames_says_so_before_it_is_compiled() -> None:
    def model(frame: Tensor) -> Tensor:
        if frame.shape[-1] > 150:  # more than is tried first
            raise ZeroDivisionError("too large")
        return frame

    runner = FrameRunner(model, "motion-fixed", compile=True)
    with pytest.raises(ModelError, match=r"failed at frame 0: ZeroDivisionError: too large"):
        runner.step(torch.rand(1, 3, 200, 200))
