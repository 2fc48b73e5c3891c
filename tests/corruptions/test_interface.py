"""What holds for every corruption: range, shape, replay, independence, severities."""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from holdsteady.corruptions import CORRUPTIONS, Corruption, Stream, corrupt_clip, make_corruption
from holdsteady.errors import ConfigError, LayoutError, StateError

ALL = (*CORRUPTIONS, "gaussian+rain:2", "mix(gaussian|snow|jpeg:4)")
# They do the same to every frame of every clip.
FIXED = ("jpeg", "pixelate")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spec", ALL)
def test_a_clip_can_be_replayed_bit_for_bit(spec: str, clip: Tensor) -> None:
    corruption = make_corruption(spec)
    shown = corrupt_clip(corruption, clip, seeded())
    assert shown.shape == clip.shape
    assert shown.min() >= 0 and shown.max() <= 1
    assert not torch.equal(shown, clip)
    assert torch.equal(shown, corrupt_clip(make_corruption(spec), clip, seeded()))
    if spec not in FIXED:
        assert not torch.equal(shown, corrupt_clip(corruption, clip, seeded(2)))


@pytest.mark.parametrize("spec", ALL)
def test_a_stream_draws_from_nothing_but_what_it_was_started_with(spec: str, clip: Tensor) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    original = clip.clone()
    generator = seeded()
    stream, other = make_corruption(spec).start(generator), make_corruption(spec).start(generator)
    torch.rand(5, generator=generator)
    shown = []
    for frame in clip[:4].split(1):
        shown.append(stream(frame))
        other(frame)
    assert torch.equal(torch.cat(shown), corrupt_clip(make_corruption(spec), clip[:4], seeded()))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(clip, original), "frames given are not written to"


@pytest.mark.parametrize("spec", [name for name in CORRUPTIONS if name not in FIXED])
def test_the_items_of_a_batch_are_drawn_independently(spec: str, clip: Tensor) -> None:
    spec = {"frame-drop": "frame-drop:p=0.5", "color-jitter": "color-jitter:5"}.get(spec, spec)
    stream = make_corruption(spec).start(seeded())
    batches = [stream(frame.expand(8, -1, -1, -1)) for frame in clip[:3].split(1)]
    assert any(not torch.equal(item, batch[0]) for batch in batches for item in batch[1:])


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_every_dtype_is_kept_and_close_to_float32(spec: str, dtype: torch.dtype, clip: Tensor) -> None:
    frames = clip[:2].to(dtype)
    shown = corrupt_clip(make_corruption(spec), frames, seeded())
    assert shown.dtype == dtype
    assert shown.min() >= 0 and shown.max() <= 1
    expected = corrupt_clip(make_corruption(spec), frames.float(), seeded())
    torch.testing.assert_close(shown.float(), expected, atol=torch.finfo(dtype).eps, rtol=0.01)


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 1, 5, 19), (2, 3, 23, 3)])
def test_any_size_and_grey(spec: str, shape: tuple[int, ...]) -> None:
    frame = torch.rand(shape, generator=seeded(1))
    stream = make_corruption(spec).start(seeded())
    for _ in range(3):
        shown = stream(frame)
        assert shown.shape == shape
        assert shown.isfinite().all() and shown.min() >= 0 and shown.max() <= 1


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_damage_grows_with_the_severity(name: str, clip: Tensor) -> None:
    frames = clip[::3]
    # A dropped frame is rare: many clips at once.
    batch = 40 if name == "frame-drop" else 2

    def mean_square(corruption: Corruption) -> float:
        stream = corruption.start(seeded())
        errors = [(stream(f.expand(batch, -1, -1, -1)) - f).square().mean() for f in frames.split(1)]
        return float(torch.stack(errors).mean())

    damage = [mean_square(make_corruption(f"{name}:{severity}")) for severity in range(1, 6)]
    assert all(more > 1.1 * less for less, more in pairwise(damage)), damage
    assert damage[0] <= 0.99 * mean_square(make_corruption(name)) <= damage[-1], "the default lies between"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severities_are_five_and_the_default_is_one_of_them(name: str) -> None:
    cls = CORRUPTIONS[name]
    assert cls.name == name
    assert cls.severities and all(len(values) == 5 for values in cls.severities.values())
    assert cls() in [cls.at(severity) for severity in range(1, 6)]
    assert all(field.description for field in cls.model_fields.values())


def test_the_defaults_are_the_papers() -> None:
    for spec in ("gaussian:sigma=0.1", "patch-drop:size=8,p=0.1", "frame-drop:p=0.1", "elastic:alpha=50,sigma=5"):
        assert make_corruption(spec) == make_corruption(spec.partition(":")[0])
    assert make_corruption("jpeg:quality=10") == make_corruption("jpeg")
    assert make_corruption("impulse:salt=0.05,pepper=0.05") == make_corruption("impulse")


def test_a_corruption_can_not_be_changed_and_can_be_a_key() -> None:
    corruption = make_corruption("rain:2")
    with pytest.raises(ValueError, match="frozen"):
        corruption.veil = 0.5  # type: ignore[attr-defined]
    assert {corruption: 1}[make_corruption("rain:2")] == 1


def test_frames_that_do_not_fit() -> None:
    stream = make_corruption("gaussian").start(seeded())
    stream(torch.rand(1, 3, 8, 8))
    with pytest.raises(StateError, match=r"started on frames \(1, 3, 8, 8\) and can't continue with \(2, 3, 8, 8\)"):
        stream(torch.rand(2, 3, 8, 8))
    fresh = make_corruption("gaussian").start(seeded())
    for wrong in (torch.rand(3, 8, 8), torch.rand(1, 4, 8, 8), torch.zeros(1, 3, 8, 8).byte(), torch.rand(0, 3, 8, 8)):
        with pytest.raises(LayoutError, match="floating frames"):
            fresh(wrong)
    with pytest.raises(LayoutError, match="not ndarray"):
        fresh(np.zeros((1, 3, 8, 8)))  # type: ignore[arg-type]
    with pytest.raises(LayoutError, match=r"at least one frame, not \(0, 3, 8, 8\)"):
        corrupt_clip(make_corruption("gaussian"), torch.rand(0, 3, 8, 8), seeded())


def test_a_generator_elsewhere_is_refused() -> None:
    class Elsewhere(torch.Generator):
        device = torch.device("meta")

    with pytest.raises(ConfigError, match=r"draw on the CPU, .* got meta"):
        make_corruption("gaussian").start(Elsewhere())


def test_a_new_one_is_a_class_and_a_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    class Negative(Corruption):
        name: ClassVar[str] = "negative"
        severities: ClassVar[Mapping[str, tuple[float, ...]]] = {"share": (0.2, 0.4, 0.6, 0.8, 1)}
        share: float = 1.0

        def begin(self, shape: torch.Size, generator: torch.Generator) -> Stream:
            return lambda frame: frame + self.share * (1 - 2 * frame)

    monkeypatch.setitem(CORRUPTIONS, "negative", Negative)
    frame = torch.rand(1, 3, 4, 4)
    stream = make_corruption("negative:share=1+negative").start(seeded())
    torch.testing.assert_close(stream(frame), frame)
