"""A base that changes once it is stabilized, or has other weights than the adapter knows; shadowed names."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import NETWORKS, attach, cnn, image
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import holdsteady as hs
from holdsteady.errors import PointError
from holdsteady.host.mirror import mirror, named_modules, named_parameters


def run(model: Any, clip: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return [image(model(frame)) for frame in clip]


def replace_module(base: nn.Module) -> None:
    base[2] = nn.Conv2d(6, 3, 1)  # type: ignore[operator]


def replace_deep_module(base: nn.Module) -> None:
    base[1] = nn.Sequential(nn.Tanh(), nn.ReLU())  # type: ignore[operator]


def add_module(base: nn.Module) -> None:
    base.append(nn.Tanh())  # type: ignore[operator]


def quantize(base: nn.Module) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    base.append(nn.Flatten(2)).append(nn.Linear(320, 320)).append(nn.Unflatten(2, (16, 20)))  # type: ignore[operator]
    quantize_(base, Int8WeightOnlyConfig())


def fill(base: nn.Module) -> None:
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.mul_(0.5)


def replace_parameter(base: nn.Module) -> None:
    base[0].weight = nn.Parameter(torch.randn(6, 3, 3, 3))  # type: ignore[index]


def load(base: nn.Module) -> None:
    base.load_state_dict(cnn().state_dict(), assign=True)


def parametrize(base: nn.Module) -> None:
    parametrizations.weight_norm(base[0])  # type: ignore[index]
    fill(base)


def thin_out(base: nn.Module) -> None:
    prune.l1_unstructured(base[0], "weight", amount=0.5)  # type: ignore[index]


def hook(base: nn.Module) -> None:
    base[0].register_forward_hook(lambda _module, _inputs, value: -value)  # type: ignore[index]


def patch(base: nn.Module) -> None:
    old = base[2].forward  # type: ignore[index]
    base[2].forward = lambda x: old(x) + 1  # type: ignore[index]


CHANGES = [
    replace_module,
    replace_deep_module,
    add_module,
    quantize,
    fill,
    replace_parameter,
    load,
    parametrize,
    thin_out,
    hook,
    patch,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["simple-fixed", "output-fixed:0.5"])
def test_a_change_of_the_base_is_followed(change: Callable[[nn.Module], None], kind: str) -> None:
    torch.manual_seed(0)
    clip, base = NETWORKS["cnn"].clip(4), cnn().eval()
    points = {"points": ("0", "output")} if kind == "simple-fixed" else {}
    steady = hs.stabilize(base, kind, example=clip[0], **points)
    before = run(steady, clip[:2])
    state = steady.state
    change(base)
    steady.reset()
    first = run(steady, clip[:1])[0]
    assert torch.equal(first, run(base, clip[:1])[0])
    assert not torch.allclose(first, before[0])
    output, _ = steady.step(clip[2], state)  # what was remembered stays
    assert not torch.equal(output, run(base, clip[2:3])[0])


def test_a_point_that_is_no_longer_there_is_told() -> None:
    clip, base = NETWORKS["cnn"].clip(2), cnn()
    steady = hs.stabilize(base, "simple-fixed", example=clip[0], points="0")
    steady(clip[0])
    del base[0]  # type: ignore[operator]
    base.insert(0, nn.Sequential(nn.Conv2d(3, 6, 1)))  # type: ignore[operator]
    assert steady(clip[1]).shape == clip[1].shape  # another module by the same name is the point now
    del base[0], base[0], base[0]  # type: ignore[operator]
    with pytest.raises(PointError, match="the model has no module '0'"):
        steady(clip[1])


def test_modules_in_plain_lists_are_followed_too() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Conv2d(3, 3, 1)]
            self.scales = {"a": torch.ones(1)}

        def forward(self, frame: Tensor) -> Tensor:
            out: Tensor = self.layers[0](frame) * self.scales["a"]
            return out

    base, frame = Listed(), torch.rand(1, 3, 8, 9)
    steady = hs.stabilize(base, "output-fixed")
    with torch.no_grad():
        base.layers[0].weight.mul_(2)
        assert torch.equal(steady(frame), base(frame))


class Shadows(nn.Module):
    """Attributes with the names of nn.Module's methods."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 3, 1))
        self.modules = [self.body]
        self.named_modules = {"body": self.body}
        self.parameters = {"depth": 3}
        self.named_parameters = "none"
        self.children = 2
        self.named_children = ()
        self.buffers = None
        self.eval = self.train = "mode"

    def forward(self, frame: Tensor) -> Tensor:
        assert self.modules[0] is self.body
        out: Tensor = self.body(frame)
        return out


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Shadows()

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.inner(frame)
        return out


@pytest.mark.parametrize("build", [Shadows, Nested])
@pytest.mark.parametrize("kind", ["simple-fixed", "simple-learned", "spatial", "motion-fixed"])
def test_attributes_with_the_names_of_methods(build: type[nn.Module], kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base, clip = build(), NETWORKS["cnn"].clip(3)
    prefix = "inner." if build is Nested else ""
    points = {"points": (f"{prefix}body.0", "output")} if kind != "motion-fixed" else {}
    steady = hs.stabilize(base, kind, example=clip[0], **points)
    expected = run(steady, clip)
    with torch.no_grad():  # in eval mode, whatever the base is in
        body = mirror(base)
        assert torch.equal(expected[0], body(clip[0]))
    assert f"{prefix}body.1" in str(hs.points(base, clip[0]))
    assert steady.cost(clip[0]).base_parameters == 3 * 6 * 9 + 6 + 12 + 18 + 3
    again = hs.stabilize(base, steady.save(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(run(again, clip), expected, strict=True))
    steady.double().reset()
    assert run(steady, [clip[0].double()])[0].dtype == torch.float64


def test_what_is_walked_is_what_torch_walks() -> None:
    for network in NETWORKS.values():
        assert list(named_modules(network.base)) == list(network.base.named_modules())
        ours, theirs = dict(named_parameters(network.base)), dict(network.base.named_parameters())
        assert ours.keys() == theirs.keys()
        assert all(ours[name] is theirs[name] for name in ours)


def test_eval_is_not_called_on_what_shares_the_weights() -> None:
    class Merging(nn.Module):
        """Merges its weights when it is switched, as adapters of language models do."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 1, 1))
            self.delta = nn.Parameter(torch.ones(3, 1, 1))

        def train(self, mode: bool = True) -> "Merging":
            if self.training and not mode:
                self.weight.data += self.delta.data
            return super().train(mode)

        def forward(self, frame: Tensor) -> Tensor:
            return frame * self.weight

    base = Merging()
    hs.stabilize(base, "output-fixed")(torch.rand(1, 3, 8, 9))
    assert torch.equal(base.weight, torch.ones(3, 1, 1))


@pytest.mark.parametrize("kind", ["spatial", "controlled", "simple-learned"])
def test_other_weights_of_the_same_network_are_told(kind: str, tmp_path: Path) -> None:
    network = NETWORKS["u-net"]
    base, frame = network.fresh(), network.clip(1)[0]
    steady = attach(base, kind, frame)
    folders = [steady.save(tmp_path / "a"), hs.save_adapter(steady.adapter(0), tmp_path / "b")]
    moved = network.fresh().to(memory_format=torch.channels_last).requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (base, moved, network.fresh().double()):  # in another dtype nothing can be told
            hs.stabilize(same, folders[0])
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.mul_(1.01)
    for folder in folders:
        with pytest.warns(UserWarning, match="trained on other weights of UNet than these") as caught:
            hs.stabilize(base, folder)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    steady.save(tmp_path / "c")  # now it is theirs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hs.stabilize(base, tmp_path / "c")


def test_adapters_at_the_border_go_with_every_network_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hs.stabilize(NETWORKS["u-net"].base, "nafnet16-light")
        hs.stabilize(NETWORKS["u-net"].base, "motion-fixed")
