"""Loaders of public sets and of their formats, on tiny made-up trees of the same layout."""

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import OpenEXR
import pytest
import torch
from PIL import Image

from holdsteady.data.formats import read_depth, read_dpt, read_dsp5, read_flo, read_flo5, read_labels
from holdsteady.data.layouts import read_viper_classes
from holdsteady.data.public import SETS, open_set
from holdsteady.errors import ConfigError, MissingExtraError, VideoError

SIZE = 12, 16


def draw(source, seed: int = 0):
    return source.draw(torch.Generator().manual_seed(seed))


def save(path: Path, values: np.ndarray) -> None:
    """An image file; RGB if it has three axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def frame(number: int) -> np.ndarray:
    return np.full((*SIZE, 3), 10 * number, np.uint8)


def numbers_of(sample, key: str = "frames") -> list[int]:
    """Which frames a clip shows, from their brightness."""
    return (sample[key][:, 0, 0, 0] * 25.5).round().int().tolist()


def tagged(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack("<fii", 202021.25, values.shape[1], values.shape[0])
    path.write_bytes(header + values.astype("<f4").tobytes())
    return path


def hdf5(path: Path, name: str, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[name] = values
    return path


def exr(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"V": values.astype(np.float32)}) as file:
        file.write(str(path))
    return path


def nfs(root: Path) -> None:
    for number in range(1, 11):
        save(root / "ball" / "240" / "ball" / f"{number:05}.png", frame(number))
    save(root / "ball" / "30" / "ball" / "00001.png", frame(1))


def davis(root: Path) -> None:
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("bear\n")
    (root / "ImageSets" / "2017" / "val.txt").write_text("cow\n")
    for name in ("bear", "cow"):
        for number in range(10):
            save(root / "JPEGImages" / "480p" / name / f"{number:05}.png", frame(number))
            labels = Image.fromarray(np.full(SIZE, number % 3, np.uint8), mode="P")
            labels.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
            place = root / "Annotations" / "480p" / name
            place.mkdir(parents=True, exist_ok=True)
            labels.save(place / f"{number:05}.png")


def viper(root: Path) -> None:
    for number in range(1, 21):
        save(root / "train" / "img" / "001" / f"001_{number:05}.png", frame(number))
        save(root / "train" / "cls" / "001" / f"001_{number:05}.png", np.full((*SIZE, 3), (128, 64, 128), np.uint8))
    (root / "train" / "img" / "001" / "001_00011.png").write_bytes(b"")
    (root / "train" / "cls" / "001" / "001_00003.png").unlink()


def robustspring(root: Path) -> None:
    for number in range(1, 9):
        for kind, offset in (("rain", 10), ("fog", 12), ("spring", 0)):
            save(root / kind / "test" / "0003" / "frame_left" / f"frame_left_{number:04}.png", frame(number + offset))


def spring(root: Path) -> None:
    scene = root / "train" / "0001"
    fine = 2 * SIZE[0], 2 * SIZE[1]
    for number in range(1, 9):
        save(scene / "frame_left" / f"frame_left_{number:04}.png", frame(number))
        disparity = np.full(fine, float(number))
        disparity[0, 0] = 0
        disparity[1::2, 1::2] = -99  # not taken
        hdf5(scene / "disp1_left" / f"disp1_left_{number:04}.dsp5", "disparity", disparity)
        if number > 1:
            flow = np.dstack((np.full(fine, number), np.full(fine, -0.5)))
            flow[2, 2, 0] = np.nan
            hdf5(scene / "flow_BW_left" / f"flow_BW_left_{number:04}.flo5", "flow", flow)
    (scene / "cam_data").mkdir()
    (scene / "cam_data" / "intrinsics.txt").write_text("\n".join(f"{1000 + n} 1000 960 540" for n in range(1, 9)))


def sintel(root: Path) -> None:
    for number in range(1, 9):
        for render_pass in ("final", "clean"):
            save(root / "training" / render_pass / "alley_1" / f"frame_{number:04}.png", frame(number))
        tagged(root / "training" / "depth" / "alley_1" / f"frame_{number:04}.dpt", np.full(SIZE, 0.5 * number))
        tagged(root / "training" / "flow" / "alley_1" / f"frame_{number:04}.flo", np.ones((*SIZE, 2)))


def visionsim(root: Path) -> None:
    for number in range(8):
        save(root / "kitchen" / "fast" / "frames" / f"frame_{number:06}.png", frame(number))
        depth = np.full(SIZE, number + 1.0)
        depth[0, 0] = 1e10
        exr(root / "kitchen" / "fast" / "depths" / f"depth_{number:06}.exr", depth)


TREES: dict[str, Callable[[Path], None]] = {
    "davis": davis,
    "nfs": nfs,
    "robustspring": robustspring,
    "sintel": sintel,
    "spring": spring,
    "viper": viper,
    "visionsim": visionsim,
}
KEYS = {
    "davis": {"frames", "classes"},
    "nfs": {"frames"},
    "robustspring": {"frames", "truth"},
    "sintel": {"frames", "depth"},
    "spring": {"frames", "depth", "flow"},
    "viper": {"frames", "classes"},
    "visionsim": {"frames", "depth"},
}


@pytest.mark.parametrize("name", SETS)
def test_clips_of_consecutive_frames_with_the_truths_of_the_set(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    source = open_set(name, tmp_path, length=4, crop=(10, 12))
    sample = draw(source)
    assert source.keys == sample.keys() == KEYS[name]
    assert sample["frames"].shape == (4, 3, 10, 12)
    first = numbers_of(sample)[0]
    assert numbers_of(sample) == list(range(first, first + 4))
    assert source.describe()["kind"] == name


@pytest.mark.parametrize("name", SETS)
def test_the_error_shows_the_tree_that_is_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{name} is not there; expected are files like") as error:
        open_set(name, tmp_path)
    assert str(tmp_path / SETS[name][1][0]) in str(error.value)


def test_davis_classes_are_the_numbers_of_objects_and_splits_are_kept_apart(tmp_path: Path) -> None:
    davis(tmp_path)
    sample = draw(open_set("davis", tmp_path, "val", length=5))
    assert sample["classes"][:, 0, 0].tolist() == [number % 3 for number in numbers_of(sample)]
    assert open_set("davis", tmp_path, "val").files == (str(tmp_path / "JPEGImages" / "480p" / "cow"),)
    with pytest.raises(ConfigError, match="davis, split 'test', is not there"):
        open_set("davis", tmp_path, "test")


def test_viper_leaves_out_the_empty_frame_and_knows_no_class_without_a_label(tmp_path: Path) -> None:
    viper(tmp_path)
    source = open_set("viper", tmp_path, length=4)
    unknown = 0
    for seed in range(40):
        sample = draw(source, seed)
        assert 11 not in numbers_of(sample)
        for number, classes in zip(numbers_of(sample), sample["classes"], strict=True):
            unknown += number == 3
            assert classes.eq(255 if number == 3 else 3).all()  # (128, 64, 128) is road, number 3
    assert unknown


def test_viper_labels_in_colours_and_in_numbers(tmp_path: Path) -> None:
    colours = np.array(
        [[(0, 0, 0), (111, 74, 0), (70, 130, 180), (0, 80, 100)], [(50, 0, 90), (0, 0, 142), (1, 2, 3), (220, 20, 60)]]
    )
    save(tmp_path / "colours.png", colours.astype(np.uint8))
    assert read_viper_classes(tmp_path / "colours.png").tolist() == [[255, 255, 2, 25], [31, 24, 255, 20]]
    save(tmp_path / "numbers.png", np.array([[0, 1, 2], [31, 3, 20]], np.uint8))
    assert read_viper_classes(tmp_path / "numbers.png").tolist() == [[255, 255, 2], [31, 3, 20]]


def test_robustspring_pairs_a_corruption_with_the_clean_frames(tmp_path: Path) -> None:
    robustspring(tmp_path)
    sample = draw(open_set("robustspring", tmp_path, "rain"))
    assert numbers_of(sample) == [number + 10 for number in numbers_of(sample, "truth")]
    assert len(open_set("robustspring", tmp_path).files) == 2
    (tmp_path / "spring" / "test" / "0003" / "frame_left" / "frame_left_0004.png").unlink()
    with pytest.raises(ConfigError, match="does not have the same frames"):
        open_set("robustspring", tmp_path, "rain")


def test_spring_has_depth_in_metres_and_flow_to_the_frame_before(tmp_path: Path) -> None:
    spring(tmp_path)
    sample = draw(open_set("spring", tmp_path, length=4, flip=False))
    assert sample["frames"].shape[2:] == SIZE
    for t, number in enumerate(numbers_of(sample)):
        depth = sample["depth"][t, 0]
        assert depth[0, 0].isnan()
        assert depth[1, 1].item() == pytest.approx((1000 + number) * 0.065 / number)
        assert depth.isfinite().sum() == depth.numel() - 1
        if t > 0:
            flow = sample["flow"][t - 1]
            assert flow[:, 1, 1].isnan().all()
            assert flow[:, 2, 2].tolist() == [number, -0.5]
    (tmp_path / "train" / "0001" / "cam_data" / "intrinsics.txt").unlink()
    with pytest.raises(ConfigError, match=r"intrinsics\.txt: is needed"):
        open_set("spring", tmp_path)


def test_sintel_passes_and_depth(tmp_path: Path) -> None:
    sintel(tmp_path)
    sample = draw(open_set("sintel", tmp_path, "training/clean", length=3))
    assert sample["depth"][:, 0, 0, 0].tolist() == [0.5 * number for number in numbers_of(sample)]
    with pytest.raises(ConfigError, match="test/final"):
        open_set("sintel", tmp_path, "test/final")


def test_visionsim_depth_is_unknown_in_the_sky_and_has_to_be_there_for_each_frame(tmp_path: Path) -> None:
    visionsim(tmp_path)
    sample = draw(open_set("visionsim", tmp_path, "kitchen", length=3, flip=False))
    assert sample["depth"][:, 0, 0, 0].isnan().all()
    assert sample["depth"][:, 0, 1, 1].tolist() == [number + 1 for number in numbers_of(sample)]
    next((tmp_path / "kitchen" / "fast" / "depths").iterdir()).unlink()
    with pytest.raises(ConfigError, match="8 frames, but 7 depths"):
        open_set("visionsim", tmp_path)


def test_a_truth_of_another_size_is_named(tmp_path: Path) -> None:
    sintel(tmp_path)
    for number in range(1, 9):
        tagged(tmp_path / "training" / "depth" / "alley_1" / f"frame_{number:04}.dpt", np.ones((5, 6)))
    with pytest.raises(VideoError, match=r"\.dpt: 5x6 \(height x width\), but the frames have 12x16"):
        draw(open_set("sintel", tmp_path))


def test_formats_give_back_what_was_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    flow, depth = random.normal(size=(5, 7, 2)).astype(np.float32), random.uniform(1, 9, (5, 7)).astype(np.float32)
    unknown = flow.copy()
    unknown[2, 3, 1] = 1e10
    np.testing.assert_array_equal(read_flo(tagged(tmp_path / "a.flo", flow)), flow)
    assert np.argwhere(np.isnan(read_flo(tagged(tmp_path / "b.flo", unknown)))).tolist() == [[2, 3, 0], [2, 3, 1]]
    np.testing.assert_array_equal(read_dpt(tagged(tmp_path / "a.dpt", depth))[..., 0], depth)
    np.testing.assert_array_equal(read_flo5(hdf5(tmp_path / "a.flo5", "flow", flow)), flow[::2, ::2])
    np.testing.assert_array_equal(read_dsp5(hdf5(tmp_path / "a.dsp5", "disparity", depth))[..., 0], depth[::2, ::2])
    np.save(tmp_path / "a.npy", depth)
    for path in (tmp_path / "a.npy", exr(tmp_path / "a.exr", depth)):
        np.testing.assert_array_equal(read_depth(path)[..., 0], depth)


@pytest.mark.parametrize("read", [read_flo, read_dpt, read_flo5, read_dsp5, read_depth, read_labels])
@pytest.mark.parametrize("content", [None, b"", b"nonsense that is not a file of this kind"])
def test_damaged_files_are_named(read, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "damaged.exr"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"damaged\.exr"):
        read(path)


def test_more_damage_is_named(tmp_path: Path) -> None:
    cut = tagged(tmp_path / "a.flo", np.ones((5, 7, 2)))
    cut.write_bytes(cut.read_bytes()[:-4])
    with pytest.raises(VideoError, match="288 bytes, which is not 5x7 values of 2 channels"):
        read_flo(cut)
    with pytest.raises(VideoError, match="'flow'"):
        read_flo5(hdf5(tmp_path / "a.flo5", "disparity", np.ones((4, 4))))
    np.save(tmp_path / "a.npy", np.ones((4, 4, 3)))
    with pytest.raises(VideoError, match=r"one channel.*\(4, 4, 3\)"):
        read_depth(tmp_path / "a.npy")


@pytest.mark.parametrize(("library", "read"), [("h5py", read_flo5), ("h5py", read_dsp5), ("OpenEXR", read_depth)])
def test_a_missing_library_is_named_with_its_pip_line(
    library: str, read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library}.*pip install 'holdsteady\[data\]'"):
        read(tmp_path / "a.exr")
