"""Drawing clips, from recordings whose pixels tell where they come from."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holdsteady.data import ClipSource
from holdsteady.data.clips import Recording
from holdsteady.errors import ConfigError

SIZE = 20, 30


def places(numbers, window, offset: int = 0) -> np.ndarray:
    """Frames whose red is their number, green their row and blue their column."""
    rows, columns = np.indices(SIZE)
    frames = [np.dstack((np.full(SIZE, number + offset), rows, columns)) for number in numbers]
    return np.stack(frames)[:, window[0], window[1]].astype(np.uint8)


def backward_flow(numbers, window) -> np.ndarray:
    """Flow of the values (number, row)."""
    return places(numbers, window)[..., :2].astype(np.float32)


def classes(numbers, window) -> np.ndarray:
    return places(numbers, window)[..., 2]


def recording(*shots: range, name: str = "made up", **more) -> Recording:
    return Recording(name, SIZE, shots, {"frames": places, **more})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.lists(st.integers(1, 3), min_size=1, max_size=2, unique=True),
    st.one_of(st.none(), st.integers(1, 20), st.tuples(st.integers(1, 20), st.integers(1, 30))),
    st.booleans(),
)
def test_a_clip_is_one_window_of_evenly_spaced_frames_of_one_shot(seed, length, stride, crop, flip) -> None:
    shots = range(40), range(40, 60)
    source = ClipSource(
        "test",
        [recording(*shots, truth=partial(places, offset=100), classes=classes)],
        length=length,
        crop=crop,
        stride=stride,
        flip=flip,
    )
    assert source.keys == {"frames", "truth", "classes"}
    sample = source.draw(generator(seed))
    frames = (sample["frames"] * 255).round().long()
    height, width = SIZE if crop is None else (crop, crop) if isinstance(crop, int) else crop
    assert frames.shape == (length, 3, height, width)
    assert sample["frames"].dtype == torch.float32
    number, row, column = frames.unbind(1)
    numbers = number[:, 0, 0]
    assert (number == numbers[:, None, None]).all()
    assert len(set(numbers.diff().tolist())) <= 1
    assert set(numbers.diff().tolist()) <= set(stride)
    assert any(numbers[0] in shot and numbers[-1] in shot for shot in shots)
    assert (row == row[0, :1, :1] + torch.arange(height)[:, None]).all()
    step = int(column[0, 0, -1] - column[0, 0, 0]) // max(width - 1, 1) if width > 1 else 0
    assert step in ((1, -1) if flip else (1,)) or width == 1
    assert (column == column[0, :1, :1] + step * torch.arange(width)).all()
    truth = (sample["truth"] * 255).round().long()
    assert (truth[:, 0] == number + 100).all()
    assert (truth[:, 1:] == frames[:, 1:]).all()
    assert sample["classes"].dtype == torch.int64
    assert (sample["classes"] == column).all()


def test_every_start_crop_and_flip_occurs_and_shots_by_their_frames() -> None:
    source = ClipSource("test", [recording(range(10), name="a"), recording(range(100, 130))], length=8, crop=(19, 29))
    starts, corners, flips = Counter(), Counter(), Counter()
    state = generator()
    for _ in range(2000):
        frames = (source.draw(state)["frames"] * 255).round().long()
        starts[int(frames[0, 0, 0, 0])] += 1
        flips[bool(frames[0, 2, 0, 0] > frames[0, 2, 0, 1])] += 1
        corners[int(frames[0, 1, 0, 0]), int(frames[0, 2, 0].min())] += 1
    assert set(starts) == {0, 1, 2, *range(100, 123)}
    # A quarter of the frames is in the short shot; five standard deviations of a binomial are 0.05.
    assert sum(starts[n] for n in range(3)) / 2000 == pytest.approx(0.25, abs=0.05)
    assert flips[True] / 2000 == pytest.approx(0.5, abs=0.06)
    assert set(corners) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_flow_is_that_of_the_later_frames_and_turns_round_in_the_mirror() -> None:
    source = ClipSource("test", [recording(range(60), flow=backward_flow)], length=4)
    state = generator()
    mirrored = set()
    for _ in range(20):
        sample = source.draw(state)
        frames = (sample["frames"] * 255).round()
        sign = -1 if frames[0, 2, 0, 0] > frames[0, 2, 0, 1] else 1
        mirrored.add(sign)
        assert sample["flow"].shape == (3, 2, *SIZE)
        torch.testing.assert_close(sample["flow"][:, 0], sign * frames[1:, 0])
        torch.testing.assert_close(sample["flow"][:, 1], frames[1:, 1])
    assert mirrored == {-1, 1}


@pytest.mark.parametrize("more", [{"stride": (1, 2)}, {"stride": (2,)}, {"length": 1}])
def test_no_flow_between_frames_that_are_not_neighbours(more) -> None:
    source = ClipSource("test", [recording(range(60), flow=backward_flow)], **more)
    assert source.keys == {"frames"} == set(source.draw(generator()))


def test_a_key_that_one_recording_lacks_is_left_out() -> None:
    source = ClipSource("test", [recording(range(60), classes=classes), recording(range(60))])
    assert source.keys == {"frames"}


def test_the_clip_depends_on_the_generator_alone() -> None:
    source = ClipSource("test", [recording(range(60))], crop=10, stride=(1, 2, 3))
    first = source.draw(generator(5))["frames"]
    source.draw(generator(6))
    assert torch.equal(source.draw(generator(5))["frames"], first)
    assert not torch.equal(source.draw(generator(6))["frames"], first)


def test_it_describes_what_it_reads() -> None:
    source = ClipSource("test", [recording(range(60), name="a"), recording(range(20), name="b")])
    assert source.describe() == {"kind": "test", "files": ["a", "b"], "frames": 80}
    assert source.files == ("a", "b")


@pytest.mark.parametrize(
    ("shots", "more", "message"),
    [
        ([range(60)], {"crop": 21}, r"made up: frames of 20x30 .* smaller than the crop 21x21"),
        ([range(60)], {"crop": (20, 31)}, r"smaller than the crop 20x31"),
        ([range(5), range(5, 12)], {}, r"made up: its longest shot has 7 frames, but a clip needs 8"),
        ([range(12)], {"stride": (1, 2)}, r"spans 15, but the longest shot has 12"),
        ([range(60)], {"length": 0}, "length is 0"),
        ([range(60)], {"stride": ()}, r"stride is \[\]"),
        ([range(60)], {"stride": (0, 1)}, r"stride is \[0, 1\]"),
        ([range(60)], {"crop": 0}, "crop is 0x0"),
    ],
)
def test_settings_that_do_not_fit_are_named(shots, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        ClipSource("test", [recording(*shots)], **more)


def test_whole_frames_need_one_size_and_something_to_draw_from() -> None:
    other = Recording("other", (20, 40), (range(9),), {"frames": places})
    with pytest.raises(ConfigError, match=r"other: whole frames need one size, but it has 20x40 .* made up 20x30"):
        ClipSource("test", [recording(range(9)), other])
    with pytest.raises(ConfigError, match="nothing to draw"):
        ClipSource("test", [])
