"""StreamState: what it refuses, and that it stays in the caller's hands."""

import pytest
import torch
from networks import NETWORKS, attach
from torch import Tensor

import holdsteady as hs
from holdsteady.errors import StateError


def state_of(batch: int, size: tuple[int, int] = (4, 5), kind: str = "output-fixed") -> hs.StreamState:
    _, state = hs.stabilize(lambda frame: frame, kind).step(torch.rand(batch, 3, *size))
    return state


def tensors(state: hs.StreamState) -> list[Tensor]:
    frames = [] if state.frame is None else [state.frame]
    return [*(t for memory in state.memories.values() for t in memory.values()), *frames, state.non_finite]


def test_a_step_leaves_the_state_that_it_was_given() -> None:
    clip = NETWORKS["u-net"].clip(3)
    for kind in ("output-gaussian", "spatial", "motion"):
        steady = attach(NETWORKS["u-net"].base, kind, clip[0])
        with torch.no_grad():
            _, state = steady.step(clip[0])
            before = [tensor.clone() for tensor in tensors(state)]
            first, _ = steady.step(clip[1], state)
            steady.step(clip[2], state)
            again, _ = steady.step(clip[1], state)
        assert torch.equal(first, again)
        assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(tensors(state), before, strict=True))
        assert steady.state is None  # step remembers nothing itself


def test_streams_are_picked_and_joined_in_order() -> None:
    state = state_of(3)
    (memory,) = (memory["stabilized"] for memory in state.memories.values())
    picked = state.select([2, 0, 2])
    (chosen,) = (memory["stabilized"] for memory in picked.memories.values())
    assert torch.equal(chosen, memory[[2, 0, 2]])
    assert picked.frame_shape == (3, 3, 4, 5)
    joined = hs.StreamState.merge([state.select([0]), state.select(torch.tensor([1, 2]))])
    assert all(torch.equal(a, b) for a, b in zip(tensors(joined), tensors(state), strict=True))
    assert joined.frame_shape == state.frame_shape


@pytest.mark.parametrize("streams", [[], [3], [-1], [True, False, True]])
def test_streams_that_are_not_there(streams: list[int]) -> None:
    with pytest.raises(StateError, match="streams"):
        state_of(3).select(streams)


def test_states_that_do_not_go_together() -> None:
    with pytest.raises(StateError, match="no states"):
        hs.StreamState.merge([])
    others = [state_of(1, (5, 5)), state_of(1, kind="output-gaussian"), state_of(1, kind="motion-fixed")]
    others += [state_of(1).to(dtype=torch.float64), state_of(1).to("meta")]
    for other in others:
        with pytest.raises(StateError, match="don't go together"):
            hs.StreamState.merge([state_of(1), other])


@pytest.mark.parametrize("mask", [[True], [True, False, True, False]])
def test_a_mask_of_another_length(mask: list[bool]) -> None:
    with pytest.raises(StateError, match=r"the mask has shape .*; the state has 3 streams"):
        state_of(3).reset(mask)


def test_reset_before_the_first_frame_is_nothing() -> None:
    steady = hs.stabilize(lambda frame: frame, "output-fixed")
    steady.reset()
    steady.reset([True])
    assert steady.state is None


def test_bytes_are_those_of_all_tensors() -> None:
    state = state_of(2)
    assert state.nbytes == 2 * 3 * 4 * 5 * 4 + 2 * 8
    half = state.to(dtype=torch.float16)
    assert half.nbytes == 2 * 3 * 4 * 5 * 2 + 2 * 8
    assert half.to("meta").non_finite.device.type == "meta"


def test_a_detached_state_needs_no_gradient() -> None:
    clip = NETWORKS["cnn"].clip(1)
    _, state = attach(NETWORKS["cnn"].base, "spatial", clip[0]).train().step(clip[0])
    assert state.requires_grad
    assert any(tensor.requires_grad for tensor in tensors(state))
    assert not any(tensor.requires_grad for tensor in tensors(state.detach()))


def test_a_state_of_other_adapters_is_refused() -> None:
    with pytest.raises(StateError, match=r"it holds stabilized, and kind 'output-gaussian' remembers raw"):
        hs.stabilize(lambda frame: frame, "output-gaussian").step(torch.rand(1, 3, 4, 5), state_of(1))
    with pytest.raises(StateError, match="the state belongs to other adapters, at the points 0:output"):
        hs.stabilize(lambda frame: frame, "simple-fixed", points="input", example=torch.rand(1, 3, 4, 5)).step(
            torch.rand(1, 3, 4, 5), state_of(1)
        )
