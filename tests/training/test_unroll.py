"""A clip through the model and into the loss."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.flow.warp import warp
from holdsteady.objective.loss import unified_loss
from holdsteady.training.unroll import Objective, Unroll

CLIP = torch.rand(2, 4, 3, 24, 24, generator=torch.Generator().manual_seed(0))
NOISY = (CLIP + 0.1 * torch.randn(CLIP.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
BATCH = {"frames": CLIP, "corrupted": NOISY}


class PlainCNN(nn.Module):
    """Two layers; the first sees the frame itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(torch.relu(self.first(x)))
        return out


def frame_by_frame(model: Any, clip: Tensor) -> Tensor:
    return torch.stack([model(clip[:, t]) for t in range(clip.shape[1])], dim=1)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return PlainCNN().eval()


def test_outputs_are_those_of_the_stream(network: nn.Module) -> None:
    steady = hs.stabilize(network, "output-fixed:0.5")
    unrolled = Unroll(steady, Objective(target="frames"), network)(BATCH)
    steady.reset()
    torch.testing.assert_close(unrolled.outputs, frame_by_frame(steady, NOISY))
    expected = unified_loss(unrolled.outputs, CLIP, stability=0.4)
    torch.testing.assert_close(unrolled.terms, expected)


@pytest.mark.parametrize("kind", ["none", "output-fixed:0.5"])
def test_a_model_that_writes_over_frames_and_outputs_spoils_no_clip(kind: str) -> None:
    buffer = torch.empty(2, 3, 24, 24)
    batch = {name: clip.clone() for name, clip in BATCH.items()}

    def writes(frame: Tensor) -> Tensor:
        return buffer.copy_(frame.mul_(0.5))

    for target in ("self", "frames"):
        unrolled = Unroll(hs.stabilize(writes, kind), Objective(target=target), writes)(batch)
        expected = Unroll(hs.stabilize(lambda x: 0.5 * x, kind), Objective(target=target), lambda x: 0.5 * x)(BATCH)
        torch.testing.assert_close(unrolled.outputs, expected.outputs)
        torch.testing.assert_close(unrolled.targets, expected.targets)
    assert all(torch.equal(batch[name], BATCH[name]) for name in BATCH)


def test_without_a_truth_the_base_on_clean_frames_is_the_target(network: nn.Module) -> None:
    unrolled = Unroll(hs.stabilize(network, ()), Objective(target="self"), network)(BATCH)
    torch.testing.assert_close(unrolled.targets, frame_by_frame(network, CLIP))
    assert not unrolled.targets.requires_grad
    clean = Unroll(hs.stabilize(network, ()), Objective(stability=0), network)({"frames": CLIP, "corrupted": CLIP})
    assert clean.terms.total.item() == pytest.approx(1e-3, abs=1e-5)  # the root of the loss's epsilon


def test_soft_labels_of_the_base_are_the_target_of_cross_entropy() -> None:
    torch.manual_seed(0)
    classifier = nn.Conv2d(3, 5, 1)
    unroll = Unroll(hs.stabilize(classifier, ()), Objective(distance="cross-entropy", stability=0), classifier)
    unrolled = unroll({"frames": CLIP, "corrupted": CLIP})
    labels = torch.softmax(frame_by_frame(classifier, CLIP), dim=2)
    torch.testing.assert_close(unrolled.targets, labels)
    entropy = -(labels * labels.log()).sum(dim=2).mean()
    torch.testing.assert_close(unrolled.terms.total, entropy)


def test_features_are_compared_with_those_of_clean_frames(network: nn.Module) -> None:
    name = "first"
    plain = Unroll(hs.stabilize(network, ()), Objective(stability=0.3), network)(BATCH)
    unroll = Unroll(hs.stabilize(network, ()), Objective(stability=0.3, features=((name, 2.0),)), network)
    layer = network.get_submodule(name)
    # The first layer, so that its input is the frame.
    values, wanted = (frame_by_frame(layer, clip) for clip in (NOISY, CLIP))
    expected = plain.terms.total + 2.0 * unified_loss(values, wanted, stability=0.3).total
    torch.testing.assert_close(unroll(BATCH).terms.total, expected)
    assert not network.get_submodule(name)._forward_hooks


def test_features_are_compared_after_they_were_stabilized(network: nn.Module) -> None:
    name = "first"
    steady = hs.stabilize(network, "simple-fixed:0.5", points=[name], example=CLIP[:, 0])
    with_adapter = Unroll(steady, Objective(stability=0, features=((name, 1.0),)), network)(BATCH)
    layer = network.get_submodule(name)
    values = [layer(NOISY[:, 0])]
    for t in range(1, 4):
        values.append(0.5 * layer(NOISY[:, t]) + 0.5 * values[-1])
    features = unified_loss(torch.stack(values, dim=1), frame_by_frame(layer, CLIP), stability=0).total
    output = unified_loss(with_adapter.outputs, with_adapter.targets, stability=0).total
    torch.testing.assert_close(with_adapter.terms.total, output + features)


def test_the_datas_own_flow_is_taken_where_it_is_known(network: nn.Module) -> None:
    flow = torch.zeros(2, 3, 2, 24, 24)
    flow[:, :, 0] = 1.5
    flow[0, 0, :, :4] = torch.nan
    visible = torch.rand(2, 3, 1, 24, 24, generator=torch.Generator().manual_seed(2)) > 0.3
    unroll = Unroll(hs.stabilize(network, ()), Objective(target="frames", motion_compensated=True), network)
    unrolled = unroll({**BATCH, "flow": flow, "visible": visible})
    known = visible & flow.isfinite().all(dim=2, keepdim=True)
    expected = 0.0
    for t in range(1, 4):
        warped = warp(unrolled.outputs[:, t - 1], flow[:, t - 1].nan_to_num(0))
        for item in range(2):
            where = known[item, t - 1].expand(3, -1, -1)
            squares = (unrolled.outputs[item, t] - warped[item]).square()[where]
            expected += (squares.mean() + 1e-6).sqrt().item() / (2 * 4)
    assert unrolled.terms.stability.item() == pytest.approx(expected, rel=1e-4)


def test_the_fusions_own_way_back_trains_as_autograd_does(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    settings = {"preset": "paper", "points": ["output"], "head_width": 4, "backbone_width": 4}
    steady = hs.stabilize(PlainCNN(), "spatial", example=CLIP[:, 0], **settings)
    unroll = Unroll(steady, Objective(target="frames"), steady.base)

    def gradients() -> list[Tensor]:
        steady.zero_grad()
        unroll(BATCH).terms.total.backward()
        return [p.grad.clone() for p in steady.parameters() if p.grad is not None]

    def unfolded(present: Tensor, memory: Tensor, logits: Tensor, _kernel: int) -> Tensor:
        size = (present.shape[1], 9, *present.shape[2:])
        near = torch.nn.functional.unfold(memory, 3, padding=1).unflatten(1, size[:2]).unflatten(3, size[2:])
        weights = torch.softmax(torch.cat((torch.zeros_like(present)[:, None], logits.unflatten(1, (9, -1))), 1), 1)
        return weights[:, 0] * present + (weights[:, 1:] * near.transpose(1, 2)).sum(dim=1)

    own = gradients()
    monkeypatch.setattr("holdsteady.adapters.fast.window.spatial", unfolded)
    plain = gradients()
    assert max(one.abs().max() for one in plain) > 0
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_depth_is_fitted_by_the_first_frame_of_a_clip() -> None:
    """A model whose scale drifts is right at every frame by itself, and wrong as a clip."""
    scales = iter([2.0, 2.0, 3.0, 3.0])
    depth = 1 + CLIP[:, :, :1]
    steady = hs.stabilize(lambda frame: next(scales) * (1 + frame[:, :1]) - 1, ())
    unroll = Unroll(steady, Objective(target="depth", stability=0, distance="l1", fit="first"), steady.base)
    unrolled = unroll({"frames": CLIP, "corrupted": CLIP, "depth": depth})
    torch.testing.assert_close(unrolled.outputs[:, :2], depth[:, :2], atol=1e-4, rtol=1e-4)
    assert unrolled.terms.total.item() == pytest.approx(0.25 * depth[:, 2:].mean().item(), rel=1e-3)
