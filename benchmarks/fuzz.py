"""Files that a fuzzer makes, guided by which lines they reach: each is read, or refused by an error of this package.

    pip install atheris
    python benchmarks/fuzz.py adapter -max_total_time=120

Begins with files that are whole. Ends at the first other error, which it prints with the file that brought it up; what
stands behind the name of the reader goes to libFuzzer.
"""

import contextlib
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["holdsteady"]):
    import holdsteady as hs
    from holdsteady.adapters.files import load_adapter
    from holdsteady.errors import HoldsteadyError
    from holdsteady.exports.manifest import read_manifest
    from holdsteady.host.state_files import load_state, save_state
    from holdsteady.jobs.manifest import read_entries
    from holdsteady.models.card import read_card
    from holdsteady.training.recipe import read_recipe

import torch

ZOO = Path(hs.__file__).parent / "zoo"
#: The name of the file, and what reads it.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "adapter": ("adapter.json", lambda path: load_adapter(path.parent)),
    "weights": ("adapter.safetensors", lambda path: load_adapter(path.parent)),
    "zip": ("adapter.zip", load_adapter),
    "export": ("holdsteady.json", lambda path: read_manifest(path.parent)),
    "batch": ("manifest.json", lambda path: read_entries(path.parent)),
    "recipe": ("recipe.yaml", lambda path: read_recipe(path, files=False)),
    "state": ("state.safetensors", load_state),
    "card": ("card.json", lambda path: read_card(path.read_text(errors="replace"))),
}

_SHAPE = ["batch", 3, "height", "width"]
MANIFEST = {
    "format": 1,
    "version": "0.1.0",
    "runtime": "onnx",
    "parts": [
        {"file": "1.onnx", "sha256": "0" * 64, "inputs": ["frame", "memory"], "outputs": ["present", "previous"]},
        {"file": "2.onnx", "sha256": "0" * 64, "inputs": ["frame", "flow"], "outputs": ["output", "memory_next"]},
    ],
    "frame": {"name": "frame", "dtype": "float32", "shape": _SHAPE},
    "multiple": [8, 8],
    "least": 1,
    "output": {"name": "output", "dtype": "float32", "shape": _SHAPE},
    "kind": "image",
    "state": [{"name": "memory", "dtype": "float32", "shape": _SHAPE, "next": "memory_next", "initial": "nan"}],
    "flows": [
        {
            "name": "flow",
            "dtype": "float32",
            "shape": ["batch", 2, "height", "width"],
            "present": "present",
            "previous": "previous",
            "max_height": 240,
            "mend": False,
            "smooth": 1.0,
        }
    ],
    "card": {},
    "adapters": [{"kind": "output-fixed", "beta": 0.5}],
    "strength": 1.0,
}


def prepare(name: str, folder: Path) -> Path:
    """Write what the reader needs; returns the file that is changed, whole where something writes it here."""
    shipped = ZOO / "nafnet16-noise-motion"
    for file in ("adapter.json", "adapter.safetensors", "recipe.yaml"):
        (folder / file).write_bytes((shipped / file).read_bytes())
    with zipfile.ZipFile(folder / "adapter.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in ("adapter.json", "adapter.safetensors"):
            archive.write(shipped / file, file)
    save_state(
        hs.stabilize(torch.nn.Identity(), "output-fixed").step(torch.rand(1, 3, 8, 8))[1], folder / "state.safetensors"
    )
    (folder / "card.json").write_text('{"range": [0, 255], "kind": "depth", "size": [64, 64], "mean": [1, 2, 3]}')
    (folder / "holdsteady.json").write_text(json.dumps(MANIFEST))
    return folder / READERS[name][0]


def main() -> None:
    """Fuzz one reader."""
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"{__doc__}\nreaders: {', '.join(READERS)}")
    name = sys.argv.pop(1)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as text:
        path = prepare(name, Path(text))
        corpus = Path(text, "corpus")
        corpus.mkdir()
        if path.exists():
            (corpus / "whole").write_bytes(path.read_bytes())

        def one(content: bytes) -> None:
            path.write_bytes(content)
            with contextlib.suppress(HoldsteadyError):
                READERS[name][1](path)

        atheris.Setup([*sys.argv, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
