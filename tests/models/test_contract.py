"""Sizes, strides and pictures at the border between video and model."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from holdsteady.errors import ModelError
from holdsteady.models.contract import Display, crop_to, find_stride, image_of, pad_to, palette, try_model
from holdsteady.models.nafnet import NAFNet
from holdsteady.models.runner import FrameRunner

sides = st.integers(1, 80)


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, stride=st.sampled_from([1, 2, 4, 8, 16, 32, 64]), scale=st.sampled_from([1, 2, 4]))
def test_padding_is_least_and_cropping_undoes_it(height: int, width: int, stride: int, scale: int) -> None:
    frame = torch.rand(1, 3, height, width)
    padded = pad_to(frame, stride)
    size = padded.shape[-2], padded.shape[-1]
    for after, before in zip(size, (height, width), strict=True):
        assert after % stride == 0
        assert 0 <= after - before < stride
    enlarged = F.interpolate(padded, scale_factor=scale)
    assert torch.equal(crop_to(enlarged, size, (height, width)), F.interpolate(frame, scale_factor=scale))


def test_padding_reflects() -> None:
    frame = torch.arange(5.0).expand(1, 3, 5, 5)
    assert pad_to(frame, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to(frame, 4)[0, 0, 7].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to(frame, 5) is frame


class Picky(nn.Module):
    """The identity for sides that the stride divides."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.seen: list[tuple[int, ...]] = []

    def forward(self, frame: Tensor) -> Tensor:
        if frame.shape[-2] % self.stride or frame.shape[-1] % self.stride:
            raise ArithmeticError("odd")
        self.seen.append(tuple(frame.shape[-2:]))
        return frame


class UNet(nn.Module):
    """Two halvings; skips fit only where four divides the sides."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(4, 4, 2, 2), nn.ConvTranspose2d(4, 3, 2, 2)])

    def forward(self, frame: Tensor) -> Tensor:
        half = self.down[0](frame)
        out: Tensor = frame + self.up[1](half + self.up[0](self.down[1](half)))
        return out


class Quarter(nn.Module):
    """Depth at a quarter of the size, rounded down: the proportions fit only where four divides the sides."""

    def forward(self, frame: Tensor) -> Tensor:
        return F.avg_pool2d(frame.mean(dim=1), 4)


def lraspp() -> nn.Module:
    return models.get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None).eval()


@pytest.mark.parametrize(
    ("make", "stride"),
    [
        (lambda: Picky(1), 1),
        (lambda: Picky(16), 16),
        (lambda: Picky(64), 64),
        (UNet, 4),
        (Quarter, 4),
        (lambda: NAFNet(4), 1),
        (lraspp, 1),
    ],
    ids=["any", "16", "64", "unet", "quarter", "nafnet", "lraspp"],
)
def test_stride_is_found(make: Callable[[], nn.Module], stride: int) -> None:
    assert find_stride(make(), torch.rand(1, 3, 37, 70)) == stride


def test_a_model_that_takes_no_size_at_all() -> None:
    with pytest.raises(ModelError, match=r"frame \(1, 3, 37, 53\) at any padding up to 64: ArithmeticError: odd \("):
        find_stride(Picky(128), torch.rand(1, 3, 37, 53))
    with pytest.raises(ModelError, match="other proportions"):
        find_stride(lambda frame: frame[..., :-1], torch.rand(1, 3, 37, 53))


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: {"n": 3, "depth": x}, lambda x: [x.numpy()]])
def test_image_in_what_a_model_returns(wrap: Callable[[Tensor], object]) -> None:
    frame = torch.rand(2, 3, 4, 5)
    assert torch.equal(image_of(wrap(frame)), frame)
    assert torch.equal(image_of(wrap(frame[:, 0])), frame[:, :1])


@pytest.mark.parametrize("thing", [None, "text", {}, torch.zeros(1, 10), torch.zeros(1, 4, 5, dtype=torch.long)])
def test_no_image(thing: object) -> None:
    with pytest.raises(ModelError, match="not a floating image"):
        image_of(thing)


def test_display_keeps_the_range_of_the_first_depth_map() -> None:
    display = Display()
    first = torch.tensor([[[2.0, 4.0], [6.0, torch.inf]]])
    assert display(first).flatten().tolist() == [0.0, 0.5, 1.0, torch.inf]
    assert display(torch.full((1, 2, 2), 5.0)).unique().item() == 0.75
    assert Display()(torch.full((1, 2, 2), 5.0)).isfinite().all(), "a flat map has no range"


def test_display_shows_pictures_as_they_are_and_classes_in_colours() -> None:
    picture = torch.rand(1, 3, 4, 5) * 3 - 1
    assert Display()(picture) is picture
    grey = torch.rand(1, 1, 4, 5) * 0.5
    torch.testing.assert_close(Display()(grey), grey)
    logits = F.one_hot(torch.arange(21).reshape(1, 3, 7), 21).permute(0, 3, 1, 2).float()
    shown = Display()(logits)
    torch.testing.assert_close(shown[0].flatten(1).T, palette(21))
    assert shown[0, :, 0, 0].tolist() == [0, 0, 0]
    colours = palette(21)
    distances = torch.cdist(colours, colours) + torch.eye(21)
    assert distances.min() > 0.05 and colours.min() >= 0 and colours.max() <= 1


def test_runner_pads_and_crops_back() -> None:
    model = Picky(16)
    runner = FrameRunner(model, ())
    for _ in range(2):
        frame = torch.rand(1, 3, 37, 53)
        assert torch.equal(runner.step(frame), frame)
    assert set(model.seen) == {(48, 64)}
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
    with pytest.raises(ModelError, match=r"failed at frame 2: ZeroDivisionError: too bright \(test_contract\.py, line"):
        runner.step(torch.full((1, 3, 37, 53), 2.0))


def test_a_model_that_fails_on_whole_frames_says_so_before_it_is_compiled() -> None:
    def model(frame: Tensor) -> Tensor:
        if frame.shape[-1] > 150:  # more than is tried first
            raise ZeroDivisionError("too large")
        return frame

    runner = FrameRunner(model, "motion-fixed", compile=True)
    with pytest.raises(ModelError, match=r"failed at frame 0: ZeroDivisionError: too large"):
        runner.step(torch.rand(1, 3, 200, 200))


@pytest.mark.parametrize("size", [(64, 64), (191, 300), (480, 640), (1081, 1921)])
def test_a_part_of_a_large_frame_is_enough_to_find_the_stride(size: tuple[int, int]) -> None:
    seen: list[tuple[int, ...]] = []

    def demanding(frame: Tensor) -> Tensor:
        seen.append(tuple(frame.shape[-2:]))
        if frame.shape[-1] % 16 or frame.shape[-2] % 16:
            raise ValueError("sides have to be divisible by 16")
        return frame

    frame = torch.rand(1, 3, *size)
    stride, example = try_model(demanding, frame)
    assert stride == find_stride(demanding, frame)
    assert tuple(example.shape[-2:]) in seen
    assert max(example.shape[-2:]) <= 192


def test_a_model_of_one_size_is_tried_on_the_whole_frame() -> None:
    def rigid(frame: Tensor) -> Tensor:
        if frame.shape[-2:] != (224, 320):
            raise ValueError("224×320 only")
        return frame

    stride, example = try_model(rigid, torch.rand(1, 3, 224, 320))
    assert (stride, tuple(example.shape)) == (1, (1, 3, 224, 320))
