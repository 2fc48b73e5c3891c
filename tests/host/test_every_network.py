"""Small networks × every kind: identity at the start, a base that never moves, off, removal, save and load, streams."""

from pathlib import Path
from typing import Any

import pytest
import torch
from networks import KINDS, LEARNED, LIGHT, NETWORKS, PAIRS, Network, attach, image
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import StateError

every_pair = pytest.mark.parametrize(
    ("network", "kind"), [(NETWORKS[name], kind) for name, kind in PAIRS], ids=map("-".join, PAIRS)
)


def run(steady: hs.StabilizedModel, clip: list[Tensor]) -> list[Tensor]:
    """All frames from a new start."""
    steady.reset()
    with torch.no_grad():
        return [image(steady(frame)) for frame in clip]


def run_base(network: Network, clip: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return [image(network.base(frame)) for frame in clip]


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Everything about a base that must stay: weights, buffers, hooks, modes, attributes."""
    modules = dict(model.named_modules())
    return {
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "identity": [id(tensor) for tensor in (*model.parameters(), *model.buffers())],
        "hooks": {n: [len(v) for k, v in vars(m).items() if k.endswith("hooks")] for n, m in modules.items()},
        "training": {n: m.training for n, m in modules.items()},
        "attributes": {n: sorted(vars(m)) for n, m in modules.items()},
        "grads": [p.requires_grad for p in model.parameters()],
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    tensors, now = before.pop("tensors"), after.pop("tensors")
    assert before == after
    assert tensors.keys() == now.keys()
    assert all(torch.equal(tensor, now[name]) for name, tensor in tensors.items())


def assert_equal(outputs: list[Tensor], others: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(outputs, others, strict=True))


@every_pair
def test_the_first_frame_is_the_base_and_the_next_is_not(network: Network, kind: str) -> None:
    clip = network.clip(2)
    steady, base = attach(network.base, kind, clip[0]), run_base(network, clip)
    with torch.no_grad():
        outputs = [steady(frame) for frame in clip]
    assert torch.equal(image(outputs[0]), base[0])
    assert not torch.allclose(image(outputs[1]), base[1], rtol=1e-3)
    assert type(outputs[1]) is type(network.base(clip[1]))
    if isinstance(outputs[1], dict):
        assert outputs[1].keys() == network.base(clip[1]).keys()


@every_pair
def test_off_is_the_base(network: Network, kind: str) -> None:
    clip = network.clip()
    steady = attach(network.base, kind, clip[0], strength=0.0)
    assert_equal(run(steady, clip), run_base(network, clip))
    steady.strength = 1.0
    assert not torch.equal(image(steady(clip[0])), run_base(network, clip)[0])  # it remembered while it was off


@every_pair
def test_the_base_never_moves(network: Network, kind: str) -> None:
    model, clip = network.fresh(), network.clip(2)
    with torch.no_grad():
        base = [image(model(frame)) for frame in clip]  # first, since transformers sets hooks when it is first called
    before = snapshot(model)
    steady = attach(model, kind, clip[0]).train()
    parameters = list(steady.parameters())
    assert bool(parameters) == (kind in LEARNED)  # there from the start, ready for an optimizer
    assert not {id(p) for p in parameters} & {id(p) for p in model.parameters()}
    state = None
    for frame in clip:
        output, state = steady.step(frame, state)
    if parameters:
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        values = [p.detach().clone() for p in parameters]
        image(output).square().mean().backward()
        for p in model.parameters():
            p.grad = None  # the base is not frozen, only out of the optimizer's reach
        optimizer.step()
        assert any(not torch.equal(p, value) for p, value in zip(parameters, values, strict=True))
        assert len(list(steady.parameters())) == len(parameters)
    with torch.no_grad():
        direct = [image(model(frame)) for frame in clip]
    assert_equal(direct, base)
    assert_same(before, snapshot(model))


@every_pair
def test_taken_off_it_is_the_base(network: Network, kind: str) -> None:
    clip = network.clip()
    steady, base = attach(network.base, kind, clip[0]), run_base(network, clip)
    run(steady, clip)
    assert steady.remove() is network.base
    assert not list(steady.parameters())
    assert_equal(run(steady, clip), base)


@every_pair
def test_saved_and_loaded_it_is_the_same(network: Network, kind: str, tmp_path: Path) -> None:
    clip = network.clip()
    steady = attach(network.base, kind, clip[0])
    folders = [hs.save_adapter(steady.adapter(i), tmp_path / str(i)) for i in range(len(steady.adapters))]
    loaded = hs.stabilize(network.fresh(), folders)
    assert loaded.state_dict().keys() == steady.state_dict().keys()
    assert all(torch.equal(t, steady.state_dict()[name]) for name, t in loaded.state_dict().items())
    assert_equal(run(loaded, clip), run(steady, clip))


@every_pair
def test_a_stream_alone_is_a_stream_of_a_batch(network: Network, kind: str) -> None:
    alone, other = network.clip(seed=0), network.clip(seed=1)
    steady = attach(network.base, kind, alone[0])
    outputs = run(steady, alone)
    state = None
    with torch.no_grad():
        for frame, expected in zip(alone, outputs, strict=True):
            output, state = steady.step(frame, state)
            assert torch.equal(image(output), expected)
    assert state is not None
    assert state.nbytes == steady.state.nbytes  # type: ignore[union-attr]
    both = run(steady, [torch.cat(pair) for pair in zip(alone, other, strict=True)])
    for output, expected in zip(both, outputs, strict=True):
        # Where the last bit differs, DIS may see another grey level in a pixel or two.
        assert (output[:1] - expected).abs().mean() < 2e-3 * expected.abs().mean()
    # What the other stream shows changes nothing at all.
    changed = [torch.cat((a, 1 - o.flip(2))) for a, o in zip(alone, other, strict=True)]
    assert_equal([output[0] for output in run(steady, changed)], [output[0] for output in both])


@every_pair
def test_a_stream_is_reset_alone(network: Network, kind: str) -> None:
    clip = network.clip(4, batch=2)
    steady = attach(network.base, kind, clip[0])
    whole, fresh = run(steady, clip), run(steady, clip[2:])
    run(steady, clip[:2])
    steady.reset([False, True])
    with torch.no_grad():
        after = [image(steady(frame)) for frame in clip[2:]]
    assert_equal([output[0] for output in after], [output[0] for output in whole[2:]])
    assert_equal([output[1] for output in after], [output[1] for output in fresh])
    assert any(not torch.equal(output[1], new[1]) for output, new in zip(whole[2:], fresh, strict=True))


@every_pair
def test_the_state_is_cut_and_joined_and_of_constant_size(network: Network, kind: str) -> None:
    clip = network.clip(4, batch=2)
    steady = attach(network.base, kind, clip[0])
    sizes, states, state = [], [], None
    with torch.no_grad():
        for frame in clip:
            output, state = steady.step(frame, state)
            sizes.append(state.nbytes)
            states.append(state)
        assert len(set(sizes)) == 1
        parts = [states[2].select([i]) for i in (1, 0)]
        joined = hs.StreamState.merge(parts).select([1, 0]).to("cpu").detach()
        again, after = steady.step(clip[3], joined)
    assert parts[0].streams == 1
    assert 2 * parts[0].nbytes == sizes[0]
    torch.testing.assert_close(image(again), image(output))
    assert after.nbytes == sizes[0]


@pytest.mark.parametrize("name", LIGHT)
@pytest.mark.parametrize("kind", ["output-fixed", "spatial", "motion"])
def test_a_frame_of_another_size_is_refused(name: str, kind: str) -> None:
    network = NETWORKS[name]
    (frame,) = network.clip(1)
    steady = attach(network.base, kind, frame)
    steady(frame)
    for other in (frame[:, :, :-1], torch.cat((frame, frame))):
        with pytest.raises(StateError, match=r"call reset\(\)"):
            steady(other)
    steady(frame)  # the state was not harmed


def test_a_model_for_one_size_of_frame_serves_another() -> None:
    network = NETWORKS["nafnet"]
    steady = attach(network.base, "spatial", network.clip(1)[0])
    assert steady(torch.rand(2, 3, 22, 15)).shape == (2, 3, 22, 15)


def test_the_table_has_every_kind() -> None:
    from holdsteady.adapters.config import KINDS as ALL

    assert set(ALL) <= set(KINDS)
