"""Networks as strangers write them: they write into their input, have parametrized weights or learned queries."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.flop_counter import FlopCounterMode
from torchao.quantization import Int8WeightOnlyConfig, quantize_

import holdsteady as hs
from holdsteady.host.flops import FlopCounter


class Queries(nn.Module):
    """Learned queries, passed through a layer, that look at the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 3, 8))
        self.project = nn.Linear(8, 8)
        self.embed = nn.Conv2d(3, 8, 1)

    def forward(self, frame: Tensor) -> Tensor:
        features = self.embed(frame)
        out: Tensor = torch.einsum("bqc,bchw->bqhw", self.project(self.queries).expand(len(frame), -1, -1), features)
        return out


class PerPixel(nn.Module):
    """A linear layer on the channels of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.linear(frame.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


class InPlace(nn.Module):
    """Takes a mean off its input in place, as torchvision's Normalize may do."""

    def forward(self, frame: Tensor) -> Tensor:
        return frame.sub_(0.5).mul_(0.9).add_(0.5)


def weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU())


def spectral_norm() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 3, 3, padding=1)), nn.ReLU())


def int8() -> nn.Module:
    model = PerPixel()
    quantize_(model, Int8WeightOnlyConfig())
    return model


STRANGERS = [weight_norm, spectral_norm, int8, Queries]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("build", STRANGERS)
def test_a_stranger_can_be_listed_and_held_steady(build: Callable[[], nn.Module], mode: type) -> None:
    model = build().eval()
    frames = torch.rand(3, 1, 3, 8, 10)
    with mode():
        names = [info.point.name for info in hs.points(model, frames[0])]
        assert names[0] == "input" and names[-1] == "output" and len(names) > 2
        steady = hs.stabilize(model, "output-fixed:0.5", example=frames[0])
        got = [steady(frame) for frame in frames]
        first, second = model(frames[0]), model(frames[1])
    torch.testing.assert_close(got[0], first)
    torch.testing.assert_close(got[1], 0.5 * first + 0.5 * second)
    assert steady.cost(frames[0]).base_macs_per_pixel >= 0


def test_looking_at_a_model_never_touches_the_frame() -> None:
    frame = torch.rand(1, 3, 8, 10)
    before = frame.clone()
    hs.points(InPlace(), frame)
    hs.stabilize(InPlace(), "simple-learned", example=frame, points=("output",)).cost(frame)
    assert torch.equal(frame, before)


@pytest.mark.parametrize("kind", ["output-fixed:0.5", "motion-fixed", "simple-fixed:0.5"])
def test_a_model_that_writes_into_its_input_is_stabilized_as_one_that_does_not(kind: str) -> None:
    def careful(frame: Tensor) -> Tensor:
        return (frame - 0.5) * 0.9 + 0.5

    clip = torch.rand(4, 1, 3, 24, 32)
    points = {"points": ("input", "output")} if kind.startswith("simple") else {}
    ours, theirs = hs.stabilize(InPlace(), kind, **points), hs.stabilize(careful, kind, **points)
    for frame in clip:
        torch.testing.assert_close(ours(frame.clone()), theirs(frame.clone()))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_operations_are_counted_as_torch_counts_them(mode: type) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 3, 1))
    frame = torch.rand(2, 3, 12, 16)
    with torch.no_grad(), FlopCounterMode(display=False) as known:
        model(frame)
    with mode(), FlopCounter() as ours:
        model(frame)
    assert ours.total == known.get_total_flops() > 0
    with mode(), FlopCounter() as scaled:
        nn.functional.scaled_dot_product_attention(*torch.rand(3, 1, 2, 16, 8))
    assert scaled.total == 2 * 2 * (2 * 16 * 16 * 8)
