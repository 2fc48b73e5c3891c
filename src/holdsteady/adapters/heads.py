"""The heads that a config asks for, and the logits with which a training of them begins."""

import math

from holdsteady.adapters import fusion
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import Head, HeadShape, VectorHead


def make_head(channels: int, has_space: bool, config: AdapterConfig) -> Head | VectorHead:
    """The head of a point of the *controlled* and *spatial* kinds; arguments as of ``HeadFusion``."""
    seen = {"features": 3, "pair": 4 if has_space else 3, "differences": 2, "backbone": 0}[config.head_input]
    shared = config.kernel_channels or channels
    # Channels that can't be parted evenly share one kernel.
    groups = channels // shared if channels % shared == 0 else 1
    shape = HeadShape(
        config.backbone_width,
        seen * channels,
        initial_logits(config, groups, has_window=config.kind == "spatial" and has_space),
        config.head_width if has_space else config.vector_width,
        config.head_layers,
        config.head_reduction,
        config.head_convolution == "separable",
        config.head_scale,
    )
    return Head(shape) if has_space else VectorHead(shape)


def initial_logits(config: AdapterConfig, groups: int, *, has_window: bool) -> tuple[float, ...]:
    """A logit for each offset and group: all offsets together have the weight that a single one would have."""
    if not has_window:
        return (config.initial_logit,) * groups
    offsets = fusion.window_offsets(config.kernel, config.dilations)
    leads = [config.initial_centre if offset == (0, 0) else 0.0 for offset in offsets]
    total = math.log(sum(math.exp(lead) for lead in leads))
    return tuple(config.initial_logit + lead - total for lead in leads for _ in range(groups))
