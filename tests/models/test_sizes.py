"""Which sizes a model takes, and frames and results in them."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from holdsteady.errors import ModelError
from holdsteady.models.card import ModelCard
from holdsteady.models.model import Model
from holdsteady.models.nafnet import NAFNet
from holdsteady.models.sizes import MULTIPLES, crop_to, fit, pad_to, size_taken, try_model, unfit
from holdsteady.models.values import image_of

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

    def forward(self, frame: Tensor) -> Tensor:
        if frame.shape[-2] % self.stride or frame.shape[-1] % self.stride:
            raise ArithmeticError("odd")
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
    ("make", "multiple"),
    [(lambda n=n: Picky(n), n) for n in range(1, 65)] + [(UNet, 4), (Quarter, 4), (lambda: NAFNet(4), 1), (lraspp, 1)],
    ids=[*map(str, range(1, 65)), "unet", "quarter", "nafnet", "lraspp"],
)
@pytest.mark.parametrize("size", [(37, 70), (480, 640)])
def test_the_multiple_is_found(make: Callable[[], nn.Module], multiple: int, size: tuple[int, int]) -> None:
    frame = torch.rand(1, 3, *size)
    trial = try_model(make(), frame)
    # What windows and patches ask for is tried before the divisors of that.
    assert trial.multiple == {3: 12, 6: 12, 7: 14}.get(multiple, multiple)
    assert max(trial.example.shape[-2:]) <= 220


def test_few_runs_find_what_is_common() -> None:
    assert sorted(MULTIPLES) == list(range(1, 65))
    for multiple, most in ((1, 1), (8, 4), (32, 6), (14, 7), (12, 8), (28, 10), (48, 11)):
        runs = []

        def model(frame: Tensor, multiple: int = multiple, runs: list[int] = runs) -> Tensor:
            runs.append(1)
            return Picky(multiple)(frame)

        try_model(model, torch.rand(1, 3, 240, 320))
        assert len(runs) <= most


def test_a_multiple_is_not_found_by_chance() -> None:
    # 168 is what a part of a frame of 1000 pixels may well have, and 12 divides it.
    trial = try_model(Picky(12), torch.rand(1, 3, 1000, 1000))
    assert trial.multiple == 12


def test_trials_touch_no_frame_and_leave_inference_mode() -> None:
    def writes(frame: Tensor) -> Tensor:
        assert not torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
        return frame.zero_() if frame.shape[-1] % 4 == 0 else frame.zero_()[..., :-1]

    frame = torch.rand(1, 3, 40, 60)
    before = frame.clone()
    with torch.inference_mode():
        assert try_model(writes, frame).multiple == 4
    assert torch.equal(frame, before)


def test_a_model_that_takes_no_size_at_all() -> None:
    with pytest.raises(
        ModelError, match=r"frame \(1, 3, 37, 53\) at any padding up to 64: ArithmeticError: odd \(test"
    ):
        try_model(Picky(128), torch.rand(1, 3, 37, 53))
    with pytest.raises(ModelError, match=r"gives torch.float32 \(1, 3, 37, 52\) .* other proportions"):
        try_model(lambda frame: frame[..., :-1], torch.rand(1, 3, 37, 53))


def test_a_result_of_one_size_is_noticed() -> None:
    trial = try_model(lambda frame: F.adaptive_avg_pool2d(frame, (24, 40)), torch.rand(1, 3, 90, 100))
    assert trial.stretched and trial.multiple == 1
    ceiled = try_model(lambda frame: F.avg_pool2d(frame, 32, ceil_mode=True), torch.rand(1, 3, 90, 100))
    assert not ceiled.stretched and ceiled.multiple == 32


@pytest.mark.parametrize(
    ("card", "size", "taken"),
    [
        (ModelCard(size=(256, 256)), (90, 160), (256, 256)),
        (ModelCard(size=518, multiple=14), (90, 160), (518, 924)),
        (ModelCard(size=518, multiple=14), (518, 924), (518, 924)),
        (ModelCard(size=100), (50, 75), (100, 150)),
        (ModelCard(multiple=14), (90, 160), (98, 168)),
        (ModelCard(), (90, 160), (90, 160)),
    ],
)
def test_frames_are_fitted_and_results_brought_back(
    card: ModelCard, size: tuple[int, int], taken: tuple[int, int]
) -> None:
    ramp = torch.linspace(0, 1, size[1]).expand(1, 3, *size)
    fitted = fit(ramp, card)
    assert fitted.shape[-2:] == taken
    assert torch.equal(fit(fitted, card), fitted)
    back = unfit(fitted, fitted, ramp, card)
    assert back.shape == ramp.shape
    torch.testing.assert_close(back, ramp, atol=0.02, rtol=0)
    doubled = unfit(F.interpolate(fitted, scale_factor=2)[:, 0], fitted, ramp, card)
    assert doubled.shape == (1, 2 * size[0], 2 * size[1])
    assert (size_taken(card, *size) is None) == (card.size is None)


def test_resizing_does_not_alias() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(128).expand(1, 3, 64, 256)
    small = fit(stripes, ModelCard(size=(16, 64)))
    assert (small[..., 4:-4] - 0.5).abs().max() < 0.05


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: {"n": 3, "depth": x}, lambda x: [x.numpy()]])
def test_image_in_what_a_model_returns(wrap: Callable[[Tensor], object]) -> None:
    frame = torch.rand(2, 3, 4, 5)
    assert torch.equal(image_of(wrap(frame)), frame)
    assert torch.equal(image_of(wrap(frame[:, 0])), frame[:, :1])


@pytest.mark.parametrize("thing", [None, "text", {}, torch.zeros(1, 10), torch.zeros(1, 4, 5, dtype=torch.long)])
def test_no_image(thing: object) -> None:
    with pytest.raises(ModelError, match="not a floating image"):
        image_of(thing)


def test_what_is_no_floating_image_may_be_class_numbers_or_a_mask() -> None:
    with pytest.raises(ModelError, match=r"say how many there are: .*, or --kind labels --classes 21$"):
        image_of(torch.zeros(1, 4, 5, dtype=torch.long))
    with pytest.raises(ModelError, match=r"if it is a mask, say so: .*, or --kind mask$"):
        image_of(torch.zeros(1, 4, 5) > 0)


class Keeps(nn.Module):
    """The mean with the last frame, which it remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", None)
        self.calls = 0

    def forward(self, frame: Tensor) -> Tensor:
        self.last = frame if self.last is None else (frame + self.last) / 2
        self.calls += 1
        out: Tensor = self.last
        return out


def test_trials_leave_nothing_in_the_model() -> None:
    model = Keeps()
    assert try_model(model, torch.rand(1, 3, 37, 53)).multiple == 1
    assert model.last is None and model.calls == 0


@pytest.mark.parametrize(
    ("card", "least", "multiple", "taken"),
    [(None, 64, 1, 112), (None, 112, 1, 112), (None, 128, 16, 128), (ModelCard(multiple=16), 100, 16, 112)],
)
def test_a_model_that_takes_no_small_frames(card: ModelCard | None, least: int, multiple: int, taken: int) -> None:
    def model(frame: Tensor) -> Tensor:
        if min(frame.shape[-2:]) < least or frame.shape[-2] % multiple or frame.shape[-1] % multiple:
            raise ValueError("too small")
        return frame

    small, large = torch.rand(1, 3, 40, 150), torch.rand(1, 3, 240, 320)
    trial = try_model(model, small, card)
    fitted = fit(small, ModelCard(multiple=trial.multiple), trial.least)
    assert fitted.shape[-2] == taken
    assert torch.equal(model(fitted)[..., :40, :150], small)
    assert try_model(model, large, card).least == 1


def test_pictures_without_the_axis_of_the_batch() -> None:
    with pytest.raises(ModelError, match=r"\(3, 112, 113\) for a batch of 1; .* return output\[None\]"):
        try_model(lambda frame: frame[0], torch.rand(1, 3, 120, 130))


def test_what_a_card_asks_in_vain_is_no_matter_of_size() -> None:
    with pytest.raises(ModelError, match=r"^the model gives no output 'b'; it gives a$"):
        try_model(Model(lambda frame: {"a": frame}, output="b"), torch.rand(1, 3, 120, 130))


def test_a_model_of_one_size_is_tried_on_the_whole_frame() -> None:
    def rigid(frame: Tensor) -> Tensor:
        if frame.shape[-2:] != (224, 320):
            raise ValueError("224×320 only")
        return frame

    trial = try_model(rigid, torch.rand(1, 3, 224, 320))
    assert (trial.multiple, tuple(trial.example.shape)) == (1, (1, 3, 224, 320))
    with pytest.raises(ModelError, match=r"224×320 only .*state it \(--model-size"):
        try_model(rigid, torch.rand(1, 3, 90, 160))
    trial = try_model(rigid, torch.rand(1, 3, 90, 160), ModelCard(size=(224, 320)))
    assert tuple(trial.example.shape) == (1, 3, 224, 320)
