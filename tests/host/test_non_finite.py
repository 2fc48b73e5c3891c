"""NaN and infinities in a frame, on their way through whole networks."""

import math

import pytest
import torch
from networks import KINDS, LIGHT, NETWORKS, attach, image
from torch import Tensor

import holdsteady as hs


def run(steady: hs.StabilizedModel, clip: list[Tensor]) -> list[Tensor]:
    steady.reset()
    with torch.no_grad():
        return [image(steady(frame)) for frame in clip]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["cnn", "nafnet", "channels last"])
@pytest.mark.parametrize("when", [0, 2])
def test_a_spoiled_frame_spoils_nothing_that_comes_later(name: str, kind: str, when: int) -> None:
    network = NETWORKS[name]
    clip = network.clip(4, batch=2)
    steady = attach(network.base, kind, clip[0])
    good = run(steady, clip)
    for bad in (math.nan, math.inf):
        spoiled = [frame.clone() for frame in clip]
        spoiled[when][0, 1, 2, 1:3] = bad
        with torch.no_grad():
            base = image(network.base(spoiled[when]))
        outputs = run(steady, spoiled)
        assert not outputs[when][0].isfinite().all()
        assert torch.equal(outputs[when].isfinite(), base.isfinite())
        for t, (output, expected) in enumerate(zip(outputs, good, strict=True)):
            assert t == when or output.isfinite().all()
            assert torch.equal(output[1], expected[1])
        assert steady.state is not None
        assert steady.state.non_finite[0] > 0
        assert steady.state.non_finite[1] == 0


@pytest.mark.parametrize("name", LIGHT)
def test_a_black_out_of_nan_is_as_a_frame_that_never_was(name: str) -> None:
    network = NETWORKS[name]
    clip = network.clip(3)
    steady = attach(network.base, "output-fixed", clip[0])
    expected = run(steady, [clip[0], clip[2]])
    outputs = run(steady, [clip[0], torch.full_like(clip[1], math.nan), clip[2]])
    assert outputs[1].isnan().all()
    assert torch.equal(outputs[2], expected[1])


def test_counts_are_kept_per_stream_and_forgotten_on_reset() -> None:
    steady = hs.stabilize(lambda frame: frame, "output-fixed")
    clip = list(torch.rand(3, 3, 3, 4, 5))
    clip[0][1, 0, 0, 0] = math.nan
    clip[1][1, 0, 0, :2] = -math.inf
    clip[1][2, :, 0, 0] = math.inf
    for frame in clip:
        steady(frame)
    assert steady.state is not None
    assert steady.state.non_finite.tolist() == [0, 3, 3]
    assert steady.state.select([2, 0]).non_finite.tolist() == [3, 0]
    steady.reset([False, True, False])
    assert steady.state.non_finite.tolist() == [0, 0, 3]
    steady.reset()
    assert steady.state is None


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_promises_finite_values_gets_the_same_ones(kind: str) -> None:
    network = NETWORKS["cnn"]
    clip = network.clip(3)
    steady = attach(network.base, kind, clip[0])
    expected = run(steady, clip)
    adapters = [steady.adapter(number) for number in range(len(steady.adapters))]
    unchecked = hs.StabilizedModel(network.base, adapters, check_finite=False)
    for output, other in zip(run(unchecked, clip), expected, strict=True):
        assert torch.equal(output, other)
    assert unchecked.state is not None
    assert unchecked.state.non_finite.tolist() == [0]


def test_a_promise_can_be_made_when_a_model_is_stabilized() -> None:
    frame = torch.full((1, 3, 8, 8), math.nan)
    careless = hs.stabilize(torch.nn.Identity(), "output-fixed", check_finite=False)
    careful = hs.stabilize(torch.nn.Identity(), "output-fixed")
    for steady in (careless, careful):
        steady(torch.zeros(1, 3, 8, 8))
        steady(frame)
    after = torch.ones(1, 3, 8, 8)
    assert careful(after).isfinite().all()
    assert torch.equal(careless(after), after)  # the memory is gone, as if the video began here
