"""Checkpoints as people save them, into a model."""

import collections
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from holdsteady.errors import ModelError
from holdsteady.models.weights import load_weights, save_weights


class Net(nn.Module):
    """A convolution, a norm with its counter, and two names for one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight


class Other:
    """What no file of tensors should hold."""


def state(value: float) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, value) for name, tensor in Net().state_dict().items()}


def prefixed(front: str, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {front + name: tensor for name, tensor in values.items()}


@pytest.mark.parametrize(
    "content",
    [
        state(2),
        collections.OrderedDict(state(2)),
        {"state_dict": state(2), "epoch": 3, "optimizer": {"lr": 0.1}},
        {"model_state_dict": prefixed("module.", state(2))},
        {"params": state(1), "params_ema": state(2)},
        {"params_ema": state(2), "params": state(1)},
        prefixed("module.", state(2)),
        prefixed("_orig_mod.module.", state(2)),
        {"state_dict": prefixed("net.", state(2)) | prefixed("teacher.", {"conv.weight": torch.zeros(1)})},
        {"state_dict": prefixed("net.module.", state(2)) | {"loss.scale": torch.zeros(1)}},
        {"model": state(1), "averaged_model": prefixed("module.", state(2)) | {"n_averaged": torch.tensor(3)}},
        {"generator": {"model": prefixed("model.", state(2))}},
        {name: tensor.half() for name, tensor in state(2).items()},
        {name: tensor for name, tensor in state(2).items() if name != "norm.num_batches_tracked"},
        {name: tensor for name, tensor in state(2).items() if name != "second.weight"},
        state(2) | {"total_ops": torch.zeros(1), "conv.total_params": torch.zeros(1)},
    ],
    ids=range(16),
)
def test_a_state_dict_is_found_wherever_it_stands(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    model = Net()
    load_weights(model, tmp_path / "w.pth")
    assert all(parameter.dtype == torch.float32 and (parameter == 2).all() for parameter in model.parameters())
    assert model.second.weight is model.first.weight


def test_names_in_front_that_only_the_model_has(tmp_path: Path) -> None:
    inner, outer = nn.Conv2d(3, 3, 1), nn.Sequential(collections.OrderedDict(body=nn.Conv2d(3, 3, 1)))
    save_file(inner.state_dict(), tmp_path / "w.safetensors")
    load_weights(outer, tmp_path / "w.safetensors")
    assert torch.equal(outer.body.weight, inner.weight)


def test_parts_that_the_model_has_none_of_are_left_out_aloud(tmp_path: Path) -> None:
    torch.save(state(2) | {"critic.weight": torch.zeros(2), "critic.bias": torch.zeros(2)}, tmp_path / "w.pth")
    model = Net()
    with pytest.warns(UserWarning, match=r"w\.pth has more in it than Net: critic$"):
        load_weights(model, tmp_path / "w.pth")
    assert (model.conv.weight == 2).all()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model, other = Net(), Net()
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_nothing_but_tensors_is_unpickled_unless_it_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": state(2), "args": Other()}, path)
    with pytest.raises(ModelError, match=r"w\.pth holds more than tensors \(.*Other\).*; if you trust .*--trust"):
        load_weights(Net(), path)
    model = Net()
    load_weights(model, path, trust=True)
    assert (model.conv.weight == 2).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**state(2), "conv.weight": torch.zeros(4, 3, 3, 3)}, r"conv.weight is \(4, 3, 3, 3\), not \(4, 3, 1, 1\)"),
        ({"state_dict": {"conv.weight": torch.zeros(4, 3, 1, 1)}}, "does not fit Net: conv.bias is missing; .* and "),
        (state(2) | {"extra": torch.zeros(1)}, "extra is not in it"),
        (state(2) | {"conv.2.weight": torch.zeros(1)}, "conv.2.weight is not in it"),
        ({"epoch": 3}, "holds no weights by name"),
    ],
)
def test_weights_that_do_not_fit(content: Any, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=words):
        load_weights(Net(), tmp_path / "w.pth")


def test_files_that_are_none(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
        with pytest.raises(ModelError, match=name):
            load_weights(Net(), tmp_path / name)
    with pytest.raises(ModelError, match="no weights file"):
        load_weights(Net(), tmp_path / "gone.pth")
    with pytest.raises(ModelError, match="a function has no weights"):
        load_weights(state, tmp_path / "w.pth")
