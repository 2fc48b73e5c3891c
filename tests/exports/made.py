"""A small export made by hand, with plain ONNX: output fixed with β = ½, of frames as they are."""

import json
from hashlib import sha256
from pathlib import Path

import onnx
from onnx import TensorProto, helper

SHAPE = ["batch", 3, "height", "width"]


def make_export(folder: Path) -> Path:
    """Write it to a folder."""
    folder.mkdir(parents=True, exist_ok=True)

    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)

    nodes = [
        helper.make_node("IsNaN", ["memory"], ["new"]),
        helper.make_node("Where", ["new", "frame", "memory"], ["known"]),
        helper.make_node("Add", ["frame", "known"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["output"]),
        helper.make_node("Identity", ["output"], ["memory_next"]),
    ]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(
        nodes, "ema", [value("frame"), value("memory")], [value("output"), value("memory_next")], [half]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content = model.SerializeToString()
    (folder / "step.onnx").write_bytes(content)
    manifest = {
        "format": 1,
        "version": "0.1.0",
        "runtime": "onnx",
        "parts": [
            {
                "file": "step.onnx",
                "sha256": sha256(content).hexdigest(),
                "inputs": ["frame", "memory"],
                "outputs": ["output", "memory_next"],
            }
        ],
        "frame": {"name": "frame", "dtype": "float32", "shape": SHAPE},
        "multiple": [8, 8],
        "least": 1,
        "output": {"name": "output", "dtype": "float32", "shape": SHAPE},
        "kind": "image",
        "state": [
            {"name": "memory", "dtype": "float32", "shape": SHAPE, "next": "memory_next", "initial": "nan"},
        ],
        "flows": [],
        "card": {},
        "adapters": [{"kind": "output-fixed", "beta": 0.5}],
        "strength": 1.0,
    }
    (folder / "holdsteady.json").write_text(json.dumps(manifest, indent=1))
    return folder
