"""Every kind's cell, for tests: made from a config, run over a few frames."""

from typing import Any, cast

import torch
from torch import Tensor

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.cell import Cell, Context
from holdsteady.adapters.config import AdapterConfig, make_config
from holdsteady.adapters.layout import Layout
from holdsteady.adapters.missing import Memory, begin, step

HEADS = {
    "preset": "paper",
    "backbone_width": 4,
    "head_width": 5,
    "head_layers": 1,
    "vector_width": 6,
    "initial_logit": 0.0,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "output-fixed": ("output-fixed:0.7", {}),
    "output-gaussian": ("output-gaussian:1", {}),
    "simple-fixed": ("simple-fixed:0.6", {}),
    "simple-learned": ("simple-learned", {"initial_a": 0.5}),
    "controlled": ("controlled", HEADS),
    "controlled, backbone": ("controlled", {**HEADS, "head_input": "backbone"}),
    "spatial": ("spatial", HEADS),
    "spatial, 5×5": ("spatial", {**HEADS, "kernel": 5}),
    "spatial, backbone": ("spatial", {**HEADS, "head_input": "backbone"}),
    "spatial, pair, aligned": ("spatial", {**HEADS, "head_input": "pair", "align": "flow", "shared_kernel": True}),
    "controlled, pair, aligned": ("controlled", {**HEADS, "head_input": "pair", "align": "flow"}),
    "spatial, reduced at a quarter": ("spatial", {**HEADS, "head_reduction": 2, "head_scale": 4}),
    "spatial, all at half": ("spatial", {**HEADS, "head_scale": 2, "backbone_scale": 2}),
    "motion-fixed": ("motion-fixed", {}),
    "motion": ("motion", {"motion_width": 4, "initial_logit": 0.0}),
    "motion, 5×5": ("motion", {"motion_width": 4, "initial_logit": 0.0, "kernel": 5}),
}
SHAPE = (2, 3, 6, 7)
#: What is fused is the value's own past, from the same place.
IN_PLACE = [
    kind for kind, (name, more) in KINDS.items() if not name.startswith(("spatial", "motion")) and "align" not in more
]


def make_cell(config: AdapterConfig, channels: int = SHAPE[1], has_space: bool = True, name: str = "point") -> Cell:
    """The cell that an adapter of this config has at one point."""
    point = Point(name, shape=(channels, *SHAPE[2:]), layout=Layout("map" if has_space else "vector"))
    return cast(Cell, next(iter(Adapter(config, [point]).cells.values())))


def cell_of(kind: str, has_space: bool = True) -> Cell:
    name, settings = KINDS[kind]
    torch.manual_seed(0)
    return make_cell(make_config(name, **settings), has_space=has_space)


def clip(frames: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> list[Tensor]:
    return list(torch.randn(frames, *shape, generator=torch.Generator().manual_seed(seed)))


def context_of(t: int) -> Context:
    """A frame, the one before, backbone features at half the size, and a flow; the same for the same t."""
    frame, previous = (clip(1, seed=100 + max(0, i))[0] for i in (t, t - 1))
    return Context(
        frame,
        previous,
        clip(1, 200 + t, (2, 4, 3, 4))[0],
        2 * clip(1, 300 + t, (2, 2, 6, 7))[0],
    )


@torch.no_grad()
def run(cell: Cell, values: list[Tensor]) -> tuple[list[Tensor], list[Memory]]:
    outputs, memories = [], []
    for t, value in enumerate(values):
        output, memory = step(cell, value, memories[-1], context_of(t)) if t else begin(cell, value)
        outputs.append(output)
        memories.append(memory)
    return outputs, memories
