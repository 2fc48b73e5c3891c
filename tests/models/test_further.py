"""Networks that take frames at no usual padding, and what errors advise."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from holdsteady.errors import ModelError
from holdsteady.models.model import Model
from holdsteady.models.runner import FrameRunner
from holdsteady.models.sizes import try_model

_RAMP = torch.linspace(0, 1, 160).expand(1, 3, 90, 160).contiguous()


class Of(nn.Module):
    """Takes frames of one size, or of a multiple from some size on."""

    def __init__(self, *size: int, multiple: int = 1, least: int = 1) -> None:
        super().__init__()
        self.size, self.multiple, self.least = size, multiple, least

    def forward(self, frame: Tensor) -> Tensor:
        sides = frame.shape[-2:]
        if self.size and sides != self.size:
            raise AssertionError(f"Input size {tuple(sides)} doesn't match model {self.size}")
        if any(side % self.multiple for side in sides) or min(sides) < self.least:
            raise AssertionError(f"no multiples of {self.multiple}")
        return frame.clone()


@pytest.mark.parametrize("adapter", ["motion-fixed", "live"])
@pytest.mark.parametrize(
    ("model", "size"), [(Of(224, 224), "224x224"), (Of(64, 64), "64x64"), (Of(512, 512), "512x512")]
)
def test_a_network_of_one_square_is_given_that(model: nn.Module, size: str, adapter: str) -> None:
    runner = FrameRunner(model, adapter)
    with pytest.warns(UserWarning, match=f"they are resized to {size}; set another with --model-size"):
        shown = runner.step(_RAMP)
    for one in (shown, runner.step(_RAMP)):
        torch.testing.assert_close(one, _RAMP, atol=0.02, rtol=0)


@pytest.mark.parametrize("model", [Of(multiple=72), Of(multiple=96), Of(multiple=128), Of(multiple=16, least=256)])
def test_multiples_beyond_those_that_are_usual(model: nn.Module) -> None:
    runner = FrameRunner(model, "motion-fixed")
    for _ in range(2):
        torch.testing.assert_close(runner.step(_RAMP), _RAMP)


@pytest.mark.parametrize("adapter", ["none", "motion-fixed", "live", "universal"])
@pytest.mark.parametrize("multiple", [1, 8])
def test_channels_at_the_end_of_what_comes_out(multiple: int, adapter: str) -> None:
    def model(frame: Tensor) -> Any:
        if frame.shape[-1] % multiple:
            raise ValueError("no multiple")
        return {"out": frame.permute(0, 2, 3, 1)}

    told: list[str] = []
    runner = FrameRunner(model, adapter, note=told.append)
    for _ in range(2):
        torch.testing.assert_close(runner.step(_RAMP), _RAMP)
    assert told[0].startswith("output: 3×")
    with pytest.raises(ModelError, match="other proportions"):  # of what only runs can make up for
        try_model(model, _RAMP)


def test_a_network_of_another_size_has_to_say_so() -> None:
    with pytest.raises(ModelError, match=r"\(192, 640\).*state it \(--model-size"):
        FrameRunner(Of(192, 640), "none").step(_RAMP)


@pytest.mark.parametrize("model", [lambda x: x.flatten(2), lambda x: x[..., 2:-2, 2:-2], nn.Flatten(1, 2)])
def test_what_comes_out_is_no_matter_of_size(model: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match="other proportions than its input"):
        FrameRunner(model, "none").step(_RAMP)


def test_what_a_card_says_is_not_tried_otherwise() -> None:
    with pytest.raises(ModelError, match="doesn't match model"):
        FrameRunner(Model(Of(224, 224), multiple=8), "none").step(_RAMP)


def _two(frame: Tensor, _noise: Tensor) -> Tensor:
    return frame


def _named(frame: Tensor, *, noise: float) -> Tensor:
    return frame * noise


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (_two, "takes more than a frame: wrap it in a function of one frame in a file, and name that"),
        (_named, "takes more than a frame"),
        (nn.Conv2d(1, 1, 1), "takes grey frames: give --channels gray"),
        (nn.Conv2d(4, 1, 1), "takes 4 channels: wrap it in a function of one frame"),
        (lambda frame: frame.astype(float), r"give --layout hwc-uint8; if PIL images, .* Image\.fromarray"),
        (lambda frame: frame.filter(3), "if PIL images"),
    ],
)
def test_errors_say_what_to_do(model: Callable[..., Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        FrameRunner(model, "none").step(_RAMP)
