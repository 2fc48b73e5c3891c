"""Which part knows which, what an import costs, and the public names."""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import FrameType

import pytest
import torch

import holdsteady
from holdsteady import zoo

ROOT = Path(holdsteady.__file__).parent

# What the modules of a folder may import of the package, beside their own folder.
ALLOWED = {
    "errors.py": (),
    "eager.py": (),
    "flow": ("eager", "errors"),
    "archive.py": (),
    "permissions.py": (),
    "folders.py": (),
    "adapters": ("archive", "eager", "errors", "flow", "folders", "permissions"),
    "device.py": ("errors",),
    "host": ("adapters", "errors", "flow", "permissions", "video.cuts"),
    "metrics": ("errors", "flow"),
    "video": ("errors",),
    "check": ("errors", "flow", "metrics.warping", "video"),
    "corruptions": ("errors",),
    "data": ("errors", "permissions", "video"),
    "objective": ("errors", "flow", "metrics.depth", "metrics.warping"),
    "models": (
        "errors",
        "host.attach",
        "host.mirror",
        "host.outputs",
        "host.resolve",
        "host.stabilized",
        "host.state",
        "permissions",
    ),
    "zoo": ("models",),
    "exports": (
        "adapters.config",
        "archive",
        "errors",
        "flow",
        "folders",
        "host.frame",
        "host.outputs",
        "host.stabilized",
        "host.state",
        "models.card",
        "models.guess",
        "models.model",
        "models.shades",
        "models.sizes",
        "models.values",
        "video",
    ),
    "live": ("errors", "video"),
    "loading.py": ("adapters", "errors", "host.resolve", "models", "zoo"),
    "jobs": (
        "adapters",
        "device",
        "errors",
        "exports.manifest",
        "folders",
        "host",
        "loading",
        "models",
        "permissions",
        "video",
    ),
    "training": (
        "adapters",
        "check",
        "corruptions",
        "data",
        "errors",
        "flow",
        "folders",
        "host",
        "loading",
        "metrics",
        "models",
        "objective",
        "permissions",
        "video",
    ),
    "evaluation": (
        "adapters",
        "corruptions",
        "data",
        "errors",
        "flow",
        "host",
        "loading",
        "metrics",
        "models",
        "objective.distances",
        "training.clips",
        "training.folder",
        "training.recipe",
        "video",
    ),
}


def imports(file: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it, without the leading ``holdsteady.``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = ("holdsteady", *file.relative_to(ROOT).parent.parts)
            stem = parents[: len(parents) - node.level + 1] if node.level else ()
            module = ".".join((*stem, *((node.module,) if node.module else ())))
            # `from holdsteady.adapters import fusion` imports a module, and not a name of one.
            found.update(f"{module}.{a.name}" if is_module(f"{module}.{a.name}") else module for a in node.names)
    return {name.removeprefix("holdsteady.") for name in found if name.startswith("holdsteady.")}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def is_within(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


@pytest.mark.parametrize("part", ALLOWED)
def test_import_directions(part: str) -> None:
    files = [ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py"))
    assert files
    for file in files:
        allowed = (part, *ALLOWED[part])
        wrong = {name for name in imports(file) if not any(is_within(name, one) for one in allowed)}
        assert not wrong, f"{file} imports {wrong}"


def test_nobody_imports_the_command_line_or_the_page() -> None:
    for file in ROOT.rglob("*.py"):
        own = file.relative_to(ROOT).parts[0]
        known = {name for name in imports(file) if is_within(name, "cli") or is_within(name, "ui")}
        assert own in ("cli", "ui", "__main__.py") or not known, f"{file} imports {known}"


def test_no_file_imports_one_that_imports_it() -> None:
    """Not by way of others either, nor inside a function: each file can be read after those that it builds on."""
    graph = {module_of(file): {m for m in imports(file) if m != module_of(file)} for file in ROOT.rglob("*.py")}
    with pytest.raises(CycleError, match="nodes are in a cycle"):
        tuple(TopologicalSorter({**graph, "errors": {"host.attach"}}).static_order())
    tuple(TopologicalSorter(graph).static_order())  # its error names the files of a circle


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_check_sees_imports_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    for name in ("adapters", "host", "video", "cli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.py").touch()
    file = tmp_path / "adapters" / "a.py"
    file.write_text(
        "import holdsteady.cli.part\nfrom holdsteady import video\nfrom ..host import part\nfrom . import part\n"
        "def f():\n    from holdsteady.models.nafnet import NAFNet\n    from holdsteady.host import Name\n"
    )
    assert imports(file) == {"cli.part", "video", "host.part", "adapters.part", "models.nafnet", "host"}


OPTIONAL = [
    "av",
    "fastapi",
    "gradio",
    "huggingface_hub",
    "h5py",
    "lightning_fabric",
    "matplotlib",
    "onnxruntime",
    "OpenEXR",
    "PIL",
    "rich",
    "scenedetect",
    "scipy",
    "tensorboard",
    "torchmetrics",
    "torchvision",
    "transformers",
    "typer",
    "yaml",
]

USE = """
import sys
import torch
import holdsteady as hs

imported = [name for name in OPTIONAL if name in sys.modules]
assert not imported, imported
sys.modules.update(dict.fromkeys(OPTIONAL))  # None makes an import fail
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 3, 3, padding=1))
for kind in ("motion-fixed", "spatial"):
    steady = hs.stabilize(model, kind, example=torch.rand(1, 3, 32, 40))
    for frame in torch.rand(3, 1, 3, 32, 40):
        steady(frame)
print(hs.points(model, frame), steady.cost(frame))
"""


def test_it_imports_no_optional_library_and_stabilizes_without() -> None:
    program = f"OPTIONAL = {OPTIONAL}\n{USE}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_these() -> None:
    assert holdsteady.__all__ == [
        "Adapter",
        "AdapterConfig",
        "Cost",
        "Model",
        "ModelCard",
        "Point",
        "PointTable",
        "StabilizedModel",
        "StreamState",
        "batch",
        "export",
        "from_pretrained",
        "load",
        "load_adapter",
        "make_config",
        "points",
        "points_of",
        "push_to_hub",
        "run",
        "save_adapter",
        "stabilize",
    ]
    assert all(hasattr(holdsteady, name) for name in holdsteady.__all__)


def test_a_frame_passes_each_file_of_host_and_adapters_once_or_twice() -> None:
    """With *motion* on a whole network: calls from one file into another, as a frame goes in and comes out."""
    steady = holdsteady.stabilize(zoo.load(zoo.NAMES[0]), "nafnet16-noise-motion")
    entered: Counter[str] = Counter()

    def part_of(frame: FrameType | None) -> str | None:
        while frame is not None and not Path(frame.f_code.co_filename).is_relative_to(ROOT):
            frame = frame.f_back
        return None if frame is None else str(Path(frame.f_code.co_filename).relative_to(ROOT))

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and Path(frame.f_code.co_filename).is_relative_to(ROOT):
            own = part_of(frame)
            if own is not None and own.startswith(("host/", "adapters/")) and part_of(frame.f_back) != own:
                entered[own] += 1

    for number in range(3):
        frame = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(number))
        sys.setprofile(count if number == 2 else None)
        try:
            steady(frame)
        finally:
            sys.setprofile(None)
    often = {file: times for file, times in entered.items() if times > 2}
    assert "host/engine.py" in entered and "adapters/method.py" in entered
    assert not often, f"of {len(entered)} files"
