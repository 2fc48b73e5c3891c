"""Weather: what falls and drifts does so continuously, and looks as its settings say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.corruptions import make_corruption
from holdsteady.corruptions.field import drifting_field
from holdsteady.corruptions.frost import crystals, inward
from holdsteady.corruptions.particles import drawn, fallen, how_many, scattered
from holdsteady.corruptions.paths import wander
from holdsteady.corruptions.spatter import landed, run


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weather(
    spec: str, frames: int, brightness: float = 0.0, size: tuple[int, int] = (90, 160), seed: int = 0
) -> Tensor:
    """Even frames of a brightness in this weather, (T, H, W)."""
    stream = make_corruption(spec).start(seeded(seed))
    return torch.cat([stream(torch.full((1, 1, *size), brightness))[:, 0] for _ in range(frames)])


def change(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())


def test_a_wandering_value_has_deviation_one_and_its_memory() -> None:
    path = wander((500,), 10.0, seeded())
    values = torch.stack([next(path) for _ in range(60)])
    assert abs(float(values.mean())) < 0.05
    assert abs(float(values.std()) - 1) < 0.03
    for lag in (1, 10, 30):
        assert abs(float((values[lag:] * values[:-lag]).mean()) - np.exp(-lag / 10)) < 0.05


@settings(max_examples=50)
@given(st.floats(-0.1, 0.1), st.floats(0, 0.3), st.floats(0.3, 3), st.integers(0, 1000))
def test_particles_move_by_their_velocity_and_stay_in_their_box(x: float, y: float, aspect: float, seed: int) -> None:
    generator = seeded(seed)
    before = scattered(40, aspect, generator)
    after = fallen(before, np.array([x, y]), aspect, generator)
    box = np.array([aspect, 1.0])
    assert ((after >= -0.35) & (after <= box + 0.35)).all()
    gone = before + np.array([x, y])
    stays = ((gone >= -0.35) & (gone < box + 0.35)).all(axis=1)
    np.testing.assert_allclose(after[stays], gone[stays], atol=1e-12)
    # All others left at a border; none of them is in sight.
    hidden = (after < 0.3).any(axis=1) | (after > box).any(axis=1)
    assert hidden[~stays].all()


def test_particles_keep_their_density() -> None:
    generator = seeded()
    positions = scattered(how_many(2000, 1.5), 1.5, generator)
    for _ in range(80):
        positions = fallen(positions, np.array([0.03, 0.11]), 1.5, generator)
    inside = ((positions >= 0) & (positions < (1.5, 1.0))).all(axis=1)
    assert abs(inside.sum() / 3000 - 1) < 0.06


def test_a_streak_is_drawn_where_it_is() -> None:
    layer = drawn(np.array([[0.5, 0.8]]), np.array([[0.5, 0.2]]), 100, 100, 2.0)
    rows, columns = np.nonzero(layer > 0.5)
    assert abs(rows.min() - 20) <= 2 and abs(rows.max() - 80) <= 2
    assert set(columns) <= {48, 49, 50, 51, 52}
    thin = drawn(np.array([[0.5, 0.8]]), np.array([[0.5, 0.2]]), 100, 100, 0.25)
    one = drawn(np.array([[0.5, 0.8]]), np.array([[0.5, 0.2]]), 100, 100, 1.0)
    np.testing.assert_allclose(thin, one * 0.25 * 60.25 / 61, rtol=1e-4, err_msg="fainter by the area")
    assert drawn(np.array([[-0.2, 0.5]]), np.array([[-0.1, 0.5]]), 100, 100, 2.0).max() == 0


def test_rain_falls_at_its_slant() -> None:
    upright = weather("rain:slant=0,veil=0,streaks=600", 6)
    across, along = upright.diff(dim=2).abs().mean(), upright.diff(dim=1).abs().mean()
    assert across > 2.5 * along
    slanted = weather("rain:slant=45,veil=0,streaks=600", 6)
    assert slanted.diff(dim=2).abs().mean() < 1.5 * slanted.diff(dim=1).abs().mean()


def test_rain_is_brighter_than_the_dark_and_slightly_veiled() -> None:
    none = weather("rain:streaks=0,veil=0.1", 1)[0]
    assert float(none.std()) < 1e-6 and 0.03 < float(none.mean()) < 0.08
    assert float(weather("rain:veil=0", 1).min()) == 0
    assert weather("rain:5", 3).mean() > 2 * weather("rain:1", 3).mean()


@pytest.mark.parametrize("spec", ["snow", "fog", "spatter", "frost", "rain:5"])
def test_weather_is_another_at_another_seed(spec: str) -> None:
    assert change(weather(spec, 1, 0.3)[0], weather(spec, 1, 0.3, seed=1)[0]) > 0.005


@pytest.mark.parametrize(("spec", "share"), [("fog", 0.2), ("frost", 0.05), ("snow", 0.6)])
def test_a_frame_is_like_the_one_before(spec: str, share: float) -> None:
    # Seen coarsely, for flakes are smaller than what they move by in a frame.
    first, second, other = F.avg_pool2d(torch.cat((weather(spec, 2), weather(spec, 1, seed=1))), 10)
    assert 0 < change(first, second) < share * change(first, other)


def test_the_same_share_is_covered_at_every_size() -> None:
    for spec in ("snow:veil=0", "rain:veil=0", "spatter"):
        small, large = (float(weather(spec, 3, 0.3 * (spec == "spatter"), (h, h)).mean()) for h in (120, 480))
        assert abs(small / large - 1) < 0.3, (spec, small, large)


def test_a_field_is_soft_continuous_and_drifts() -> None:
    path = drifting_field(90, 160, 0.01, seeded())
    fields = torch.cat([next(path)[0] for _ in range(120)])
    assert fields.shape == (120, 90, 160)
    assert 0 < float(fields.min()) < 0.2 and 0.8 < float(fields.max()) < 1
    assert abs(float(fields.mean()) - 0.5) < 0.1
    step, away = change(fields[0], fields[1]), change(fields[0], fields[119])
    assert 0 < step < 0.15 * away
    assert float(fields.diff(dim=2).abs().mean()) < 0.03, "of low frequencies"
    still = drifting_field(90, 160, 0.0, seeded())
    torch.testing.assert_close(next(still), next(still))


def test_fog_is_a_transmission_and_an_airlight() -> None:
    dark, grey, white = (weather("fog:density=0.8", 5, value) for value in (0.0, 0.5, 1.0))
    transmission = white - dark
    torch.testing.assert_close(grey, (dark + white) / 2)
    airlight = dark / (1 - transmission)
    assert float(airlight.std()) < 1e-4 and 0.7 < float(airlight.mean()) < 0.9
    # The depth is 0.2 to 1.8 times the density, 1.35 times as much at the top and 0.65 at the bottom.
    depth = -transmission.log() / 0.8
    assert float(depth.min()) > 0.65 * 0.2 and float(depth.max()) < 1.35 * 1.8
    assert abs(float(depth.mean()) - 1) < 0.25
    torch.testing.assert_close(weather("fog:density=0", 2, 0.3), torch.full((2, 90, 160), 0.3))


def test_drops_stay_or_run_down_and_their_number_stays() -> None:
    generator = seeded()
    drops = landed(400, 1.6, generator)
    moves = 0
    for _ in range(300):
        before = drops.centres.copy()
        run(drops, 1.6, generator)
        step = drops.centres - before
        fresh = drops.grown < 0.01
        kept = step[~fresh]
        assert (kept[:, 1] >= 0).all() and (kept[:, 1] <= 0.016).all()
        assert (np.abs(kept[:, 0]) <= kept[:, 1]).all()
        moves += int((kept[:, 1] > 0).sum())
    assert len(drops.centres) == 400
    assert 0.005 < moves / (300 * 400) < 0.3, "most stay"
    assert (drops.centres[:, 1] < 1.2).all()


def test_a_drop_shows_the_scene_upside_down_and_covers_its_share() -> None:
    # Bright above and dark below: drops are dark above and bright below.
    picture = torch.linspace(1, 0, 200)[:, None].expand(1, 1, 200, 200)
    shown = make_corruption("spatter:coverage=0.2").start(seeded())(picture)
    covered = (shown - picture).abs() > 0.01
    # Overlaps, frame borders and soft edges make it less.
    assert 0.1 < float(covered.float().mean()) < 0.21
    slopes = shown.diff(dim=2)[covered[:, :, 1:] & covered[:, :, :-1]]
    assert float(slopes.median()) > 0 > float(picture.diff(dim=2).mean())
    assert float((shown == picture).float().mean()) > 0.75, "what is not covered is as it was"


def test_frost_is_thick_at_the_borders_and_grows_inward() -> None:
    frames = weather("frost:reach=0.4,opacity=0.8", 200, size=(120, 160))
    distance = inward(120, 160)
    border, middle = frames[0][distance < 0.15], frames[0][distance > 0.8]
    assert float(border.mean()) > 0.1 > 5 * float(middle.mean())
    assert float(frames[199].mean()) > 1.1 * float(frames[0].mean())
    # It grows where it is: ice does not wander.
    pair = torch.stack((frames[0][distance < 0.1], frames[199][distance < 0.1]))
    assert float(torch.corrcoef(pair)[0, 1]) > 0.7
    assert float(weather("frost:reach=0", 1).max()) < 1e-6


def test_distance_to_the_border() -> None:
    distance = inward(4, 6)
    assert distance[0].tolist() == [0.25] * 6 and distance[:, 0].tolist() == [0.25] * 4
    assert distance[1, 2] == 0.75


def test_crystals_have_needles_finer_than_their_film() -> None:
    ice = crystals(240, 320, seeded())
    assert ice.shape == (240, 320) and ice.min() >= 0 and ice.max() <= 1
    assert 0.1 < (ice > 0.9).mean() < 0.5 and (ice < 0.6).mean() > 0.1
    smooth = np.abs(np.diff(drifting_field(240, 320, 0, seeded()).__next__()[0, 0].numpy())).mean()
    assert np.abs(np.diff(ice)).mean() > 5 * smooth
