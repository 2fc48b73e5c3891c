"""Finding videos, frame pairs, and sources by name."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from holdsteady.data import KINDS, make_source, pair_source, video_source
from holdsteady.data.sources import find_videos
from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import open_video


def draw(source, seed: int = 0):
    return source.draw(torch.Generator().manual_seed(seed))


def write_frames(folder: Path, numbers, offset: int = 0, size=(20, 30), suffix: str = ".png") -> str:
    """Grey frames, as bright as their number plus an offset."""
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:04}{suffix}"), np.full((*size, 3), number + offset, np.uint8))
    return str(folder)


def test_videos_are_found_in_folders_globs_and_by_name(tmp_path: Path, carphone: str) -> None:
    (tmp_path / "videos" / "more").mkdir(parents=True)
    first, second = tmp_path / "videos" / "a.mp4", tmp_path / "videos" / "more" / "b.mkv"
    for place in (first, second, tmp_path / "videos" / "notes.txt", tmp_path / "videos" / ".hidden.mp4"):
        shutil.copy(carphone, place)
    frames = write_frames(tmp_path / "videos" / "frames", range(3))
    assert find_videos(str(tmp_path / "videos")) == [str(first), frames, str(second)]
    assert find_videos(str(tmp_path / "videos" / "*.mp4")) == [str(first)]
    assert find_videos(f"{frames}/*.png") == [f"{frames}/*.png"]
    assert find_videos(str(first)) == [str(first)]
    assert find_videos(str(tmp_path / "*" / "more" / "*.mkv")) == [str(second)]
    for nothing in ("none.mp4", "videos/*.avi"):
        with pytest.raises(ConfigError, match="no videos or images"):
            find_videos(str(tmp_path / nothing))


def test_clips_of_a_real_video_are_crops_of_its_frames_within_a_shot(bikes: str) -> None:
    with open_video(bikes) as reader:
        frames = torch.from_numpy(np.stack([frame.pixels for frame in reader])).permute(0, 3, 1, 2) / 255
    source = video_source([bikes, bikes], crop=(50, 60), flip=False)
    assert source.describe() == {"kind": "videos", "files": [bikes], "frames": 70}
    for seed in range(5):
        clip = draw(source, seed)["frames"]
        windows = frames.unfold(2, 50, 1).unfold(3, 60, 1)  # (N, 3, 87, 261, 50, 60)
        corners = (windows[..., 0, 0] == clip[0, :, 0, 0][:, None, None]).all(dim=1).nonzero().tolist()
        starts = [
            n for n, y, x in corners if n <= 62 and torch.equal(frames[n : n + 8, :, y : y + 50, x : x + 60], clip)
        ]
        assert len(starts) == 1
        assert any(starts[0] in shot and starts[0] + 7 in shot for shot in (range(10), range(10, 56), range(56, 70)))


def test_pairs_are_cut_alike(tmp_path: Path) -> None:
    noisy = write_frames(tmp_path / "noisy", range(1, 13), offset=100)
    clean = write_frames(tmp_path / "clean", range(1, 13), suffix=".bmp")
    source = pair_source(noisy, clean, length=4, crop=10)
    assert source.keys == {"frames", "truth"}
    for seed in range(5):
        sample = draw(source, seed)
        assert sample["frames"].shape == sample["truth"].shape == (4, 3, 10, 10)
        torch.testing.assert_close(sample["frames"] - sample["truth"], torch.full((4, 3, 10, 10), 100 / 255))


def test_folders_of_videos_are_paired_by_name(tmp_path: Path) -> None:
    for name, offset in (("a", 0), ("b", 50)):
        write_frames(tmp_path / "in" / name, range(1, 9), offset + 100)
        write_frames(tmp_path / "out" / name, range(1, 9), offset)
    source = pair_source(tmp_path / "in", tmp_path / "out")
    seen = set()
    for seed in range(10):
        sample = draw(source, seed)
        seen.add(round(sample["truth"][0, 0, 0, 0].item() * 255))
        torch.testing.assert_close(sample["frames"] - sample["truth"], torch.full((8, 3, 20, 30), 100 / 255))
    assert seen == {1, 51}


def test_pairs_that_do_not_match_are_named(tmp_path: Path, carphone: str, bikes: str) -> None:
    one = write_frames(tmp_path / "one", range(1, 9))
    with pytest.raises(ConfigError, match=r"in the input but not in the truth: 0007, 0008;"):
        pair_source(one, write_frames(tmp_path / "two", range(1, 7)))
    with pytest.raises(
        ConfigError, match=r"in the truth but not in the input: 0010, 0011, 0012, 0013, 0014 and 2 more"
    ):
        pair_source(one, write_frames(tmp_path / "three", [*range(1, 9), *range(10, 17)]))
    with pytest.raises(ConfigError, match=r"input has size \(20, 30\) and the truth \(30, 20\)"):
        pair_source(one, write_frames(tmp_path / "four", range(1, 9), size=(30, 20)))
    with pytest.raises(ConfigError, match="frames 20 and the truth 70"):
        pair_source(carphone, bikes)
    (tmp_path / "five").mkdir()
    shutil.copy(carphone, tmp_path / "five" / "x.mp4")
    shutil.copy(carphone, tmp_path / "five" / "y.mp4")
    with pytest.raises(ConfigError, match="videos: in the input but not in the truth: x, y"):
        pair_source(tmp_path / "five", one)


def test_every_kind_is_made_by_its_name(carphone: str, stills: Path) -> None:
    assert (
        *("videos", "pairs", "stills", "scenes"),
        *("davis", "nfs", "robustspring", "sintel", "spring", "viper", "visionsim"),
    ) == KINDS
    settings = {"length": 3, "crop": 16, "stride": (2,), "flip": False}
    for kind, paths in (
        ("videos", carphone),
        ("pairs", [carphone, carphone]),
        ("stills", [stills]),
        ("scenes", stills),
    ):
        source = make_source(kind, paths, **settings)
        sample = draw(source)
        assert sample.keys() == source.keys
        assert sample["frames"].shape == (3, 3, 16, 16)
        assert source.describe()["kind"] == kind


@pytest.mark.parametrize(
    ("kind", "paths", "message"),
    [
        ("movies", ["a"], "unknown kind of source 'movies'; choose one of videos, pairs"),
        ("pairs", ["a"], "pairs takes two paths, the input and the truth, got 1"),
        ("davis", ["a", "b"], "davis takes one path"),
        ("videos", [], "nothing to draw"),
    ],
)
def test_bad_calls_are_named(kind: str, paths: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_source(kind, paths)


def test_a_video_that_is_no_video_or_too_small_is_named(tmp_path: Path, carphone: str) -> None:
    with pytest.raises(ConfigError, match=r"carphone\.mp4: frames of 144x176 .* smaller than the crop 200x200"):
        make_source("videos", carphone, crop=200)
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        make_source("videos", tmp_path / "bad.mp4")


def test_a_part_of_each_video_and_smaller_frames(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", range(0, 200, 10), size=(40, 60))
    for part, numbers in (((0.0, 0.5), range(10)), ((0.5, 1.0), range(10, 20))):
        source = video_source([folder], length=4, crop=16, part=part, flip=False)
        seen = {round(255 * draw(source, seed)["frames"][t].mean().item()) for seed in range(40) for t in range(4)}
        assert seen == {10 * number for number in numbers}
    with pytest.raises(ConfigError, match="its longest shot has 4 frames"):
        video_source([folder], length=5, part=(0.8, 1.0))
    rows = np.arange(40)[:, None, None] + np.zeros((40, 60, 3))
    for number in range(2):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:04}.png"), (rows + 100 * number).astype(np.uint8))
    whole = make_source("videos", folder, length=2, part=(0.0, 0.1), flip=False)
    small = make_source("videos", folder, length=2, part=(0.0, 0.1), shrink=2, flip=False)
    frames = draw(small)["frames"]
    assert frames.shape == (2, 3, 20, 30)
    assert frames.dtype == torch.float32
    torch.testing.assert_close(frames, torch.nn.functional.avg_pool2d(draw(whole)["frames"], 2))
    with pytest.raises(ConfigError, match="smaller than the crop"):
        make_source("videos", folder, length=2, crop=32, shrink=2)
