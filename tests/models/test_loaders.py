"""What a user may name as a model, and what is said when there is none."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from holdsteady.errors import ModelError
from holdsteady.loading import load
from holdsteady.models.card import ModelCard
from holdsteady.models.model import Model
from holdsteady.models.nafnet import NAFNet

FILE = """
from __future__ import annotations

from dataclasses import dataclass

import torch
from halves import half
from torch import nn


@dataclass
class Settings:
    factor: float = 0.5


class Scale(nn.Module):
    def __init__(self, settings: Settings = Settings()):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(settings.factor))

    def forward(self, frame):
        return self.factor * frame


class Needy(Scale):
    def __init__(self, settings):
        super().__init__(settings)


scale = Scale()


def make():
    return Scale()


def make_function():
    return half


def function(frame):
    return half(frame)


def any_arguments(function):
    def call(*arguments, **named):
        return function(*arguments, **named)

    return call


decorated, decorated_make = any_arguments(function), any_arguments(make)


def broken():
    raise OSError("no weights here")


def broken_list():
    return [][0]


decorated_broken, decorated_broken_list = any_arguments(broken), any_arguments(broken_list)
sigmoid, first, only = any_arguments(torch.sigmoid), lambda *frames: frames[0], lambda *frames: (lambda x: x)(*frames)


def nothing():
    return None


number = 3
"""

Spec = Callable[[str], str]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """``spec("name")`` names a thing in FILE, which imports from a file beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("net", "halves"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "net.py").write_text(FILE)
    (tmp_path / "halves.py").write_text("def half(frame):\n    return 0.5 * frame\n")
    return lambda name: f"{tmp_path / 'net.py'}:{name}"


@pytest.mark.parametrize("name", ["Scale", "scale", "make", "make_function", "function"])
def test_class_instance_factory_and_function(spec: Spec, name: str) -> None:
    frame = torch.rand(1, 3, 4, 5)
    model = load(spec(name))
    with torch.no_grad():
        torch.testing.assert_close(model(frame), 0.5 * frame)
    assert not (isinstance(model, nn.Module) and model.training)


def test_weights_are_loaded(spec: Spec, tmp_path: Path) -> None:
    save_file({"factor": torch.tensor(0.25)}, tmp_path / "w.safetensors")
    frame = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(load(spec("make"), tmp_path / "w.safetensors")(frame).detach(), 0.25 * frame)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mak", r"defines no 'mak' \(did you mean make"),
        ("Needy", "Needy in .* can't be made without arguments; name a function that makes it"),
        ("broken", r"broken\(\) in .* failed: OSError: no weights here"),
        ("decorated_broken", r"decorated_broken\(\) in .* failed: OSError: no weights here"),
        ("decorated_broken_list", r"decorated_broken_list\(\) in .* failed: IndexError: list index out of range"),
        ("nothing", r"nothing\(\) in .* gave a NoneType; expected a model"),
        ("number", "'number' in .* is a int; expected a model or a function"),
    ],
)
def test_what_is_no_model(spec: Spec, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load(spec(name))


def test_a_function_of_opencv_by_name(tmp_path: Path) -> None:
    (tmp_path / "cvs.py").write_text("from cv2 import detailEnhance\n")
    model = load(f"{tmp_path / 'cvs.py'}:detailEnhance", card=ModelCard(layout="hwc-uint8"))
    assert model(torch.rand(1, 3, 24, 32)).shape == (1, 3, 24, 32)


def test_a_file_that_shares_its_name_with_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    library = sys.modules["torch"]
    (tmp_path / "torch.py").write_text("def model(frame):\n    return frame\n")
    frame = torch.rand(1, 3, 4, 5)
    assert load(f"{tmp_path / 'torch.py'}:model")(frame) is frame
    assert sys.modules["torch"] is library


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ({"net.py": "from .halves import half", "halves.py": ""}, "net.py"),
        ({"nets/net.py": "from ..halves import half", "halves.py": ""}, "nets/net.py"),
        (
            {"__init__.py": "", "nets/__init__.py": "", "nets/net.py": "from ..halves import half", "halves.py": ""},
            "nets/net.py",
        ),
        ({"nets/net.py": "from nets.parts.halves import half", "nets/parts/halves.py": ""}, "nets/net.py"),
        (
            {"nets/net.py": "from tools import half", "tools/__init__.py": "from tools.halves import half"},
            "nets/net.py",
        ),
    ],
)
def test_a_file_in_a_repository_of_files(
    files: dict[str, str], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("repo", "nets", "tools", "net", "halves")]:
        monkeypatch.delitem(sys.modules, name)
    if "tools/__init__.py" in files:
        files = files | {"tools/halves.py": ""}
    for name, text in files.items():
        path = tmp_path / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        own = "def half(frame):\n    return 0.5 * frame\n" if name.endswith("halves.py") else ""
        path.write_text(f"{text}\n{own}")
    (tmp_path / "repo" / file).write_text(f"{files[file]}\n\ndef model(frame):\n    return half(frame)\n")
    frame = torch.rand(1, 3, 4, 5)
    assert torch.equal(load(f"{tmp_path / 'repo' / file}:model")(frame), 0.5 * frame)
    (tmp_path / "repo" / file).write_text("from nowhere import half\n")
    with pytest.raises(ModelError, match=r"can't be imported: ModuleNotFoundError: No module named 'nowhere' \(net"):
        load(f"{tmp_path / 'repo' / file}:model")
    (tmp_path / "repo" / file).write_text("from .....nowhere import half\n")
    with pytest.raises(ModelError, match="can't be imported: ImportError: attempted relative import"):
        load(f"{tmp_path / 'repo' / file}:model")


def test_a_function_that_takes_any_arguments(spec: Spec) -> None:
    frame = torch.rand(1, 3, 4, 5)
    assert torch.equal(load(spec("decorated"))(frame), 0.5 * frame)
    assert isinstance(load(spec("decorated_make")), nn.Module)
    assert torch.equal(load(spec("sigmoid"))(frame), frame.sigmoid())
    assert torch.equal(load(spec("first"))(frame), frame)
    assert torch.equal(load(spec("only"))(frame), frame)


_REGISTERED = """
@REG.register
class Net(nn.Module):
    def forward(self, frame):
        return 0.5 * frame
"""
_REGISTRY = """
class Registry(dict):
    def register(self, thing):
        assert thing.__name__ not in self, f"An object named '{thing.__name__}' was already registered"
        self[thing.__name__] = thing
        return thing


REG = Registry()
"""


@pytest.mark.parametrize("source", ["mylib.utils.registry", "..utils.registry"])
@pytest.mark.parametrize("init", ["from mylib.archs import net_arch", "from .archs import net_arch"])
def test_a_file_that_its_package_imports_and_that_registers_itself(
    source: str, init: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mylib", "archs", "net_arch")]:
        monkeypatch.delitem(sys.modules, name)
    for name, text in {
        "__init__.py": init,
        "archs/__init__.py": "from . import net_arch",
        "archs/net_arch.py": f"from torch import nn\nfrom {source} import REG\n{_REGISTERED}",
        "utils/__init__.py": "",
        "utils/registry.py": _REGISTRY,
    }.items():
        path = tmp_path / "mylib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    frame = torch.rand(1, 3, 4, 5)
    for _ in range(2):
        model = load(f"{tmp_path / 'mylib/archs/net_arch.py'}:Net")
        assert torch.equal(model(frame), 0.5 * frame)


def test_folders_above_a_file_come_last_and_only_where_they_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [*sys.path]
    monkeypatch.setattr(sys, "path", [*before])
    nets = tmp_path / "deep/repo/nets"
    nets.mkdir(parents=True)
    for name, text in {
        "fails": "from .....nowhere import half",
        "lacks": "import beside_nets\nimport nowhere",
        "works": "import above_nets\n\n\ndef model(frame):\n    return frame",
    }.items():
        (nets / f"{name}_.py").write_text(text)
    for name in ("above_nets", "beside_nets"):
        (nets.parent / f"{name}.py").write_text("")
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("fails", "lacks"):
        with pytest.raises(ModelError, match="can't be imported"):
            load(f"{nets / name}_.py:model")
        assert sys.path == [str(nets), *before]
    load(f"{nets / 'works_.py'}:model")
    assert sys.path == [str(nets), *before, str(nets.parent)]


def test_a_file_without_a_name(spec: Spec) -> None:
    with pytest.raises(ModelError, match=r"name what to take from the file, as in .*net\.py:make_model"):
        load(spec("")[:-1])
    with pytest.raises(ModelError, match="defines no ''"):
        load(spec(""))


def test_names_of_shipped_and_torchvision_models() -> None:
    assert isinstance(load("denoise"), NAFNet)
    with pytest.raises(ModelError, match=r"did you mean denoise"):
        load("nafnet-denoise")
    with pytest.raises(ModelError, match="did you mean lraspp_mobilenet_v3_large"):
        load("lraspp_mobilenet_v3")


def test_torchvision_model_with_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = models.get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None).eval()
    path = tmp_path / "w.safetensors"
    save_file(original.state_dict(), path)
    model = load("lraspp_mobilenet_v3_large", path)
    assert isinstance(model, Model)
    frame = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        wanted: Tensor = original((frame - mean[:, None, None]) / std[:, None, None])["out"]
        torch.testing.assert_close(model(frame)["out"], wanted)
    with pytest.raises(ModelError, match=r"w\.safetensors does not fit NAFNet: "):
        load("denoise", path)
