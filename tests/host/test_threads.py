"""`step` is what it looks like: a function of a frame and a state, whichever threads call it."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from networks import NETWORKS, attach, image
from torch import Tensor

import holdsteady as hs

THREADS, FRAMES = 4, 12


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Threads take turns every few microseconds, so that what they share is met half-changed."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def steps(steady: hs.StabilizedModel, clip: list[Tensor]) -> list[Tensor]:
    state, outputs = None, []
    for frame in clip:
        output, state = steady.step(frame, state)
        outputs.append(image(output))
    return outputs


@pytest.mark.parametrize(
    ("name", "kind"),
    [("nafnet", "simple-fixed"), ("nafnet", "spatial"), ("u-net", "composition"), ("cnn", "light"), ("cnn", "motion")],
)
def test_threads_step_through_one_model_as_one_after_the_other(name: str, kind: str) -> None:
    network = NETWORKS[name]
    clips = [network.clip(FRAMES, seed=seed) for seed in range(THREADS)]
    steady = attach(network.base, kind, clips[0][0])
    expected = [steps(steady, clip) for clip in clips]
    barrier = Barrier(THREADS)

    def work(number: int) -> list[Tensor]:
        torch.set_num_threads(1)
        barrier.wait()
        return steps(steady, clips[number])

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, range(THREADS)))
    for outputs, others in zip(results, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(outputs, others, strict=True))
    assert steady.state is None


def test_a_stream_in_each_thread() -> None:
    network = NETWORKS["u-net"]
    clips = [network.clip(FRAMES, seed=seed) for seed in range(THREADS)]
    steady = attach(network.base, "simple-fixed", clips[0][0])
    expected = [steps(steady, clip) for clip in clips]
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda clip: list(steady.stream(clip)), clips))
    for outputs, others in zip(results, expected, strict=True):
        assert all(torch.equal(image(a), b) for a, b in zip(outputs, others, strict=True))


def test_a_model_within_a_model() -> None:
    """Each has its own frame on the way."""
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    inner = attach(network.base, "simple-fixed", clip[0])
    alone = steps(inner, clip)
    outer = hs.stabilize(lambda frame: image(inner(frame)), "output-fixed:0.5")
    outputs = steps(outer, clip)
    expected = alone[0]
    for output, raw in zip(outputs[1:], alone[1:], strict=True):
        expected = (expected + raw) / 2
        torch.testing.assert_close(output, expected)


def test_disabled_is_of_one_thread() -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(2)
    steady = attach(network.base, "simple-fixed", clip[0])
    _, state = steady.step(clip[0])
    expected = image(steady.step(clip[1], state)[0])
    with ThreadPoolExecutor(1) as pool, steady.disabled(), torch.no_grad():
        here = image(steady.step(clip[1], state)[0])
        there = pool.submit(lambda: image(steady.step(clip[1], state)[0])).result()
        assert torch.equal(here, image(network.base(clip[1])))
        assert torch.equal(there, expected)
