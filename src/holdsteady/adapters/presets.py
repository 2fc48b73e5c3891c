"""Presets: the settings of the published adapter, and of lighter ones chosen by measurement (docs/design.md)."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # The constants of the paper's experiments. Its depth model has half the widths.
    "paper": {
        "backbone_width": 32,
        "backbone_layers": 6,
        "head_width": 64,
        "head_layers": 2,
        "vector_width": 256,
        "head_input": "features",
        "initial_logit": -4.0,
        "initial_a": 4.0,
        "kernel": 3,
        "dilations": (1,),
    },
}
