"""A model card, and a model behind one."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import ConfigError, ModelError
from holdsteady.loading import card_of_adapters
from holdsteady.models.card import ModelCard, make_card, read_card


class Net(nn.Module):
    """Notes what it was given last; has a block inside, a buffer, and a module list."""

    scale: Tensor

    def __init__(self, returns: Callable[[Tensor], Any] = lambda x: x) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.conv.weight)
        self.blocks = nn.ModuleList([nn.Identity()])
        self.register_buffer("scale", torch.ones(1))
        self.returns = returns
        self.seen: list[Tensor] = []

    def forward(self, frame: Tensor) -> Any:
        self.seen.append(frame)
        out = self.blocks[0](self.conv(frame)) * self.scale
        return self.returns(out)


FRAME = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"range": (0, 255)}, lambda x: 255 * x),
        ({"range": (-1, 1)}, lambda x: 2 * x - 1),
        ({"channels": "bgr"}, lambda x: x.flip(1)),
        ({"range": (0, 255), "mean": (1, 2, 3), "std": 4, "channels": "bgr", "output_range": (0, 1)}, None),
        ({"layout": "bhwc"}, lambda x: x.permute(0, 2, 3, 1)),
    ],
)
def test_frames_are_given_as_the_model_wants_them(
    fields: dict[str, Any], wanted: Callable[[Tensor], Tensor] | None
) -> None:
    seen = []

    def fn(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return x

    out = hs.Model(fn, **fields)(FRAME)
    if wanted is None:
        mean = torch.tensor([1.0, 2, 3])[:, None, None]
        torch.testing.assert_close(seen[0], (255 * FRAME.flip(1) - mean) / 4)
    else:
        torch.testing.assert_close(seen[0], wanted(FRAME))
        torch.testing.assert_close(out, FRAME, atol=1e-6, rtol=1e-5)


@given(low=st.floats(-300, 300), span=st.floats(0.1, 300), bgr=st.booleans())
def test_ranges_and_channels_are_undone_on_the_way_out(low: float, span: float, bgr: bool) -> None:
    model = hs.Model(lambda x: x, range=(low, low + span), channels="bgr" if bgr else "rgb")
    torch.testing.assert_close(model(FRAME), FRAME, atol=1e-3, rtol=0)


def test_gray_is_the_luma() -> None:
    gray = hs.Model(lambda x: x, channels="gray")(FRAME)
    torch.testing.assert_close(gray[:, 0], 0.299 * FRAME[:, 0] + 0.587 * FRAME[:, 1] + 0.114 * FRAME[:, 2])


def test_a_function_of_arrays() -> None:
    def invert(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert array.dtype == np.uint8 and array.shape == (6, 8, 3)
        return 255 - array[:, ::-1]

    out = hs.Model(invert, layout="hwc-uint8", channels="bgr")(FRAME)
    torch.testing.assert_close(out, 1 - FRAME.flip(3), atol=0.5 / 255 + 1e-6, rtol=0)
    edges = hs.Model(lambda a: (a[..., 0] > 127).astype(np.float32) * 5, layout="hwc-uint8", kind="depth")(FRAME)
    assert edges.shape == (2, 6, 8) and set(edges.unique().tolist()) <= {0.0, 5.0}
    both = hs.Model(lambda a: {"a": a, "b": (a[..., 0], 3)}, layout="hwc-uint8", output="b.0")(FRAME)
    torch.testing.assert_close(both, FRAME[:, 0], atol=0.5 / 255 + 1e-6, rtol=0)


class Named(NamedTuple):
    """As some models return them."""

    features: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    ("output", "returns"),
    [
        ("out", lambda x: {"features": x.repeat(1, 4, 1, 1), "out": x}),
        (1, lambda x: (x * 0, x)),
        (-1, lambda x: [x * 0, x * 0, x]),
        ("logits", lambda x: Named(x * 0, x)),
        ("a.1.b", lambda x: {"a": (x * 0, {"b": x})}),
    ],
)
def test_an_output_is_chosen(output: str | int, returns: Callable[[Tensor], Any]) -> None:
    assert torch.equal(hs.Model(returns, output=output)(FRAME), FRAME)


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"no output 'outt' \(did you mean out\?\); it gives features, out"):
        hs.Model(lambda x: {"features": x, "out": x}, output="outt")(FRAME)
    with pytest.raises(ModelError, match="no output '2'; it gives 0, 1"):
        hs.Model(lambda x: (x, x), output=2)(FRAME)
    with pytest.raises(ModelError, match=r"gives torch.float32 \(2, 3\), not an image"):
        hs.Model(lambda x: x.mean(dim=(2, 3)), range=(0, 255))(FRAME)


def test_without_a_name_the_image_is_changed_where_it_stands() -> None:
    out = hs.Model(lambda x: {"n": 3, "image": x}, range=(0, 255))(FRAME)
    assert out["n"] == 3
    torch.testing.assert_close(out["image"], FRAME)


def test_class_numbers_become_one_hot() -> None:
    numbers = torch.arange(12).reshape(1, 3, 4) % 5
    for shape in (numbers, numbers[:, None], numbers.byte()):
        out = hs.Model(lambda _, shape=shape: shape, kind="labels", classes=5)(FRAME[:1])
        assert out.shape == (1, 5, 3, 4) and out.is_floating_point()
        assert torch.equal(out.argmax(dim=1), numbers)
    with pytest.raises(ModelError, match="gives class number 4, and there are 3 classes"):
        hs.Model(lambda _: numbers, kind="labels", classes=3)(FRAME[:1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool])
def test_whole_numbers_and_truths_are_pictures_and_masks(dtype: torch.dtype) -> None:
    model = hs.Model(lambda x: (x * 255).to(dtype), kind="image" if dtype == torch.uint8 else "mask")
    wanted = (FRAME * 255).to(dtype).float() / (255 if dtype == torch.uint8 else 1)
    torch.testing.assert_close(model(FRAME), wanted)


@pytest.mark.parametrize("fields", [{"multiple": 12}, {"size": (24, 36)}, {"size": 28, "multiple": 14}])
def test_sizes_are_changed_and_brought_back(fields: dict[str, Any]) -> None:
    seen = []

    def twice(x: Tensor) -> dict[str, Tensor]:
        seen.append(tuple(x.shape[-2:]))
        return {"sr": nn.functional.interpolate(x, scale_factor=2)}

    frame = torch.rand(1, 3, 30, 40)
    out = hs.Model(twice, **fields)(frame)["sr"]
    assert out.shape == (1, 3, 60, 80)
    assert seen == [{"multiple": (36, 48), "size": (24, 36)}.get(next(iter(fields))) if len(fields) == 1 else (28, 42)]


def test_names_and_state_dict_are_the_models_own() -> None:
    net = Net()
    model = hs.Model(net, range=(0, 255))
    assert model.state_dict().keys() == net.state_dict().keys() == {"conv.weight", "scale"}
    assert dict(model.named_modules()).keys() == dict(net.named_modules()).keys()
    assert [name for name, _ in model.named_parameters()] == ["conv.weight"]
    model.load_state_dict({"conv.weight": 2 * net.conv.weight, "scale": torch.ones(1)})
    assert net.conv.weight.max() == 2
    assert model.train().training and net.training and net.conv.training
    assert not model.eval().training and not net.conv.training
    model.double()
    assert net.conv.weight.dtype == model.conv.weight.dtype == torch.float64
    twin = copy.deepcopy(model)
    twin.conv.weight.data.zero_()
    assert twin.fn.conv.weight.max() == 0 and net.conv.weight.max() == 2
    names = [info.point.name for info in hs.points(model.float(), FRAME)]
    assert names == ["input", "conv", "blocks.0", "output"]


def test_an_adapter_made_without_a_card_fits_with_one_and_points_inside_are_reached() -> None:
    net = Net()
    adapter = hs.stabilize(net, "simple-learned", example=FRAME, points=["conv"], initial_a=0.0).adapter(0)
    steady = hs.stabilize(hs.Model(net, range=(0, 255)), adapter)
    dark, bright = torch.zeros(1, 3, 6, 8), torch.ones(1, 3, 6, 8)
    steady(dark)
    out = steady(bright)
    assert 0.3 < out.mean() < 0.7, "the layer inside is held back"
    assert net(bright).mean() == 1


def test_cards_are_laid_over_each_other_and_kept_as_json() -> None:
    library, user = ModelCard(size=(4, 4), mean=0.5, kind="depth"), ModelCard(size=None, kind="classes")
    both = user.over(library)
    assert both.stated == {"mean": 0.5, "kind": "classes", "size": None}
    assert read_card(both.model_dump_json(exclude_unset=True)) == both
    nested = hs.Model(hs.Model(lambda x: x, library), user)
    assert nested.card == both and not isinstance(nested.fn, hs.Model)
    with pytest.raises(ConfigError, match="damaged"):
        read_card('{"range": 3}')


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"range": (1, 1)}, r"range = 1..1: black and white are the same"),
        ({"std": 0}, "std = 0.0: has to be above 0"),
        ({"mean": (1, 2)}, "mean has 2 numbers; expected one, or 3 for rgb"),
        ({"kind": "pictures"}, "kind: Input should be 'image', 'depth', 'classes', 'mask' or 'labels'"),
        ({"size": (0, 3)}, "size: "),
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"layout": "hwc-uint8", "range": (0, 255)}, "hwc-uint8 is 0…255"),
    ],
)
def test_a_card_that_makes_no_sense(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_card(**fields)
    with pytest.raises(ConfigError, match="model card"):
        hs.Model(lambda x: x, **fields)


@pytest.mark.parametrize("make", [lambda: torch.jit.trace(nn.Conv2d(3, 3, 1).eval(), FRAME), lambda: lambda x: 1 - x])
def test_around_a_black_box_points_are_input_and_output(make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
    box = make()
    model = hs.Model(box, range=(0, 255))
    assert [info.point.name for info in hs.points(model, FRAME)] == ["input", "output"]
    steady = hs.stabilize(model, "output-fixed:0.5").double()
    with torch.no_grad():
        first, second = steady(FRAME.double()), steady(1 - FRAME.double())
        torch.testing.assert_close(first, model(FRAME.double()))
        torch.testing.assert_close(second, (first + model(1 - FRAME.double())) / 2)


def test_an_adapter_keeps_the_card(tmp_path: Path) -> None:
    model = hs.Model(Net(), range=(0, 255), channels="bgr", kind="image")
    hs.stabilize(model, "simple-learned", example=FRAME, points=["conv"]).save(tmp_path / "adapter")
    adapter = hs.load_adapter(tmp_path / "adapter")
    assert adapter.base["class"].endswith("Net")
    assert card_of_adapters([adapter]) == model.card
    assert card_of_adapters(["motion-fixed"]) is None


def test_around_a_module_with_attributes_named_as_methods() -> None:
    class Shadows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Conv2d(3, 3, 1)
            self.children = self.modules = self.train = [1]  # type: ignore[assignment]

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.net(x)
            return out

    inner = Shadows()
    model = hs.Model(inner, range=(0, 255)).eval().to(torch.float64)
    assert not inner.training and not inner.net.training
    assert inner.net.weight.dtype == torch.float64 and model(FRAME.double()).shape == FRAME.shape
