"""Which part knows which, what an import costs, and the public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import holdsteady

ROOT = Path(holdsteady.__file__).parent

# What the modules of a folder may import of the package, beside their own folder.
ALLOWED = {
    "errors.py": (),
    "flow": (),
    "adapters": ("errors", "flow"),
    "host": ("adapters", "errors", "flow"),
    "metrics": ("errors", "flow"),
    "video": ("errors",),
    "corruptions": ("errors",),
    "data": ("errors", "video"),
    "objective": ("errors", "flow", "metrics.warping"),
    "training": (
        "adapters",
        "corruptions",
        "data",
        "errors",
        "flow",
        "host",
        "metrics",
        "models",
        "objective",
        "video",
    ),
    "evaluation": (
        "adapters",
        "corruptions",
        "data",
        "errors",
        "host",
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


def test_importing_it_imports_no_optional_library() -> None:
    optional = "torchvision transformers matplotlib onnxruntime scenedetect torchmetrics av lightning_fabric scipy"
    code = f"import sys, holdsteady; print([name for name in '{optional}'.split() if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_public_names_are_these() -> None:
    assert holdsteady.__all__ == [
        "Adapter",
        "AdapterConfig",
        "Cost",
        "Point",
        "PointTable",
        "StabilizedModel",
        "StreamState",
        "load_adapter",
        "make_config",
        "points",
        "save_adapter",
        "stabilize",
    ]
    assert all(hasattr(holdsteady, name) for name in holdsteady.__all__)
