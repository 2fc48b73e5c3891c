"""Decoded frames, from the cache and without it, against a plain pass through the video."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from holdsteady.data import FrameCache
from holdsteady.data import cache as cache_module
from holdsteady.data.cache import CachedVideo
from holdsteady.errors import ConfigError, VideoError
from holdsteady.video import open_video

WHOLE = slice(None), slice(None)


def decoded(source: str) -> np.ndarray:
    with open_video(source) as reader:
        return np.stack([frame.pixels for frame in reader])


@pytest.fixture
def own_copy(carphone: str, tmp_path: Path) -> str:
    return shutil.copy(carphone, str(tmp_path / "copy.mp4"))


def test_cached_frames_are_those_of_the_video(bikes: str, cache: FrameCache) -> None:
    truth = decoded(bikes)
    video = cache.open(bikes)
    assert video.path.is_file()
    assert (video.index.frames, video.index.height, video.index.width) == truth.shape[:3]
    assert np.array_equal(video.read(range(70), WHOLE), truth)
    assert np.array_equal(video.read([3, 5, 9], (slice(7, 20), slice(30, 70))), truth[[3, 5, 9], 7:20, 30:70])


def test_shots_end_at_the_cuts(bikes: str, cache: FrameCache) -> None:
    assert cache.open(bikes).shots() == (range(10), range(10, 56), range(56, 70))
    assert cache.open(bikes).shots() == (range(10), range(10, 56), range(56, 70)), "read from the cache"


def test_without_room_the_same_frames_are_decoded_each_time(bikes: str, cache_folder: Path) -> None:
    video, truth = FrameCache(budget=0).open(bikes), decoded(bikes)
    assert not list(cache_folder.glob("*.npy"))
    assert video.index.times is not None
    assert len(video.index.times) == 70
    for first in (0, 1, 13, 62):
        assert np.array_equal(video.read(range(first, first + 8, 2), WHOLE), truth[first : first + 8 : 2])
    untimed = replace(video, index=replace(video.index, times=None))
    assert np.array_equal(untimed.read(range(13, 20), WHOLE), truth[13:20])
    # A file whose times changed after a seek is decoded from its start.
    shifted = replace(video, index=replace(video.index, times=[time + 0.01 for time in video.index.times]))
    assert np.array_equal(shifted.read(range(13, 20), WHOLE), truth[13:20])


def test_the_budget_holds(bikes: str, carphone: str, cache_folder: Path) -> None:
    budget = 0.002  # carphone takes 1.5 MB, bikes 9.1 MB
    for source in (bikes, carphone):
        FrameCache(budget=budget).open(source)
    assert [file.stat().st_size for file in cache_folder.glob("*.npy")] == [20 * 144 * 176 * 3 + 128]
    assert sum(file.stat().st_size for file in cache_folder.iterdir()) <= budget * 1e9
    assert FrameCache().open(bikes).path.is_file(), "what did not fit is written when there is room"


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time that a video is decoded, whole or in part, its name is added."""
    done: list[str] = []
    for name in ("pictures", "pixels_from"):
        real = getattr(cache_module, name)

        def counting(source: str, *rest: object, real=real):
            done.append(Path(source).stem)
            return real(source, *rest)

        monkeypatch.setattr(cache_module, name, counting)
    return done


def used_long_ago(video: CachedVideo, days: int) -> None:
    os.utime(video.path, (time.time() - 86400 * days,) * 2)


def test_what_was_not_used_for_longest_makes_room(
    bikes: str, bunny: str, carphone: str, cache_folder: Path, decodes: list[str]
) -> None:
    budget = 0.0125  # bikes takes 9.1 MB, bunny 6.2 MB, carphone 1.5 MB
    cache = FrameCache(budget=budget)
    old, small = cache.open(bikes), cache.open(carphone)
    used_long_ago(old, days=3)
    used_long_ago(small, days=5)
    for first in range(12):
        old.read(range(first, first + 8), WHOLE)
    assert decodes == ["bikes_cuts", "carphone"]
    new = cache.open(bunny)
    # carphone was used before bikes, and did not suffice.
    assert [video.path.exists() for video in (old, small, new)] == [False, False, True]
    assert [file.suffix for file in sorted(cache_folder.iterdir())] == [".json", ".npy"]
    for first in range(28):
        new.read(range(first, first + 8), WHOLE)
    assert decodes == ["bikes_cuts", "carphone", "bunny_audio"], "each was decoded once"
    assert np.array_equal(old.read(range(3, 6), WHOLE), decoded(bikes)[3:6]), "evicted under an open video"
    assert sum(file.stat().st_size for file in cache_folder.iterdir()) <= budget * 1e9


def test_a_read_counts_as_a_use(bunny: str, carphone: str, tmp_path: Path) -> None:
    cache = FrameCache(budget=0.0135)
    one, other = cache.open(bunny), cache.open(carphone)
    for video, days in ((one, 2), (other, 1)):
        used_long_ago(video, days)
    one.read([0], WHOLE)
    copy = cache.open(shutil.copy(bunny, str(tmp_path / "copy.mp4")))
    assert [video.path.exists() for video in (one, other, copy)] == [True, False, True]


def test_nothing_is_evicted_for_what_can_not_fit(bikes: str, carphone: str) -> None:
    cache = FrameCache(budget=0.002)
    kept = cache.open(carphone)
    assert not cache.open(bikes).path.exists()
    assert kept.path.exists()


def test_a_folder_of_images_is_a_video(cache: FrameCache, tmp_path: Path, carphone: str) -> None:
    truth = decoded(carphone)[:12]
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(truth):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    assert np.array_equal(cache.open(str(folder)).read(range(12), WHOLE), truth)
    assert np.array_equal(
        FrameCache(tmp_path / "none", budget=0).open(str(folder)).read([5, 11], WHOLE), truth[[5, 11]]
    )


def test_frames_of_16_bits_keep_their_upper_8(cache: FrameCache, tmp_path: Path) -> None:
    deep = np.arange(2 * 40 * 40 * 3, dtype=np.uint16).reshape(2, 40, 40, 3) * 6
    (tmp_path / "deep").mkdir()
    for number, picture in enumerate(deep):
        cv2.imwrite(str(tmp_path / "deep" / f"{number}.png"), picture[..., ::-1])
    assert np.array_equal(cache.open(str(tmp_path / "deep")).read([0, 1], WHOLE), deep >> 8)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_header(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x01\x00garbage" + path.read_bytes()[20:])


def pickled(path: Path) -> None:
    np.save(path, np.array([{"an": "object"}], object), allow_pickle=True)


def another_shape(path: Path) -> None:
    np.save(path, np.zeros((20, 10, 10, 3), np.uint8))


@pytest.mark.parametrize("spoil", [cut_off, spoil_header, pickled, another_shape, Path.unlink])
def test_spoilt_frames_are_never_used_and_are_made_anew(own_copy: str, cache: FrameCache, spoil) -> None:
    truth = decoded(own_copy)
    video = cache.open(own_copy)
    spoil(video.path)
    assert np.array_equal(video.read(range(20), WHOLE), truth), "spoilt between opening and reading"
    assert np.array_equal(np.load(cache.open(own_copy).path), truth)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"frames": 3}', '{"frames": -1, "height": 1, "width": 1, "cuts": [], "times": []}']
)
def test_a_spoilt_index_is_made_anew(own_copy: str, cache: FrameCache, text: str) -> None:
    video = cache.open(own_copy)
    video.path.with_suffix(".json").write_text(text)
    assert cache.open(own_copy) == video


def test_a_changed_video_is_decoded_anew_and_its_old_frames_are_removed(
    own_copy: str, cache: FrameCache, bikes: str
) -> None:
    before = cache.open(own_copy)
    shutil.copy(bikes, own_copy)
    os.utime(own_copy, (1, 1))
    after = cache.open(own_copy)
    assert after.index.frames == 70
    assert not before.path.exists()
    assert after.path.exists()


@pytest.mark.slow
def test_several_processes_may_decode_one_video_at_once(bikes: str, cache_folder: Path) -> None:
    code = f"""
from holdsteady.data import FrameCache
from holdsteady.data import cache as cache_module
from holdsteady.data.cache import CachedVideo
video = FrameCache().open({bikes!r})
print(int(video.read(range(70), (slice(None), slice(None))).sum(dtype="int64")))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [int(process.communicate()[0]) for process in processes]
    assert sums == [int(decoded(bikes).sum(dtype=np.int64))] * 2
    assert sorted(file.suffix for file in cache_folder.iterdir()) == [".json", ".npy"]


def test_what_a_killed_process_left_is_removed_after_a_day(own_copy: str, cache: FrameCache) -> None:
    video = cache.open(own_copy)
    old, new = (video.path.with_name(f"{video.path.stem}{name}.part") for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    video.path.unlink()
    cache.open(own_copy)
    assert (old.exists(), new.exists(), video.path.exists()) == (False, True, True)


def test_a_damaged_video_leaves_nothing_behind(tmp_path: Path, cache: FrameCache, cache_folder: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    with pytest.raises(VideoError, match=r"no\.mp4"):
        cache.open(str(tmp_path / "no.mp4"))
    assert not list(cache_folder.iterdir())


def test_bad_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="-1 GB"):
        FrameCache(budget=-1)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="HOLDSTEADY_CACHE"):
        FrameCache(tmp_path / "file" / "cache")
