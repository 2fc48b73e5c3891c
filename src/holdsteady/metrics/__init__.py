"""How steady and how good a video is: pure functions, and streaming shells around them.

For PSNR, SSIM and mIoU use torchmetrics' own (``torchmetrics.image``, ``torchmetrics.segmentation``).
"""

from holdsteady.metrics.classes import class_flips, classes_before, motion_iou
from holdsteady.metrics.clips import over_clip, robustness, stability
from holdsteady.metrics.depth import Affine, abs_rel, affine_fit, delta_accuracy, depth_drift, fit_affine
from holdsteady.metrics.modules import (
    AbsRel,
    CategoricalInstability,
    ClassFlips,
    ClipAbsRel,
    ClipDeltaAccuracy,
    DeltaAccuracy,
    FlickerError,
    Instability,
    InstabilityRMS,
    MotionIoU,
    StreamMetric,
    WarpError,
)
from holdsteady.metrics.pairs import categorical_instability, flicker_error, instability, instability_rms
from holdsteady.metrics.scores import VideoScores
from holdsteady.metrics.warping import visible, warp_error

__all__ = [
    "AbsRel",
    "Affine",
    "CategoricalInstability",
    "ClassFlips",
    "ClipAbsRel",
    "ClipDeltaAccuracy",
    "DeltaAccuracy",
    "FlickerError",
    "Instability",
    "InstabilityRMS",
    "MotionIoU",
    "StreamMetric",
    "VideoScores",
    "WarpError",
    "abs_rel",
    "affine_fit",
    "categorical_instability",
    "class_flips",
    "classes_before",
    "delta_accuracy",
    "depth_drift",
    "fit_affine",
    "flicker_error",
    "instability",
    "instability_rms",
    "motion_iou",
    "over_clip",
    "robustness",
    "stability",
    "visible",
    "warp_error",
]
