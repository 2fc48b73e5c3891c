"""Clips made from stills: their truths agree with their frames, and they look like footage."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from holdsteady.data import CLASSES, SceneSource, StillSource
from holdsteady.data.images import SHAPES, cut_piece
from holdsteady.data.motion import random_speed, wander
from holdsteady.errors import ConfigError, VideoError
from holdsteady.flow.warp import warp

SOURCES = [StillSource, SceneSource]


def draw(source, seed: int) -> dict[str, Tensor]:
    return source.draw(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", SOURCES)
def test_the_keys_have_their_shapes_types_and_ranges(kind, stills: Path) -> None:
    source = kind([stills], length=5, crop=(40, 56))
    sample = draw(source, 0)
    assert sample.keys() == source.keys
    assert sample["frames"].shape == (5, 3, 40, 56)
    assert sample["flow"].shape == (4, 2, 40, 56)
    assert sample["visible"].shape == (4, 1, 40, 56)
    assert sample["visible"].dtype == torch.bool
    assert 0 <= sample["frames"].min() < sample["frames"].max() <= 1
    if kind is SceneSource:
        assert sample["depth"].shape == (5, 1, 40, 56)
        assert sample["depth"].min() > 0.5
        assert sample["depth"].max() < 60
        assert sample["classes"].shape == (5, 40, 56)
        assert set(sample["classes"].unique().tolist()) <= set(range(len(CLASSES)))


@pytest.mark.parametrize("kind", SOURCES)
def test_frames_repeat_along_the_flow_where_it_says_so(kind, stills: Path) -> None:
    source = kind([stills], length=3, crop=48)
    errors, still_errors = [], []
    for seed in range(12):
        sample = draw(source, seed)
        now, before, visible = sample["frames"][1:], sample["frames"][:-1], sample["visible"]
        assert sample["flow"].isfinite().all()
        error = (now - warp(before, sample["flow"])).abs().mean(dim=1, keepdim=True)
        errors.append(error[visible].mean())
        still_errors.append((now - before).abs().mean())
        # What remains is the blur of sampling, and mixed pixels at edges, a few in a hundred.
        assert (error[visible] > 0.1).float().mean() < 0.04
    assert torch.stack(errors).mean() < 0.012
    assert torch.stack(errors).mean() < 0.4 * torch.stack(still_errors).mean()


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_not_visible_is_new(kind, stills: Path) -> None:
    """Pixels that the flow leads out of the picture are never called visible."""
    sample = draw(kind([stills], length=4, crop=48), 3)
    x = torch.arange(48) + sample["flow"][:, 0]
    y = torch.arange(48)[:, None] + sample["flow"][:, 1]
    inside = (x >= -0.5) & (x < 47.5) & (y >= -0.5) & (y < 47.5)
    assert not sample["visible"][:, 0][~inside].any()
    assert sample["visible"].float().mean() > 0.8


def test_scenes_keep_class_and_nearly_the_depth_along_the_flow(stills: Path) -> None:
    source = SceneSource([stills], length=2, crop=48)
    for seed in range(8):
        sample = draw(source, seed)
        where = torch.stack(torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")).flip(0)
        x, y = (where + sample["flow"][0]).round().long().clamp(0, 47)
        seen = sample["visible"][0, 0]
        same = sample["classes"][0][y, x] == sample["classes"][1]
        assert same[seen].float().mean() > 0.98
        ratio = sample["depth"][0, 0][y, x] / sample["depth"][1, 0]
        assert (ratio[seen & same] - 1).abs().quantile(0.95) < 0.15


@pytest.mark.parametrize("kind", SOURCES)
def test_there_are_no_black_borders(kind, stills: Path) -> None:
    source = kind([stills], length=8, crop=32, stride=(1, 4))
    darkest = min(draw(source, seed)["frames"].min().item() for seed in range(15))
    assert darkest > 55 / 255  # nothing in the stills is darker than 60


@pytest.mark.parametrize("kind", SOURCES)
def test_motion_is_smooth_and_of_natural_speed(kind, stills: Path) -> None:
    source = kind([stills], length=8, crop=96)
    speeds = []
    for seed in range(16):
        flow = draw(source, seed)["flow"]
        # The middle pixel may pass from one thing to another, so the median over the picture is taken.
        typical = flow.flatten(2).median(dim=2).values
        assert typical.diff(dim=0).norm(dim=1).max() < 3
        speeds.append(flow.norm(dim=1).median().item())
    assert max(speeds) < 20
    assert 0.2 < np.median(speeds) < 5
    assert len({round(speed, 3) for speed in speeds}) > 10


@pytest.mark.parametrize("kind", SOURCES)
def test_a_clip_depends_on_the_generator_alone(kind, stills: Path) -> None:
    source = kind([stills], crop=24)
    first = draw(source, 7)
    draw(source, 8)
    again, other = draw(kind([stills], crop=24), 7), draw(source, 9)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["frames"], other["frames"])


def test_a_stride_is_a_faster_clip(stills: Path) -> None:
    slow, fast = (SceneSource([stills], length=9, crop=24, stride=(step,), flip=False) for step in (1, 4))
    slower, faster = ([draw(source, s)["flow"].norm(dim=1).mean() for s in range(6)] for source in (slow, fast))
    assert torch.stack(faster).mean() > 2 * torch.stack(slower).mean()


def test_all_classes_occur(stills: Path) -> None:
    source = SceneSource([stills], length=1, crop=32)
    found = torch.cat([draw(source, seed)["classes"].unique() for seed in range(25)]).unique()
    assert found.tolist() == list(range(len(CLASSES)))


@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_are_solid_in_the_middle_and_fade_to_nothing_at_the_border(shape: str) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (30, 50, 3), dtype=np.uint8)
    for size in ((40, 60), (9, 8), (20, 20)):
        alpha = cut_piece(random, image, size, shape)[..., 3]
        assert alpha.shape == size
        assert alpha[size[0] // 2, size[1] // 2] > 240
        assert not np.concatenate((alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])).any()
        assert ((alpha > 0) & (alpha < 255)).any()


def test_a_path_is_zero_in_the_middle_and_never_faster_than_its_speed() -> None:
    random = np.random.default_rng(0)
    times = np.arange(0, 41, dtype=float)
    for _ in range(50):
        path = wander(random, times, 2.0)
        assert abs(path[20]) < 1e-9
        assert np.abs(np.diff(path)).max() <= 2.0
        assert np.abs(np.diff(path, 2)).max() < 0.8
    speeds = [random_speed(random) for _ in range(400)]
    assert max(speeds) <= 0.08
    assert np.mean(np.array(speeds) == 0) == pytest.approx(1 / 8, abs=0.08)


def test_it_describes_what_it_reads(stills: Path) -> None:
    source = StillSource([stills / "*.png", stills / "0.png"], crop=8)
    assert source.files == tuple(str(stills / f"{n}.png") for n in range(3))
    assert source.describe() == {"kind": "stills", "files": list(source.files), "stills": 3}


@pytest.mark.parametrize("kind", SOURCES)
def test_bad_settings_are_named(kind, stills: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set the crop"):
        kind([stills])
    with pytest.raises(ConfigError, match=f"{tmp_path}: no images"):
        kind([tmp_path], crop=8)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"bad\.png: not an image"):
        draw(kind([tmp_path], crop=8), 0)
