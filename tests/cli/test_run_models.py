"""``holdsteady run`` with models as people have them: each was a report of somebody whose run failed or went wrong."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from cli.helpers import Cli, difference, frames_of, info_of

import holdsteady as hs

FILE = """
import cv2
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


class InPlace(nn.Module):
    def forward(self, x):
        return x.sub_(0.5).mul_(0.9).add_(0.5)


def out_of_place(x):
    return (x - 0.5) * 0.9 + 0.5


def conv():
    layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight)
    return layer


def weight():
    return weight_norm(conv())


def spectral():
    return spectral_norm(conv())


class Patch(nn.Module):
    def forward(self, x):
        assert x.shape[-1] % 14 == 0 == x.shape[-2] % 14, "patch 14"
        return x


class OneSize(nn.Module):
    def forward(self, x):
        assert x.shape[-2:] == (64, 96), "64 by 96 only"
        return x


def bytes_out(x):
    return x * 255


def both_ways(x):
    assert -1 <= x.min() < 0 and x.max() <= 1
    return x


def entries(x):
    return {"features": x.repeat(1, 4, 1, 1), "out": 1 - x}


def quarter(x):
    return F.avg_pool2d(x.repeat(1, 3, 1, 1), 4)


def labels(x):
    return (x.mean(dim=1) > 0.5).long() * 13


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, x):
        return self.conv(x.half())


def blur(array):
    return cv2.GaussianBlur(array, (5, 5), 1)


def talks(x):
    print("loading …")
    return x


def mask(x):
    return (x.mean(dim=1, keepdim=True) > 0.5).float()


def depth(x):
    return 10 * x.mean(dim=1)
"""


@pytest.fixture
def m(tmp_path: Path) -> Callable[[str], str]:
    """``m("name")`` names a thing in FILE."""
    (tmp_path / "strangers.py").write_text(FILE)
    return lambda name: f"{tmp_path / 'strangers.py'}:{name}"


@pytest.fixture
def short(tmp_path: Path, carphone: str) -> str:
    """Three PNG frames of 176×144."""
    folder = tmp_path / "short"
    folder.mkdir()
    for number, frame in enumerate(frames_of(carphone)[:3]):
        cv2.imwrite(str(folder / f"{number}.png"), frame[..., ::-1])
    return str(folder)


@pytest.mark.parametrize("adapter", ["none", "motion-fixed"])
def test_a_model_that_writes_into_its_input(cli: Cli, m: Callable[[str], str], short: str, adapter: str) -> None:
    for name in ("InPlace", "out_of_place"):
        assert cli("run", short, f"{name}/", "--model", m(name), "--adapter", adapter).code == 0
    for ours, theirs in zip(frames_of("InPlace"), frames_of("out_of_place"), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["weight", "spectral", "Patch"])
def test_parametrized_weights_and_patches_of_14(cli: Cli, m: Callable[[str], str], short: str, name: str) -> None:
    done = cli("run", short, "out/", "--model", m(name), "--adapter", "none")
    assert done.code == 0, done.err
    assert "3×154×182" in done.err or name != "Patch"
    for ours, before in zip(frames_of("out"), frames_of(short), strict=True):
        assert difference(ours, before) < 0.6


def test_a_model_of_one_size(cli: Cli, m: Callable[[str], str], short: str) -> None:
    done = cli("run", short, "out/", "--model", m("OneSize"))
    assert done.code == 1 and "64 by 96 only (strangers.py, line " in done.error and "--model-size" in done.error
    assert cli("run", short, "out/", "--model", m("OneSize"), "--model-size", "96x64", "--adapter", "none").code == 0
    assert info_of("out").width == 176
    assert difference(frames_of("out")[0], frames_of(short)[0]) < 12
    assert "WIDTHxHEIGHT" in cli("run", short, "o/", "--model", m("OneSize"), "--model-size", "large").error


def test_values_that_are_no_pictures_in_0_to_1(cli: Cli, m: Callable[[str], str], short: str) -> None:
    done = cli("run", short, "out/", "--model", m("bytes_out"), "--adapter", "none")
    assert "looks like 0…255: give --output-range 0..255" in done.err
    assert cli("run", short, "right/", "--model", m("bytes_out"), "--output-range", "0..255").code == 0
    assert difference(frames_of("right")[0], frames_of(short)[0]) < 0.6
    assert cli("run", short, "both/", "--model", m("both_ways"), "--range", "-1..1").code == 0
    assert difference(frames_of("both")[0], frames_of(short)[0]) < 0.6


def test_an_entry_is_chosen(cli: Cli, m: Callable[[str], str], short: str) -> None:
    done = cli("run", short, "first/", "--model", m("entries"))
    assert "output features of features, out: 12×144×176" in done.err
    assert "the model gives 2 images (features, out): to take another, --output NAME" in done.err
    assert cli("run", short, "out/", "--model", m("entries"), "--output", "out", "--adapter", "none").code == 0
    assert difference(255 - frames_of("out")[0], frames_of(short)[0]) < 0.6
    assert "(did you mean out?)" in cli("run", short, "no/", "--model", m("entries"), "--output", "outt").error


def test_small_logits_and_class_numbers_fill_the_frame_with_classes(
    cli: Cli, m: Callable[[str], str], short: str
) -> None:
    done = cli("run", short, "out/", "--model", m("quarter"))
    assert done.code == 0 and "much smaller than the frame, 44x36 for a frame of 176x144" in done.err
    assert info_of("out").width == 176
    assert (
        cli("run", short, "l/", "--model", m("labels"), "--class-colors", "cityscapes", "--adapter", "none").code == 0
    )
    bright = frames_of(short)[0].astype(float).mean(axis=2) > 127.5
    shown = frames_of("l")[0]
    assert np.array_equal(np.unique(shown[bright], axis=0), [[0, 0, 142]])  # a car
    assert np.array_equal(np.unique(shown[~bright], axis=0), [[128, 64, 128]])  # road


def test_half_precision_says_what_to_do(cli: Cli, m: Callable[[str], str], short: str, tmp_path: Path) -> None:
    done = cli("run", short, "out/", "--model", m("Half"))
    assert done.code == 1 and "it computes in float16: try --dtype float16" in done.error
    assert cli("run", short, "out/", "--model", m("Half"), "--dtype", "float16").code == 0
    torch.save({"state_dict": {"module.weight": hs.load(m("conv")).weight.half()}}, tmp_path / "half.pth")
    assert cli("run", short, "c/", "--model", m("conv"), "--weights", "half.pth", "--adapter", "none").code == 0
    assert difference(frames_of("c")[0], frames_of(short)[0]) < 0.6


def test_a_function_of_opencv(cli: Cli, m: Callable[[str], str], short: str) -> None:
    assert "give --layout hwc-uint8" in cli("run", short, "out/", "--model", m("blur")).error
    done = cli("run", short, "out/", "--model", m("blur"), "--layout", "hwc-uint8", "--adapter", "none")
    assert done.code == 0, done.err
    wanted = cv2.GaussianBlur(frames_of(short)[0], (5, 5), 1)
    assert np.array_equal(frames_of("out")[0], wanted)


def test_depth_in_colours_with_its_values(cli: Cli, m: Callable[[str], str], short: str) -> None:
    options = ("--colormap", "inferno", "--values", "v", "--adapter", "none")
    assert cli("run", short, "out/", "--model", m("depth"), *options).code == 0
    before = frames_of(short)[2].astype(float).mean(axis=2) / 25.5
    assert np.abs(np.load("v/000002.npy") - before).max() < 1e-3
    shown = frames_of("out")[0]
    assert (shown[..., 0] != shown[..., 2]).any()
    assert "not empty; add --overwrite" in cli("run", short, "o2/", "--model", m("depth"), *options).error
    assert cli("run", short, "o2/", "--model", m("depth"), *options, "--values-as", "png", "-y").code == 0
    assert Path("v/000000.png").exists()


def test_a_mask_on_a_colour(cli: Cli, m: Callable[[str], str], short: str) -> None:
    options = ("--kind", "mask", "--background", "#00ff00", "--adapter", "none")
    assert cli("run", short, "out/", "--model", m("mask"), *options).code == 0
    before, shown = frames_of(short)[0], frames_of("out")[0]
    inside = before.astype(float).mean(axis=2) > 127.5
    assert np.array_equal(shown[inside], before[inside])
    assert np.array_equal(np.unique(shown[~inside], axis=0), [[0, 255, 0]])


def test_a_mask_as_alpha(cli: Cli, m: Callable[[str], str], short: str) -> None:
    options = ("--model", m("mask"), "--kind", "mask", "--background", "alpha", "--adapter", "none")
    assert cli("run", short, "out/", *options).code == 0
    before = frames_of(short)[0]
    inside = before.astype(float).mean(axis=2) > 127.5
    shown = cv2.imread(str(min(Path("out").iterdir())), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown[..., 3] == 255, inside) and np.array_equal(shown[..., 2::-1], before)
    assert cli("run", short, "out.mov", *options).code == 0
    with av.open("out.mov") as file:
        assert any(part.is_alpha for part in file.streams.video[0].format.components)
    assert cli("run", short, "both/", *options, "--side-by-side").code == 0
    both = cv2.imread(str(min(Path("both").iterdir())), cv2.IMREAD_UNCHANGED)
    assert (both[:, :176, 3] == 255).all() and np.array_equal(both[:, 176:, 3] == 255, inside)


def test_an_adapter_brings_its_card(cli: Cli, m: Callable[[str], str], short: str) -> None:
    model = hs.Model(hs.load(m("bytes_out")), output_range=(0, 255))
    hs.stabilize(model, "output-fixed:1", example=torch.rand(1, 3, 16, 16)).save("adapter")
    assert cli("run", short, "out/", "--model", m("bytes_out"), "--adapter", "adapter").code == 0
    assert difference(frames_of("out")[1], frames_of(short)[1]) < 0.6


def test_a_format_of_values_that_are_not_kept_is_said(cli: Cli, m: Callable[[str], str], short: str) -> None:
    done = cli("run", short, "out/", "--model", m("depth"), "--adapter", "none", "--values-as", "png")
    assert done.code == 0
    assert done.err.count("--values-as png has no effect") == 1


def test_flags_that_make_no_sense(cli: Cli, m: Callable[[str], str], short: str) -> None:
    for options, words in {
        ("--range", "255"): "write black..white, as 0..255",
        ("--mean", "a,b"): "write a number, or three with commas",
        ("--kind", "picture"): "kind: Input should be 'image'",
        ("--overlay", "2"): "an opacity above 0, up to 1",
        ("--colormap", "infernoo"): "did you mean inferno",
        ("--class-colors", "city"): "no palette of that name",
        ("--values", "v", "--values-as", "tiff"): "use npy, png, exr",
        ("--inside",): "turns ONNX files into PyTorch",
    }.items():
        done = cli("run", short, "out/", "--model", m("depth"), *options)
        assert done.code == 1 and words in done.error, done.err
        assert not Path("out").exists()
