"""What ships with the package is there, small, and does what it says."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torchmetrics.functional.image import peak_signal_noise_ratio

from holdsteady import zoo
from holdsteady.video import open_video, upright_tensors

FOLDER = Path(zoo.__file__).parent


@pytest.mark.parametrize("name", zoo.NAMES)
def test_every_model_loads_and_keeps_the_shape_of_a_frame(name: str) -> None:
    path = FOLDER / f"{name}.safetensors"
    assert path.stat().st_size < 3e6
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(zoo.load(name).state_dict())
    model = zoo.load(name)
    assert not model.training
    frame = torch.rand(1, 3, 37, 53)
    with torch.inference_mode():
        out = model(frame)
    assert out.shape == frame.shape
    assert out.isfinite().all()


def test_only_shipped_names_load() -> None:
    with pytest.raises(KeyError):
        zoo.load("nafnet99")


def test_demo_clip_is_small_and_readable() -> None:
    assert zoo.DEMO_CLIP.stat().st_size < 1e6
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        assert (reader.info.width, reader.info.height) == (176, 144)
        assert sum(1 for _ in reader) == 120


def test_denoiser_denoises() -> None:
    with open_video(str(zoo.DEMO_CLIP)) as reader:
        clean = next(upright_tensors(reader))
    generator = torch.Generator().manual_seed(0)
    noisy = (clean + 50 / 255 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    with torch.inference_mode():
        restored = zoo.load("nafnet16-denoise")(noisy).clamp(0, 1)
    before, after = (peak_signal_noise_ratio(picture, clean, data_range=1.0) for picture in (noisy, restored))
    assert after - before > 8
