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
    # The input is mended and the output held, both along one flow. Windows inside the network gained nothing in
    # denoising that this does not, at many times the cost.
    "light": {
        "points": ("input", "output"),
        "align": "flow",
        "backbone_width": 8,
        "backbone_layers": 1,
        "head_width": 32,
        "head_layers": 1,
        "head_convolution": "full",
        "head_input": "pair",
        "kernel_channels": 0,
        "vector_width": 32,
        "initial_logit": -1.0,
        "initial_a": 4.0,
        "kernel": 3,
        "dilations": (1,),
    },
    # The same with a tenth of the work in its heads: nearly as good on noise, a little behind where frames have holes.
    "tiny": {
        "points": ("input", "output"),
        "align": "flow",
        "backbone_width": 8,
        "backbone_layers": 1,
        "head_width": 24,
        "head_layers": 1,
        "head_convolution": "separable",
        "head_input": "pair",
        "kernel_channels": 0,
        "vector_width": 16,
        "initial_logit": 0.0,
        "initial_a": 4.0,
        "kernel": 3,
        "dilations": (1,),
    },
}

DEFAULT_PRESET = "light"
