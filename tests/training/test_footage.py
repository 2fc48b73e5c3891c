"""What footage is found to be disturbed by, against disturbances that are known."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import CLIPS

from holdsteady.corruptions import corrupt_clip, make_corruption
from holdsteady.corruptions.noise import Grain
from holdsteady.training.footage import Found, blocking, look_at, mixture
from holdsteady.training.noise import measure_noise

Frames = np.ndarray


def moving(count: int = 4, size: tuple[int, int] = (192, 256)) -> torch.Tensor:
    """A picture (T, 3, H, W) from dark to bright, with soft detail, that moves by three pixels a frame."""
    random = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 29, 43, generator=random)  # nothing repeats after eight pixels
    soft = torch.nn.functional.interpolate(coarse, size=(size[0], size[1] + 3 * count), mode="bicubic")
    ramp = torch.linspace(0.12, 0.75, size[1] + 3 * count)
    picture = (ramp + 0.08 * (soft - 0.5)).clamp(0.05, 0.9)
    return torch.cat([picture[..., 3 * t : 3 * t + size[1]] for t in range(count)])


def pixels(frames: torch.Tensor) -> Frames:
    return (255 * frames).round().byte().permute(0, 2, 3, 1).numpy()


def disturbed(spec: str, count: int = 4) -> Frames:
    return pixels(corrupt_clip(make_corruption(spec), moving(count), torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    "wanted",
    [
        Grain(sigma=4 / 255, gain=0),
        Grain(sigma=0.01, gain=0.003),
        Grain(sigma=0.03, gain=0, size=0.8, colour=0.3, colour_size=1.4),
    ],
)
def test_noise_is_measured_as_it_was_added(wanted: Grain) -> None:
    frames = disturbed(str(wanted))
    found = measure_noise([(frames[t], frames[t - 1]) for t in range(1, 4)])
    assert found is not None
    for level in (0.2, 0.5, 0.7):
        strength = math.sqrt(wanted.sigma**2 + wanted.gain * level)
        assert math.sqrt(found.sigma**2 + found.gain * level) == pytest.approx(strength, rel=0.12)
    assert found.size == pytest.approx(wanted.size, abs=0.3)
    assert found.colour == pytest.approx(wanted.colour, abs=0.06)
    assert found.colour_size == pytest.approx(wanted.colour_size, abs=0.3)


def test_clean_frames_have_hardly_any_noise() -> None:
    frames = pixels(moving())
    found = measure_noise([(frames[1], frames[0]), (frames[2], frames[1])])
    assert found is None or 255 * math.sqrt(found.sigma**2 + 0.5 * found.gain) < 0.7
    assert measure_noise([(frames[0], frames[0])]) is None, "copies tell nothing"
    assert measure_noise([]) is None


def test_blocks_of_a_codec_are_seen() -> None:
    clean = pixels(moving(1))[0]
    noisy = disturbed("gaussian:sigma=0.02", 1)[0]
    blocky = disturbed("gaussian:sigma=0.02+jpeg:quality=25", 1)[0]
    assert blocking(clean) < 1.06
    assert blocking(noisy) < 1.06
    assert blocking(blocky) > 1.1
    assert blocking(blocky[3:, 5:]) > 1.1, "wherever they begin"


def test_a_video_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDSTEADY_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "noisy"
    folder.mkdir()
    for number, frame in enumerate(disturbed("grain:sigma=0.02,gain=0+flicker:sigma=0.08", 12)):
        cv2.imwrite(str(folder / f"{number:03}.png"), frame[..., ::-1])
    found = look_at(str(folder))
    assert 255 * found.level == pytest.approx(5.1, rel=0.15)
    assert found.wide > 0.03
    assert found.blocks < 1.06
    spec, words = mixture([found])
    assert "noise of 5." in words
    assert "flicker:sigma=0.0" in spec
    assert str(make_corruption(spec)) == spec
    clean = look_at(str(CLIPS / "carphone.mp4"))
    assert clean.level < found.level


def test_the_mixture_follows_what_was_found() -> None:
    quiet = Found(Grain(sigma=0.001, gain=0), 0.001, 1.0, 0.0)
    loud = Found(Grain(sigma=0.02, gain=0), 0.02, 1.0, 0.0)
    louder = Found(Grain(sigma=0.04, gain=0), 0.04, 1.3, 0.0)
    assert mixture([quiet]) == (
        "mix(grain:sigma=0.005,gain=0|jpeg:quality=60)",
        "hardly any noise, no blocks, steady light",
    )
    spec, words = mixture([loud, quiet, loud])
    assert spec == "mix(grain:gain=0|grain:sigma=0.01,gain=0)"
    assert words == "noise of 5.1/255, no blocks, steady light"
    spec, words = mixture([louder, loud])
    assert spec.count("grain") == 4
    assert "jpeg:quality=" in spec
    assert words.startswith("noise of 5.1 to 10.2/255, blocks of a codec")
