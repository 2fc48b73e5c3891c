"""Which cell a kind is."""

from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.controller import Head, VectorHead
from holdsteady.adapters.motion import Motion, MotionFixed
from holdsteady.adapters.stabilizers import FixedEMA, GaussianWindow, HeadFusion, LearnedEMA, Stabilizer

Cell = Stabilizer | GaussianWindow


def make_stabilizer(
    config: AdapterConfig,
    channels: int,
    frame_channels: int,
    has_space: bool,
    head: Head | VectorHead | None = None,
    *,
    is_picture: bool = False,
) -> Cell:
    """The cell of one point. A new kind is added here, in ``config.py`` and as a class of its own.

    Args:
        config: the adapter's.
        channels: C of the point seen as a map (B, C, H, W); 0 where no frame was seen yet.
        frame_channels: channels of the frame.
        has_space: False for vectors.
        head, is_picture: for the kinds with heads, as of ``HeadFusion``.
    """
    if config.kind in ("output-fixed", "simple-fixed"):
        return FixedEMA(config.beta)
    if config.kind == "output-gaussian":
        return GaussianWindow(config.sigma)
    if config.kind == "simple-learned":
        return LearnedEMA(channels, config.initial_a)
    if config.kind == "motion-fixed":
        return MotionFixed(channels, frame_channels, config)
    if config.kind == "motion":
        return Motion(channels, frame_channels, config)
    return HeadFusion(channels, has_space, config, head, is_picture=is_picture)
