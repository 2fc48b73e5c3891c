"""How steady and how good a video is: pure functions, and streaming shells around them.

For PSNR, SSIM and mIoU use torchmetrics' own (``torchmetrics.image``, ``torchmetrics.segmentation``).
"""

from holdsteady.metrics.clips import over_clip, robustness, stability
from holdsteady.metrics.depth import abs_rel, delta_accuracy, fit_affine
from holdsteady.metrics.modules import (
    AbsRel,
    CategoricalInstability,
    DeltaAccuracy,
    FlickerError,
    Instability,
    InstabilityRMS,
    StreamMetric,
    WarpError,
)
from holdsteady.metrics.pairs import categorical_instability, flicker_error, instability, instability_rms
from holdsteady.metrics.scores import VideoScores
from holdsteady.metrics.warping import visible, warp_error

__all__ = [
    "AbsRel",
    "CategoricalInstability",
    "DeltaAccuracy",
    "FlickerError",
    "Instability",
    "InstabilityRMS",
    "StreamMetric",
    "VideoScores",
    "WarpError",
    "abs_rel",
    "categorical_instability",
    "delta_accuracy",
    "fit_affine",
    "flicker_error",
    "instability",
    "instability_rms",
    "over_clip",
    "robustness",
    "stability",
    "visible",
    "warp_error",
]
