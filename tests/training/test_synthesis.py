"""Examples made without end: shapes, ranges, what is random and what isn't, and that the truth is the operator's."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from holdsteady.errors import ConfigError
from holdsteady.training.synthesis import disturbances, operators
from holdsteady.training.synthesis.clips import PICTURES, SEVERAL, SINGLES, events, make_example
from holdsteady.training.synthesis.draws import wander

MAKERS: dict[str, Callable[[torch.Generator], operators.Operator]] = {
    "identity": operators.identity,
    "tone curve": operators.tone_curve,
    "colours": operators.colours,
    "sharpen": operators.sharpen,
    "local contrast": operators.local_contrast,
    "brighten": operators.brighten,
    "dehaze": operators.dehaze,
    "resample": operators.resample,
    "posterize": operators.posterize,
    "smooth": operators.smooth,
    "random network": operators.random_network,
    "picture": operators.picture_operator,
    "mask": operators.mask,
    "probabilities": lambda random: operators.classes(random, 4),
    "logits": lambda random: operators.classes(random, 4, logits=True),
    "depth": operators.depth,
}
CHANNELS = {"mask": 1, "probabilities": 4, "logits": 4, "depth": 1}
OF_INPUT = (
    disturbances.white_noise,
    disturbances.sensor_noise,
    disturbances.correlated_noise,
    disturbances.half_colour_noise,
    disturbances.jpeg,
)
OF_OUTPUT = (
    disturbances.exposure,
    disturbances.white_balance,
    disturbances.tone,
    disturbances.soft_field,
    disturbances.texture,
    disturbances.change_of_parameters,
    disturbances.scale_and_shift,
)
WIDE = (disturbances.exposure, disturbances.white_balance, disturbances.soft_field)


def clip(seed: int = 0, length: int = 4, size: tuple[int, int] = (24, 28)) -> Tensor:
    """Smooth frames (T, 3, H, W) in [0, 1] that move."""
    still = torch.rand(1, 3, 7, 9, generator=seeded(seed))
    large = torch.nn.functional.interpolate(still, size=(size[0], size[1] + length), mode="bicubic").clamp(0, 1)
    return torch.cat([large[..., t : t + size[1]] for t in range(length)])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_operators_are_fixed_and_work_frame_by_frame(name: str, seed: int) -> None:
    frames, random = clip(), seeded(seed)
    operator = MAKERS[name](random)
    given, drawn = operator(frames), random.get_state()
    assert given.shape == (4, CHANNELS.get(name, 3), 24, 28)
    assert given.isfinite().all()
    if name not in ("logits", "depth"):
        assert given.min() >= 0
        assert given.max() <= 1
    torch.testing.assert_close(torch.cat([operator(frame[None]) for frame in frames]), given, atol=1e-5, rtol=1e-5)
    assert torch.equal(random.get_state(), drawn)
    torch.testing.assert_close(MAKERS[name](seeded(seed))(frames), given)
    if name == "probabilities":
        torch.testing.assert_close(given.sum(dim=1), torch.ones(4, 24, 28))
    if name not in ("identity", "picture"):
        assert (MAKERS[name](seeded(seed + 100))(frames) - given).abs().max() > 1e-3


@pytest.mark.parametrize("maker", [*OF_INPUT, *OF_OUTPUT])
@pytest.mark.parametrize("seed", [0, 1])
def test_disturbances_are_fresh_for_each_frame_and_fixed_by_the_seed(
    maker: Callable[[torch.Generator], disturbances.Disturbance], seed: int
) -> None:
    still = clip()[:1].expand(6, -1, -1, -1).contiguous()
    before = still.clone()
    given = maker(seeded(seed))(still)
    assert torch.equal(still, before)
    assert given.shape == still.shape
    assert torch.equal(maker(seeded(seed))(still), given)
    steps = (given[1:] - given[:-1]).abs().mean(dim=(1, 2, 3))
    assert (steps > 1e-4).all()
    if maker in OF_INPUT:
        assert given.min() >= 0
        assert given.max() <= 1
    if maker in WIDE:  # a factor that is the same, or almost, for neighbours
        factor = (given / still.clamp_min(1e-3))[
            still.expand_as(given).amin(dim=1, keepdim=True).expand_as(given) > 0.1
        ]
        assert 0.3 < factor.min() < factor.max() < 3


def test_what_is_left_out_takes_no_part() -> None:
    frames = clip()
    others = {maker.__name__ for maker in operators.OF_PICTURES} - {"identity"}
    noises = {maker.__name__ for maker in disturbances.OF_INPUT}
    for seed in range(6):
        example = make_example(frames, frames, "noise", 3, seeded(seed), left_out=others)
        gain = example["truth"].mean() / frames.mean()
        kept = example["truth"].mean(dim=(2, 3)) / frames.mean(dim=(2, 3))  # of each frame and channel
        assert (kept.amax(dim=1) - kept.amin(dim=1)).max() < 0.02 * gain, "no operator but fades and lights"
    with pytest.raises(ConfigError, match="nothing to choose is left"):
        operators.picture_operator(seeded(0), others | {"identity"})
    with pytest.raises(ConfigError, match="nothing to choose is left"):
        disturbances.input_disturbance(seeded(0), noises)
    given = make_example(frames, frames, "enlarged", 3, seeded(1), left_out={"jpeg"})["input"]
    assert not torch.equal(given, make_example(frames, frames, "enlarged", 3, seeded(1))["input"])


def test_what_wanders_has_the_deviation_that_is_asked_for() -> None:
    for seed in range(4):
        values = wander(seeded(seed), 400, 50)
        assert values.std().item() == pytest.approx(1, rel=0.05)
        assert values.mean().abs() < 0.1


def test_events_are_true_changes_that_leave_most_clips_alone() -> None:
    frames, other = clip(), clip(1)
    same = [torch.equal(events(frames, other, seeded(seed)), frames) for seed in range(60)]
    assert 30 < sum(same) < 56


@pytest.mark.parametrize("sort", [*PICTURES, *SINGLES, *SEVERAL])
def test_examples_are_fixed_by_their_seed(sort: str) -> None:
    channels = 1 if sort in SINGLES else 5 if sort in SEVERAL else 3
    for seed in range(3):
        frames, other = clip(seed), clip(seed + 50)
        example = make_example(frames, other, sort, channels, seeded(seed), lambda noisy: noisy * 0.5)
        again = make_example(frames, other, sort, channels, seeded(seed), lambda noisy: noisy * 0.5)
        assert example["output"].shape == example["truth"].shape == (4, channels, 24, 28)
        assert example["input"].shape == (4, 1 if sort == "grey" else 3, 24, 28)
        for key, value in example.items():
            assert value.isfinite().all()
            assert torch.equal(value, again[key])


@pytest.mark.parametrize("sort", [*PICTURES, *SINGLES, *SEVERAL])
def test_the_truth_is_what_the_operator_gives_on_the_clean_frames(sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every disturbance taken out, output and truth are one."""
    for name in ("input_disturbance", "jpeg", "wide_flicker", "texture", "scale_and_shift"):
        monkeypatch.setattr(disturbances, name, lambda random, *_: disturbances.no_disturbance(random))
    monkeypatch.setattr("holdsteady.training.synthesis.clips.uniform", lambda _random, _low, _high: 0.0)
    channels = 1 if sort in SINGLES else 5 if sort in SEVERAL else 3
    hard = 0
    for seed in range(4):
        example = make_example(clip(seed), clip(seed + 50), sort, channels, seeded(seed), lambda noisy: noisy)
        if sort == "mask" and example["output"].unique().numel() == 2:
            hard += 1
            continue
        torch.testing.assert_close(example["output"], example["truth"])
    assert hard < 4


def test_clean_examples_are_undisturbed() -> None:
    for seed in range(6):
        example = make_example(clip(seed), clip(seed + 50), "clean", 3, seeded(seed))
        assert torch.equal(example["output"], example["truth"])


def test_a_denoiser_is_held_against_the_clean_frames() -> None:
    example = make_example(clip(), clip(1), "denoised", 3, seeded(3), lambda noisy: noisy.flip(1))
    assert torch.equal(example["output"], example["input"].flip(1))
    noise = (example["input"] - example["truth"]).std()
    assert 0.03 < noise < 0.2
