"""What a batch takes for the same model, and what it does not."""

import functools
import importlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from holdsteady.jobs import content, keys
from holdsteady.jobs.content import Content, bytes_of
from holdsteady.jobs.keys import cuts_digest, model_digest
from holdsteady.jobs.work import Order, Worker
from holdsteady.models.display import Style
from holdsteady.models.model import Model
from holdsteady.video import RunOptions

GAIN = 0.5


def key(model: Callable[..., Any] | str) -> str:
    return model_digest(model, "") if callable(model) else str(Worker(Order(model, "none"), Path("out"))._base_key)


class Gain(nn.Module):
    def __init__(self, gain: object) -> None:
        super().__init__()
        self.inner = nn.Identity()
        self.inner.gain = gain

    def forward(self, frame: Tensor) -> Tensor:
        return frame * self.inner.gain


class Half(nn.Module):
    def forward(self, frame: Tensor) -> Tensor:
        return frame * 0.5


class Whole(nn.Module):
    def forward(self, frame: Tensor) -> Tensor:
        return frame * 1.0


class Plain:
    def __init__(self, gain: float) -> None:
        self.gain = gain

    def __call__(self, frame: Tensor) -> Tensor:
        return frame * self.gain

    def again(self, frame: Tensor) -> Tensor:
        return self(frame)


def closed_over(gain: object) -> Callable[[Tensor], Tensor]:
    return lambda frame: frame * gain


def default(gain: float) -> Callable[[Tensor], Tensor]:
    def model(frame: Tensor, by: float = gain) -> Tensor:
        return frame * by

    return model


def by_name(gain: float, frame: Tensor) -> Tensor:
    return frame * gain


def through_global(frame: Tensor) -> Tensor:
    return frame * GAIN


def hooked(gain: float) -> nn.Module:
    model = nn.Identity()
    model.register_forward_hook(lambda _module, _given, output: output * gain)
    return model


@pytest.mark.parametrize(
    "make",
    [
        Gain,
        Plain,
        closed_over,
        default,
        hooked,
        lambda gain: functools.partial(by_name, gain),
        lambda gain: Plain(gain).again,
        lambda gain: Model(closed_over(gain), kind="image"),
        lambda gain: closed_over(torch.tensor(gain, dtype=torch.float64)),
        lambda gain: closed_over(np.array([gain])),
        lambda gain: Gain({"of": [gain, {1, 2}]}),
        lambda gain: closed_over(Plain(gain)),
        lambda gain: nn.Sequential(nn.Identity(), nn.LeakyReLU(gain)),
    ],
)
def test_models_that_differ_in_one_value_have_different_keys(make: Callable[[float], Callable[..., Any]]) -> None:
    assert key(make(0.2)) == key(make(0.2))
    assert key(make(0.2)) != key(make(0.2 + 1e-9))


def test_other_code_is_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key(Half()) == key(Half())
    assert len({key(Half()), key(Whole()), key(lambda x: x * 0.2), key(lambda x: x * 0.9), key(lambda x: x + 0.2)}) == 5
    before = key(through_global)
    assert key(through_global) == before
    monkeypatch.setitem(globals(), "GAIN", 0.6)
    assert key(through_global) != before


def test_a_model_in_training_mode_is_the_same() -> None:
    model = Gain(0.5)
    before = key(model)
    assert key(model.eval()) == before


def test_what_cannot_be_told_is_never_the_same() -> None:
    example = torch.zeros(1, 3, 4, 4)
    for thing in (threading.Lock(), (n for n in range(3)), torch.jit.trace(Half(), example)):
        assert key(closed_over(thing)) != key(closed_over(thing))
        content = Content()
        content.of(thing)
        assert content.unknown


HOLDER = """
from torch import nn

class Settings:
    gain = 1.0

net, settings = nn.Conv2d(3, 3, 1), Settings()
"""


def test_what_a_module_of_ones_own_holds_belongs_to_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "holder_of_parts.py").write_text(HOLDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    holder: Any = importlib.import_module("holder_of_parts")

    def model(frame: Tensor) -> Any:
        return holder.net(frame) * holder.settings.gain

    keys = [key(model)]
    holder.net.weight.data.zero_()
    keys.append(key(model))
    holder.settings.gain = 5.0
    keys.append(key(model))
    holder.Settings.gain = 7.0
    keys.append(key(model))
    assert len({*keys}) == 4


class Cached:
    @functools.cached_property
    def gain(self) -> float:
        return 0.5

    def __call__(self, frame: Tensor) -> Tensor:
        return frame * self.gain


def test_what_libraries_made_can_be_told() -> None:
    for thing in (re.compile("a+"), np.sqrt, Cached()):
        content = Content()
        content.of(thing)
        assert not content.unknown
    assert key(closed_over(re.compile("a"))) != key(closed_over(re.compile("b")))


def test_the_current_folder_is_no_part_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = key("denoise")
    for name in ("config.json", "other.py"):
        (tmp_path / name).write_text("{}")
    assert key("denoise") == before


MODELS = """
import helper
import torch
from torch import nn
from helper import scaled

class Net(nn.Module):
    names = {"a", "b", "c", "d"}
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 1)
        self.known = frozenset(("red", "green", "blue", "grey"))
        self.by = {"gain": 0.5, "shape": (1, 2), "dtype": torch.float32}
    def forward(self, x):
        return scaled(self.conv(x)) if x.device.type in {"cpu", "cuda"} else helper.twice(x)

def build():
    return Net()
"""
HELPER = """
def scaled(x):
    return 0.5 * x

def twice(x):
    return x + x
"""
PRINT_KEYS = """
import sys
from pathlib import Path
sys.path.insert(0, "")
import model
from holdsteady.jobs.keys import model_digest
from holdsteady.jobs.work import Order, Worker
gain = 0.5
print(model_digest(model.build(), ""))
print(model_digest(lambda frame: model.build()(frame) * gain, ""))
print(Worker(Order("model.py:build", "motion-fixed"), Path("out"))._base_key)
print(Worker(Order("denoise", "motion-fixed"), Path("out"))._base_key)
"""


def keys_in_a_process(folder: Path, seed: str) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-c", PRINT_KEYS]
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_keys_are_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODELS)
    (tmp_path / "helper.py").write_text(HELPER)
    first = keys_in_a_process(tmp_path, "1")
    assert len(set(first)) == 4
    assert keys_in_a_process(tmp_path, "2") == first
    (tmp_path / "helper.py").write_text(HELPER.replace("0.5", "0.6"))
    changed = keys_in_a_process(tmp_path, "3")
    assert [one == other for one, other in zip(first, changed, strict=True)] == [False, False, False, True]
    (tmp_path / "helper.py").write_text(HELPER.replace("x + x", "3 * x"))  # reached as an attribute of the module
    changed = keys_in_a_process(tmp_path, "4")
    assert [one == other for one, other in zip(first, changed, strict=True)] == [False, False, False, True]


def test_what_is_said_beside_the_model_is_told_by_content(tmp_path: Path) -> None:
    """The numbers in a file of cuts, and every pixel of a background."""
    cuts = tmp_path / "cuts.txt"
    cuts.write_text("1\n")
    before, order = cuts_digest(str(cuts)), Order(Half(), "none", options=RunOptions(cuts=str(cuts)))
    key_before = Worker(order, tmp_path)._base_key
    assert Worker(order, tmp_path)._base_key == key_before
    cuts.write_text("# the same\n1\n")
    assert cuts_digest(str(cuts)) == before
    cuts.write_text("2\n")
    assert cuts_digest(str(cuts)) != before
    assert Worker(order, tmp_path)._base_key != key_before
    picture = torch.zeros(3, 200, 200)
    plain = Worker(Order(Half(), "none", style=Style(background=picture)), tmp_path)._base_key
    picture[0, 100, 100] = 1
    assert Worker(Order(Half(), "none", style=Style(background=picture)), tmp_path)._base_key != plain


def test_what_lies_beside_a_file_belongs_to_it(tmp_path: Path) -> None:
    for name, beside in (("net.onnx", "net.onnx.data"), ("folder", "folder/config.json")):
        if name == "folder":
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(b"graph")
        (tmp_path / beside).write_bytes(b"one")
        before = model_digest(Half(), str(tmp_path / name))
        (tmp_path / beside).write_bytes(b"two")
        assert model_digest(Half(), str(tmp_path / name)) != before


@pytest.mark.parametrize("make", [Half, lambda: nn.Conv2d(3, 3, 3), lambda: Model(nn.Conv2d(3, 3, 3), kind="image")])
def test_values_are_read_once(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = make(), list[Tensor]()

    def counted(tensor: Tensor) -> bytes:
        read.append(tensor)
        return bytes_of(tensor)

    for module in (content, keys):
        monkeypatch.setattr(module, "bytes_of", counted)
    before = key(model)
    assert len(read) == len(list(model.parameters()))
    for parameter in model.parameters():
        with torch.no_grad():
            parameter[0] += 1
        assert key(model) != before
