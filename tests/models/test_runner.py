"""A model and an adapter over frames of any size."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from holdsteady.errors import ModelError
from holdsteady.models.colours import palette
from holdsteady.models.model import Model
from holdsteady.models.runner import FrameRunner, largest
from holdsteady.models.value_files import ValueWriter


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


def with_warnings(runner: FrameRunner, frame: Tensor) -> tuple[Tensor, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shown = runner.step(frame)
    return shown, [str(one.message) for one in caught]


def test_it_says_once_what_the_model_was_taken_for() -> None:
    lines: list[str] = []
    runner = FrameRunner(lambda x: (2 * x - 1, x), (), note=lines.append)
    frame = torch.rand(1, 3, 37, 53)
    _, said = with_warnings(runner, frame)
    assert lines == ["output 0 of 2: 3×37×53 in -1.0…1.0, taken for an image"]
    assert len(said) == 2 and "gives 2 images" in said[0] and "looks like -1…1" in said[1]
    _, again = with_warnings(runner, frame)
    assert (len(lines), again) == (1, [])
    stated = FrameRunner(Model(lambda x: 2 * x - 1, output_range=(-1, 1), kind="image"), (), note=lines.append)
    shown, said = with_warnings(stated, frame)
    assert (len(lines), said) == (1, [])
    torch.testing.assert_close(shown, frame)


@pytest.mark.parametrize("adapter", [(), "output-fixed:0.5"])
def test_class_numbers_are_shown_as_classes_and_held_steady(adapter: str) -> None:
    def model(x: Tensor) -> dict[str, Tensor]:
        return {"labels": (x.mean(dim=1) > 0.5).long() * 20}

    runner = FrameRunner(model, adapter)
    dark, bright = torch.zeros(1, 3, 40, 40), torch.ones(1, 3, 40, 40)
    first = runner.step(dark)
    assert first.max() == 0 and first.shape == (1, 3, 40, 40)
    assert runner.step(0.75 * bright).max() > 0.5 or adapter
    assert runner.step(0.75 * bright).max() > 0.5
    late = FrameRunner(lambda x: (x.mean(dim=1) * 40).long(), adapter)
    late.step(dark)
    with pytest.warns(UserWarning, match="class 40 comes up at frame 1: from now on there are 64 classes"):
        grown = late.step(bright)
    assert torch.equal(grown[0, :, 0, 0], palette(256)[40])
    stated = FrameRunner(Model(lambda x: (x.mean(dim=1) * 40).long(), kind="labels", classes=9), adapter)
    stated.step(dark)
    with pytest.raises(ModelError, match="gives class number 40, and there are 9 classes: state how many"):
        stated.step(bright)


def test_small_results_are_brought_to_the_frames_size_and_large_ones_kept() -> None:
    frame = torch.rand(1, 3, 64, 96)
    assert FrameRunner(Model(lambda x: F.avg_pool2d(x, 4), kind="image", scale=1), ()).step(frame).shape == frame.shape
    with pytest.warns(UserWarning, match="24x16 for a frame of 96x64: it is enlarged"):
        assert FrameRunner(lambda x: F.avg_pool2d(x, 4), ()).step(frame).shape == frame.shape
    assert FrameRunner(lambda x: F.interpolate(x, scale_factor=3), ()).step(frame).shape == (1, 3, 192, 288)
    halved = FrameRunner(Model(lambda x: F.interpolate(x, scale_factor=4), kind="image", scale=2), ())
    assert halved.step(frame).shape == (1, 3, 128, 192)
    pooled = FrameRunner(Model(lambda x: F.adaptive_avg_pool2d(x, (40, 40)), kind="depth"), ())
    assert pooled.step(frame).shape[-2:] == (64, 96)


@pytest.mark.parametrize("fields", [{"size": (64, 64)}, {"multiple": 14}, {"multiple": 48}])
def test_models_of_one_size_and_of_odd_multiples(fields: dict[str, int]) -> None:
    ramp = torch.linspace(0, 1, 160).expand(1, 3, 90, 160)
    runner = FrameRunner(Model(lambda x: x, **fields), "motion-fixed")
    shown = runner.step(ramp)
    assert shown.shape == ramp.shape
    torch.testing.assert_close(shown, ramp, atol=0.02, rtol=0)


def test_classes_are_enlarged_as_logits() -> None:
    logits = torch.randn(1, 21, 9, 12, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(logits, size=(36, 48), mode="bilinear", antialias=True).argmax(dim=1)
    assert torch.equal(largest(logits, (36, 48)), wanted)
    assert torch.equal(largest(logits, (9, 12)), logits.argmax(dim=1))


@pytest.mark.parametrize("adapter", [(), "motion-fixed"])
def test_a_model_that_writes_into_its_input(adapter: str) -> None:
    def writes(x: Tensor) -> Tensor:
        return x.sub_(0.5).mul_(0.9).add_(0.5)

    ours, theirs = FrameRunner(writes, adapter), FrameRunner(lambda x: (x - 0.5) * 0.9 + 0.5, adapter)
    with torch.inference_mode():
        for frame in torch.rand(4, 1, 3, 37, 53):
            torch.testing.assert_close(ours.step(frame.clone()), theirs.step(frame.clone()))


class Strange(nn.Module):
    """A complex and a whole-number buffer, a complex weight, a kernel of three dimensions, and half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("phases", torch.tensor([1 + 2j, 3 - 4j]))
        self.register_buffer("order", torch.tensor([2, 1, 0]))
        self.spectrum = nn.Parameter(torch.tensor([1j]))
        self.deep = nn.Conv3d(1, 1, (1, 1, 1), bias=False)
        self.small = nn.Conv2d(3, 3, 1).half()

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.deep(self.small(frame)[:, self.order][:, None])[:, 0]
        return out * (self.phases.abs().sum() * self.spectrum.abs()).to(out)


def test_only_floating_tensors_are_cast() -> None:
    model = Strange()
    runner = FrameRunner(model, "output-fixed:0.5")
    with torch.inference_mode():
        assert runner.step(torch.rand(1, 3, 37, 53)).dtype == torch.float32
    assert model.phases.tolist() == [1 + 2j, 3 - 4j] and model.spectrum.dtype == torch.complex64
    assert model.order.dtype == torch.int64 and model.small.weight.dtype == torch.float32
    bfloat = FrameRunner(Strange(), "output-fixed:0.5", dtype=torch.bfloat16)
    assert bfloat.step(torch.rand(1, 3, 37, 53).bfloat16()).shape == (1, 3, 37, 53)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_that_computes_in_half_says_what_to_do(dtype: str) -> None:
    layer = nn.Conv2d(3, 3, 1)

    def model(x: Tensor) -> Tensor:
        return F.conv2d(x.to(getattr(torch, dtype)), layer.weight)

    with pytest.raises(ModelError, match=f"it computes in {dtype}: try --dtype {dtype}"):
        FrameRunner(model, ()).step(torch.rand(1, 3, 37, 53))


class PerPixel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.linear(frame.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


def test_quantized_and_parametrized_models_run_in_inference_mode() -> None:
    quantized = PerPixel()
    quantize_(quantized, Int8WeightOnlyConfig())
    for model in (weight_norm(nn.Conv2d(3, 3, 3, padding=1)), spectral_norm(nn.Conv2d(3, 3, 3, padding=1)), quantized):
        runner = FrameRunner(model, "motion-fixed")
        frame = torch.rand(1, 3, 37, 53)
        with torch.inference_mode():
            shown = runner.step(frame)
        torch.testing.assert_close(shown, model(frame).detach())


class Shadows(nn.Module):
    """A network with attributes that have the names of torch's methods."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Dropout(0.5))
        nn.init.dirac_(self.net[0].weight)
        self.children = self.modules = self.parameters = self.train = self.eval = [1]  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


@pytest.mark.parametrize("adapter", [(), "simple-fixed:0.5"])
def test_a_module_with_attributes_named_as_methods(adapter: str) -> None:
    frame = torch.rand(1, 3, 24, 32)
    torch.testing.assert_close(FrameRunner(Shadows(), adapter).step(frame), frame)


def test_depth_in_whole_numbers_keeps_its_units(tmp_path: Path) -> None:
    def millimetres(x: Tensor) -> Tensor:
        return (x.mean(dim=1) * 4000).to(torch.uint16)

    frame = torch.rand(1, 3, 24, 32)
    runner = FrameRunner(millimetres, (), values=ValueWriter(tmp_path))
    runner.step(frame)
    assert runner.kind == "depth"
    assert np.array_equal(np.load(tmp_path / "000000.npy"), millimetres(frame)[0].float().numpy())


@pytest.mark.parametrize("white", [1, 255])
def test_masks_in_whole_numbers_reach_white(white: int) -> None:
    frame = torch.rand(1, 3, 24, 32)
    runner = FrameRunner(Model(lambda x: (x[:, :1] > 0.5).byte() * white, kind="mask"), ())
    assert torch.equal(runner.step(frame), (frame[:, :1] > 0.5).float())


def test_classes_of_stated_labels_are_counted() -> None:
    frame = torch.rand(1, 3, 24, 32)
    for model in (lambda x: (x[:, 0] * 7).long(), lambda x: (x[:, :1] * 7).floor()):
        shown = FrameRunner(Model(model, kind="labels"), "output-fixed:1").step(frame)
        assert torch.equal(shown, palette(256)[(frame[:, 0] * 7).long()].permute(0, 3, 1, 2))
