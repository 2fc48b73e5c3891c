"""Whole videos and clips: streams from any iterable, cuts, the model switched off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import KINDS, NETWORKS, attach, image
from PIL import Image
from torch import Tensor

import holdsteady as hs
from holdsteady.errors import ConfigError, LayoutError
from holdsteady.video import open_video


def steps(steady: hs.StabilizedModel, clip: list[Any]) -> list[Any]:
    state, outputs = None, []
    for frame in clip:
        output, state = steady.step(frame, state)
        outputs.append(output)
    return outputs


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_gives_what_steps_give(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    steady = attach(network.base, kind, clip[0])
    expected = steps(steady, clip)
    steady(clip[2])
    before = steady.state
    for _ in range(2):  # each from a new start
        outputs = list(steady.stream(iter(clip)))
        assert all(torch.equal(image(a), image(b)) for a, b in zip(outputs, expected, strict=True))
        assert not any(image(output).requires_grad for output in outputs)
    assert steady.state is before


def test_frames_are_taken_as_they_are_asked_for() -> None:
    taken: list[int] = []

    def frames() -> Iterator[Tensor]:
        for number in range(1000):
            taken.append(number)
            yield torch.rand(1, 3, 8, 9)

    stream = hs.stabilize(lambda frame: frame, "output-fixed").stream(frames())
    assert taken == []
    next(stream)
    next(stream)
    assert taken == [0, 1]


def test_a_stream_of_images() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 3), dtype=np.uint8)
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.5", takes="tensors")
    images = list(steady.stream(map(Image.fromarray, pictures)))
    arrays = list(steady.stream(pictures))
    assert all(isinstance(output, Image.Image) for output in images)
    assert all(np.array_equal(np.asarray(a), b) for a, b in zip(images, arrays, strict=True))
    assert not np.array_equal(arrays[1], pictures[1])


def test_cuts_clear_the_memory(bikes: str) -> None:
    """New shots at 10 and 56."""
    with open_video(bikes, duration=0.6) as reader:
        frames = [frame.pixels for frame in reader]
    assert len(frames) > 12
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.3")
    for given in (frames, [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in frames]):
        held, cut = list(steady.stream(given)), list(steady.stream(given, cuts="auto"))
        changed = [t for t in range(len(given)) if not np.array_equal(np.asarray(held[t]), np.asarray(cut[t]))]
        assert changed[0] == 10, "the shot begins anew"
        assert np.array_equal(np.asarray(cut[10]), np.asarray(given[10]))
        assert not np.array_equal(np.asarray(held[10]), np.asarray(given[10]))


def test_cuts_are_found_in_each_stream_by_itself(bikes: str) -> None:
    with open_video(bikes, duration=0.6) as reader:
        frames = [torch.from_numpy(frame.pixels).permute(2, 0, 1).float() / 255 for frame in reader]
    pairs = [torch.stack((frame, frames[0])) for frame in frames]
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.3")
    outputs = list(steady.stream(pairs, cuts="auto"))
    assert torch.equal(outputs[10][0], frames[10])
    alone = list(steady.stream([frame[None] for frame in frames], cuts="auto"))
    assert all(torch.equal(output[0], one[0]) for output, one in zip(outputs, alone, strict=True))


def test_cuts_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_text("2\n")
    frames = list(torch.rand(4, 1, 3, 8, 9))
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.5")
    outputs = list(steady.stream(frames, cuts=str(tmp_path / "cuts.txt")))
    assert [torch.equal(a, b) for a, b in zip(outputs, frames, strict=True)] == [True, False, True, False]
    with pytest.raises(ConfigError, match="the file of cuts can't be read"):
        steady.stream(frames, cuts="none.txt")  # told before the first frame


@pytest.mark.parametrize("axis", [0, 1, 2, -4])
def test_a_clip_is_its_frames(axis: int) -> None:
    network = NETWORKS["cnn"]
    frames = network.clip(4, batch=2)
    steady = attach(network.base, "spatial", frames[0])
    expected = torch.stack(steps(steady, frames), dim=axis)
    assert torch.equal(steady.clip(torch.stack(frames, dim=axis), time_axis=axis), expected)
    assert torch.stack(frames, dim=1).shape == (2, 4, 3, 16, 20)
    assert torch.equal(steady.clip(torch.stack(frames, dim=1)), torch.stack(steps(steady, frames), dim=1))


def test_a_clip_of_arrays() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8)
    steady = hs.stabilize(lambda frame: frame, "output-fixed:0.5")
    output = steady.clip(clip, time_axis=0)
    assert (output.shape, output.dtype) == (clip.shape, np.uint8)
    assert np.array_equal(output, np.stack(steps(steady, list(clip))))


def test_gradients_flow_through_a_clip_in_training() -> None:
    network = NETWORKS["cnn"]
    clip = torch.stack(network.clip(3), dim=1)
    steady = attach(network.base, "simple-learned", clip[:, 0])
    assert not steady.clip(clip).requires_grad
    loss = steady.train().clip(clip)[:, 2].square().mean()
    assert all(p.grad is None for p in steady.parameters())
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in steady.parameters())


@pytest.mark.parametrize("clip", [[1, 2], torch.rand(3)])
def test_what_is_no_clip(clip: Any) -> None:
    with pytest.raises(LayoutError, match="a clip is a tensor or an array with an axis of time"):
        hs.stabilize(lambda frame: frame, "output-fixed").clip(clip)


def test_a_clip_of_what_cannot_be_stacked() -> None:
    with pytest.raises(LayoutError, match=r"the model gives dict .*take stream\(frames\)"):
        hs.stabilize(lambda frame: {"a": frame}, "output-fixed").clip(torch.rand(1, 2, 3, 8, 9))


@pytest.mark.parametrize("kind", KINDS)
def test_disabled_is_the_base_and_leaves_the_memory(kind: str) -> None:
    network = NETWORKS["u-net"]
    clip = network.clip(4)
    steady = attach(network.base, kind, clip[0])
    with torch.no_grad():
        direct = [image(network.base(frame)) for frame in clip]
    expected = [image(output) for output in (steady(clip[0]), steady(clip[1]))]
    steady.reset()
    with steady.disabled():
        assert torch.equal(image(steady(clip[3])), direct[3])
        output, state = steady.step(clip[2])
        assert torch.equal(image(output), direct[2])
    steady.reset()
    first = image(steady(clip[0]))
    with steady.disabled(), steady.disabled():
        assert all(torch.equal(image(steady(frame)), base) for frame, base in zip(clip, direct, strict=True))
    assert torch.equal(first, expected[0])
    assert torch.equal(image(steady(clip[1])), expected[1])
    output, state = steady.step(clip[0], state)  # a state of nothing
    assert torch.equal(image(output), direct[0])
    assert torch.equal(image(steady.step(clip[1], state)[0]), expected[1])


def test_one_model_is_disabled_and_not_the_other() -> None:
    frames = list(torch.rand(2, 1, 3, 8, 9))
    one, two = (hs.stabilize(lambda frame: frame, "output-fixed:0.5") for _ in range(2))
    one(frames[0]), two(frames[0])
    with one.disabled():
        assert torch.equal(one(frames[1]), frames[1])
        assert not torch.equal(two(frames[1]), frames[1])


def test_numbers_of_cuts_past_the_end_are_told(tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_text("1\n7\n")
    steady = hs.stabilize(lambda frame: frame, "output-fixed")
    with pytest.warns(UserWarning, match=r"no frame has the number 7: there are 3"):
        list(steady.stream(torch.rand(3, 1, 3, 8, 9), cuts=str(tmp_path / "cuts.txt")))
