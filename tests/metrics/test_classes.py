"""Classes along the motion, against loops over pixels."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdsteady.errors import MetricError
from holdsteady.metrics import categorical_instability, class_flips, classes_before, motion_iou

SHIFT = 3  # pixels to the right


def scene() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits (2, 4, 20, 24) of classes that move to the right, those before, and the exact flows."""
    classes = torch.randint(4, (2, 20, 24), generator=torch.Generator().manual_seed(0))
    now = F.one_hot(classes.roll(SHIFT, dims=2), 4).movedim(-1, 1).float()
    before = F.one_hot(classes, 4).movedim(-1, 1).float()
    flow = torch.zeros(2, 2, 20, 24)
    flow[:, 0] = -SHIFT
    return now, before, flow, -flow


def test_classes_are_brought_to_the_present_where_they_are_seen() -> None:
    now, before, *flows = scene()
    moved = classes_before(before.argmax(dim=1), *flows)
    assert (moved[..., :SHIFT] == 255).all()
    assert torch.equal(moved[..., SHIFT:], now.argmax(dim=1)[..., SHIFT:])


def test_what_only_moves_does_not_flip() -> None:
    now, before, *flows = scene()
    assert torch.equal(class_flips(now, before, *flows), torch.zeros(2))
    assert torch.equal(motion_iou(now, before, *flows), torch.ones(2))
    assert (categorical_instability(now, before) > 0.5).all()


def test_flips_and_iou_are_those_of_a_count() -> None:
    now, before, *flows = scene()
    chosen = now.argmax(dim=1)
    chosen[0, 4:9, 10:20] = 3
    now = F.one_hot(chosen, 4).movedim(-1, 1).float()
    moved = classes_before(before.argmax(dim=1), *flows)
    flips, ious = class_flips(now, before, *flows), motion_iou(now, before, *flows)
    for b in range(2):
        pairs = [(c, m) for c, m in zip(chosen[b].flatten().tolist(), moved[b].flatten().tolist(), strict=True)]
        seen = [(c, m) for c, m in pairs if m != 255]
        assert flips[b].item() == pytest.approx(sum(c != m for c, m in seen) / len(seen))
        each = []
        for k in range(4):
            either = sum(k in pair for pair in seen)
            each.append(sum(pair == (k, k) for pair in seen) / either)
        assert ious[b].item() == pytest.approx(sum(each) / 4)
    assert flips[0] > 0


def test_without_a_visible_place_there_is_no_value_and_shapes_must_fit() -> None:
    now, before, flow, back = scene()
    away = flow + 1000
    assert class_flips(now, before, away, back).isnan().all()
    assert motion_iou(now, before, away, back).isnan().all()
    with pytest.raises(MetricError, match=r"expected classes \(B, H, W\)"):
        class_flips(now[..., 1:], before[..., 1:], flow, back)
