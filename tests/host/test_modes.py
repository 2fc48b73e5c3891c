"""Gradients through time, reduced precision, memory formats, inference mode and compilation."""

from typing import Any

import pytest
import torch
from networks import KINDS, NETWORKS, attach, image
from torch import Tensor

import holdsteady as hs

every_kind = pytest.mark.parametrize("kind", KINDS)


def run(steady: hs.StabilizedModel, clip: list[Tensor]) -> list[Tensor]:
    state, outputs = None, []
    for frame in clip:
        output, state = steady.step(frame, state)
        outputs.append(image(output))
    return outputs


@every_kind
def test_gradients_flow_through_time_until_the_state_is_detached(kind: str) -> None:
    network = NETWORKS["u-net"]
    first, second, third = network.clip(3)
    steady = attach(network.base, kind, first).train()
    for cut in (False, True):
        frame = first.clone().requires_grad_()
        _, state = steady.step(frame)
        _, state = steady.step(second, state.detach() if cut else state)
        output, _ = steady.step(third, state)
        (gradient,) = torch.autograd.grad(image(output).square().mean(), frame, allow_unused=True)
        if cut:
            assert gradient is None
        else:
            assert gradient.isfinite().all()
            assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("kind", "settings", "step"),
    [
        ("simple-learned", {}, 1e-6),
        ("spatial", {"backbone_width": 4, "backbone_layers": 0, "head_width": 4, "initial_logit": 0.0}, 1e-6),
        # A flow from the output would move with the parameters, and that is not differentiated.
        ("motion", {"motion_width": 4, "initial_logit": 0.0, "flow_from": "input"}, 1e-6),
    ],
)
def test_gradients_of_the_adapter_are_those_of_finite_differences(
    kind: str, settings: dict[str, Any], step: float
) -> None:
    network = NETWORKS["cnn"]
    clip = [frame.double() for frame in network.clip(3)]
    torch.manual_seed(0)
    steady = hs.stabilize(network.fresh(), kind, example=clip[0].float(), **settings).double().train()

    def loss() -> Tensor:
        return sum((output.square().mean() for output in run(steady, clip)), torch.zeros(()))

    gradients = torch.autograd.grad(loss(), list(steady.parameters()))
    for parameter, gradient in zip(steady.parameters(), gradients, strict=True):
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            parameter += step * direction
            above = loss()
            parameter -= 2 * step * direction
            below = loss()
            parameter += step * direction
        expected = ((above - below) / (2 * step)).item()
        assert (gradient * direction).sum().item() == pytest.approx(expected, rel=max(1e-3, 10 * step), abs=1e-6)


def test_gradients_stay_finite_when_values_are_not() -> None:
    network = NETWORKS["cnn"]
    clip = network.clip(3)
    clip[1][0, 0, 3:5, 4] = torch.nan
    for kind in ("simple-learned", "controlled", "spatial", "motion"):
        steady = attach(network.base, kind, clip[0]).train()
        outputs = run(steady, clip)
        loss = outputs[0].square().mean() + outputs[2].square().mean()
        gradients = torch.autograd.grad(loss, list(steady.parameters()))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_outputs_carry_a_graph_in_training_only() -> None:
    network = NETWORKS["cnn"]
    clip = network.clip(2)
    steady = attach(network.base, "simple-learned", clip[0])
    for training in (False, True):
        steady.train(training).reset()
        frame = clip[0].clone().requires_grad_()
        steady(frame)
        output = steady(clip[1])
        assert output.requires_grad == training
        assert steady.state is not None
        assert steady.state.requires_grad == training
        if training:
            assert torch.autograd.grad(output.sum(), frame)[0].abs().sum() > 0
        stepped, state = steady.step(frame)
        assert stepped.requires_grad == state.requires_grad == training


def test_a_state_that_has_a_graph_keeps_it() -> None:
    network = NETWORKS["cnn"]
    clip = network.clip(2)
    steady = attach(network.base, "simple-learned", clip[0]).train()
    _, state = steady.step(clip[0])
    steady.eval()
    output, _ = steady.step(clip[1], state)
    assert output.requires_grad
    output, after = steady.step(clip[1], state.detach())
    assert not output.requires_grad
    assert not after.requires_grad


@every_kind
def test_a_state_follows_the_precision_of_autocast(kind: str) -> None:
    """The first frame in 32 bits, the next under autocast, the last without again."""
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    steady = attach(network.base, kind, clip[0])
    state, expected_state = None, None
    for number, frame in enumerate(clip):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=number in (1, 2)):
            output, state = steady.step(frame, state)
            plain = network.base(frame)
        reference, expected_state = steady.step(frame, expected_state)
        assert image(output).dtype == image(plain).dtype
        # Values have the precision of the output; evidence about them is always in 32 bits.
        values = [tensor for name, tensor in state.memories["0:output"].items() if name in ("stabilized", "raw")]
        assert {tensor.dtype for tensor in values} <= {image(plain).dtype}  # statistics keeps no values
        assert (image(output) - image(reference)).abs().mean() < 0.02 * image(reference).abs().max()


@every_kind
def test_inference_mode(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(3)
    steady = attach(network.base, kind, clip[0])
    with torch.no_grad():
        expected = run(steady, clip)
    with torch.inference_mode():
        outputs = run(steady, clip)
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))


@every_kind
def test_autocast(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    steady = attach(network.base, kind, clip[0])
    with torch.no_grad():
        expected = run(steady, clip)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = run(steady, clip)
    for output, reference in zip(outputs, expected, strict=True):
        assert output.isfinite().all()
        # Eight bits of mantissa, over a few layers and frames; a flow found in another picture may differ in places.
        assert (output - reference).abs().mean() < 0.02 * reference.abs().max()


@every_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(kind: str, dtype: torch.dtype) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    with torch.no_grad():
        expected = run(attach(network.base, kind, clip[0]), clip)
        outputs = run(attach(network.fresh(), kind, clip[0]).to(dtype), [frame.to(dtype) for frame in clip])
    for output, reference in zip(outputs, expected, strict=True):
        assert output.dtype == dtype
        assert (output.float() - reference).abs().mean() < 0.02 * reference.abs().max()


@pytest.mark.parametrize("kind", ["motion-fixed", "motion", "universal"])
def test_half_precision_of_an_output_of_another_size(kind: str) -> None:
    torch.manual_seed(0)
    frames = [frame.bfloat16() for frame in NETWORKS["cnn"].clip(3)]
    model = torch.nn.PixelShuffle(2)
    wide = hs.stabilize(lambda x: model(x.repeat(1, 4, 1, 1)), kind, example=frames[0].float(), flow_from="input")
    wide.to(torch.bfloat16)
    for frame in frames:
        output = wide(frame)
        assert output.dtype == torch.bfloat16
        assert output.isfinite().all()


@every_kind
def test_channels_last_memory_format(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(3)
    with torch.no_grad():
        expected = run(attach(network.base, kind, clip[0]), clip)
        steady = attach(network.fresh(), kind, clip[0]).to(memory_format=torch.channels_last)
        outputs = run(steady, [frame.to(memory_format=torch.channels_last) for frame in clip])
    for output, reference in zip(outputs, expected, strict=True):
        # Where the last bit differs, DIS may see another grey level in a pixel or two.
        assert (output - reference).abs().mean() < 2e-3 * reference.abs().mean()
