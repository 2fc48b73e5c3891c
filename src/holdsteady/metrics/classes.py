"""Classes over time: followed along the motion of the input, where that can be seen."""

import torch
from torch import Tensor

from holdsteady.errors import MetricError
from holdsteady.flow.warp import warp_nearest
from holdsteady.metrics.masked import mean_where
from holdsteady.metrics.warping import visible

UNKNOWN = 255


def classes_before(classes: Tensor, flow: Tensor, flow_back: Tensor) -> Tensor:
    """The classes of the previous frame, brought to the present along the motion.

    Args:
        classes: of the previous frame, (B, H, W), whole numbers.
        flow: (B, 2, H, W) in pixels from the present *input* frame back to the previous one, as in ``visible``.
        flow_back: (B, 2, H, W), from the previous input frame to the present one.

    Returns:
        (B, H, W), each the class at the nearest pixel; 255 where the motion can't be followed.

    Raises:
        MetricError: the shapes don't fit each other.
    """
    if classes.dim() != 3 or (len(classes), *classes.shape[1:]) != (len(flow), *flow.shape[2:]):
        raise MetricError(
            f"expected classes (B, H, W) and flows (B, 2, H, W) of the same B, H and W, "
            f"got {tuple(classes.shape)} and {tuple(flow.shape)}"
        )
    moved = warp_nearest(classes[:, None], flow)[:, 0]
    return torch.where(visible(flow, flow_back)[:, 0], moved, UNKNOWN)


def class_flips(logits: Tensor, logits_before: Tensor, flow: Tensor, flow_back: Tensor) -> Tensor:
    """Share of the visible pixels whose class is another than along the motion in the previous frame.

    ``categorical_instability`` counts every change, those of a scene that moves too; this one only what flickers.

    Args:
        logits: scores of the classes now, (B, C, H, W).
        logits_before: the same of the previous frame.
        flow, flow_back: as in ``classes_before``.

    Returns:
        (B,) in [0, 1]; lower is steadier. NaN if nothing is visible.

    Raises:
        MetricError: the shapes don't fit each other.
    """
    moved = classes_before(logits_before.argmax(dim=1), flow, flow_back)
    return mean_where((logits.argmax(dim=1) != moved).float(), moved != UNKNOWN)


def motion_iou(logits: Tensor, logits_before: Tensor, flow: Tensor, flow_back: Tensor) -> Tensor:
    """mIoU over time, "mcIoU": of the classes now and of those before along the motion, at visible pixels.

    The mean is over the classes that either of them has. Arguments and errors as in ``class_flips``.

    Returns:
        (B,) in [0, 1]; higher is steadier, and small classes count as much as large ones. NaN if nothing is visible.
    """
    moved = classes_before(logits_before.argmax(dim=1), flow, flow_back)
    count = logits.shape[1]
    seen = moved != UNKNOWN
    known = seen[:, None]
    here, there = (
        torch.nn.functional.one_hot(torch.where(seen, classes, 0), count).movedim(-1, 1).bool() & known
        for classes in (logits.argmax(dim=1), moved)
    )
    both, either = (here & there).flatten(2).sum(dim=2), (here | there).flatten(2).sum(dim=2)
    return torch.where(either > 0, both / either, torch.nan).nanmean(dim=1)
