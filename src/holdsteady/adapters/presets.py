"""Presets: the settings of the published adapter, and of lighter ones chosen by measurement (docs/design.md)."""

from typing import Any

# The constants of the paper's experiments. Its depth model has half the widths.
_PAPER: dict[str, Any] = {
    "backbone_width": 32,
    "backbone_layers": 6,
    "head_width": 64,
    "head_layers": 2,
    "vector_width": 256,
    "head_input": "features",
    "initial_logit": -4.0,
    "initial_centre": 0.0,
    "kernel": 3,
}

# The input is inpainted and the output held, both along the motion. Windows inside the network gained nothing in
# denoising that this does not, at many times the cost.
_LIGHT: dict[str, Any] = {
    **_PAPER,
    "points": ("input", "output"),
    "align": "flow",
    "backbone_width": 8,
    "backbone_layers": 1,
    "backbone_scale": 2,
    "head_width": 32,
    "head_layers": 1,
    "head_scale": 2,
    "head_reduction": 24,  # nothing for pictures; it keeps dozens of classes from making the heads heavy
    "head_input": "pair",
    "shared_kernel": True,
    "vector_width": 32,
    "initial_logit": -1.0,
    "initial_centre": 8.0,
}

# The same with heads and backbone at a quarter of the resolution, for networks that are small themselves.
_TINY: dict[str, Any] = {**_LIGHT, "head_scale": 4, "backbone_scale": 4}

PRESETS: dict[str, dict[str, Any]] = {"paper": _PAPER, "light": _LIGHT, "tiny": _TINY}

#: What is taken where nothing is said: of the kinds that are trained, and of the presets.
DEFAULT_KIND = "spatial"
DEFAULT_PRESET = "light"
