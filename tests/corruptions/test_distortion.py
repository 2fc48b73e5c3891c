"""Elastic distortion, blur, JPEG and coarse pixels against their definitions and other libraries."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from holdsteady.corruptions import corrupt_clip, make_corruption
from holdsteady.corruptions.blur import disc, filtered, line
from holdsteady.corruptions.elastic import moved, smoothed


def test_smoothing_is_a_gaussian(generator: torch.Generator) -> None:
    noise = torch.rand(2, 2, 40, 50, generator=generator)
    expected = ndimage.gaussian_filter(noise.numpy(), (0, 0, 3, 3), mode="mirror", truncate=4)
    np.testing.assert_allclose(smoothed(noise, 3.0).numpy(), expected, atol=1e-5)


def test_a_displacement_says_where_a_pixel_comes_from(generator: torch.Generator) -> None:
    frame = torch.rand(1, 3, 6, 9, generator=generator)
    to = torch.zeros(1, 2, 6, 9)
    to[:, 0], to[:, 1] = 2, -1
    rows, columns = (torch.arange(6) - 1).clamp(0, 5), (torch.arange(9) + 2).clamp(0, 8)
    torch.testing.assert_close(moved(frame, to), frame[:, :, rows][..., columns])
    half = moved(frame, torch.full((1, 2, 6, 9), 0.5))[0, :, 2, 3]
    torch.testing.assert_close(half, frame[0, :, 2:4, 3:5].mean(dim=(1, 2)))


@pytest.mark.parametrize(("alpha", "sigma"), [(50, 5), (30, 3)])
def test_the_elastic_displacement_has_the_size_of_its_definition(alpha: float, sigma: float) -> None:
    # A ramp shows the displacement itself, as far as it is inside.
    ramp = torch.linspace(0, 1, 200).expand(1, 1, 200, 200)
    stream = make_corruption(f"elastic:alpha={alpha},sigma={sigma}").start(torch.Generator().manual_seed(0))
    inside = (slice(None), slice(None), slice(30, -30), slice(30, -30))
    shifts = [(199 * (stream(ramp) - ramp))[inside] for _ in range(6)]
    vertical = make_corruption(f"elastic:alpha={alpha},sigma={sigma}").start(torch.Generator().manual_seed(0))
    downs = [(199 * (vertical(ramp.mT) - ramp.mT))[inside] for _ in range(6)]
    expected = alpha / (sigma * math.sqrt(12 * math.pi))
    for values in (shifts, downs):
        rms = float(torch.cat(values).square().mean().sqrt())
        assert abs(rms / expected - 1) < 0.12, (rms, expected)
    fresh = torch.corrcoef(torch.stack((shifts[0].flatten(), shifts[1].flatten())))[0, 1]
    assert abs(float(fresh)) < 0.3


@pytest.mark.parametrize("radius", [0.0, 0.7, 3.0, 8.4])
def test_a_disc_is_round_has_its_radius_and_sum_one(radius: float) -> None:
    kernel = disc(radius)
    assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2
    np.testing.assert_allclose(kernel.sum(), 1, rtol=1e-5)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    if radius >= 3:
        steps = np.arange(len(kernel)) - len(kernel) // 2
        assert abs((kernel.sum(axis=0) * steps**2).sum() / (radius**2 / 4) - 1) < 0.06, "second moment of a disc"
    else:
        assert radius or kernel.max() == 1


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (9.0, 0.0), (0.0, -14.0), (6.0, 8.0), (-6.0, 8.0)])
def test_a_line_has_its_length_and_direction(x: float, y: float) -> None:
    kernel = line(x, y)
    np.testing.assert_allclose(kernel.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    steps = np.arange(len(kernel)) - len(kernel) // 2
    columns, rows = np.meshgrid(steps, steps)
    moments = [(kernel * columns**2).sum(), (kernel * rows**2).sum(), (kernel * columns * rows).sum()]
    # A point between two pixels is shared by them, which adds at most a quarter.
    for moment, segment, most in zip(moments, (x * x / 12, y * y / 12, x * y / 12), (0.26, 0.26, 0.02), strict=True):
        assert -0.02 < moment - segment < most


def test_filtering_is_correlation_with_continued_borders(generator: torch.Generator) -> None:
    frame = torch.rand(2, 3, 20, 30, generator=generator)
    kernels = [disc(2.3), line(5.0, 2.0)]
    result = filtered(frame, kernels)
    for item in range(2):
        for channel in range(3):
            expected = ndimage.correlate(frame[item, channel].numpy(), kernels[item], mode="nearest")
            np.testing.assert_allclose(result[item, channel].numpy(), expected, atol=1e-5)


def spread(spec: str, frames: int) -> tuple[float, Tensor]:
    """Mean second moment (both axes together, in pixels²) of a point under blur, and the frames (T, H, W)."""
    point = torch.zeros(1, 1, 81, 81)
    point[..., 40, 40] = 1
    stream = make_corruption(spec).start(torch.Generator().manual_seed(0))
    shown = torch.cat([stream(point)[0] for _ in range(frames)])
    steps = (torch.arange(81) - 40.0).square()
    torch.testing.assert_close(shown.sum(dim=(1, 2)), torch.ones(frames))
    return float((shown * (steps + steps[:, None])).sum(dim=(1, 2)).mean()), shown


def test_motion_blur_has_its_length_and_moves_continuously() -> None:
    moment, shown = spread("motion-blur:length=15", 400)
    assert abs(moment / (15**2 / 12) - 1) < 0.25
    near = (shown[1:] - shown[:-1]).abs().sum(dim=(1, 2)).mean()
    far = (shown[60:] - shown[:-60]).abs().sum(dim=(1, 2)).mean()
    assert near < 0.8 * far


def test_defocus_has_its_radius_and_hunts_continuously() -> None:
    moment, shown = spread("defocus:radius=5", 400)
    # A disc has r² / 2 of both axes; exp(u / 2) of a normal u has the mean exp(1 / 8).
    assert abs(moment / (5**2 / 2 * math.exp(1 / 8)) - 1) < 0.25
    near = (shown[1:] - shown[:-1]).abs().sum(dim=(1, 2)).mean()
    far = (shown[80:] - shown[:-80]).abs().sum(dim=(1, 2)).mean()
    assert near < 0.6 * far


@pytest.mark.parametrize("quality", [10, 90])
def test_jpeg_is_what_another_encoder_gives(quality: int, clip: Tensor, generator: torch.Generator) -> None:
    result = corrupt_clip(make_corruption(f"jpeg:quality={quality}"), clip[:2], generator)
    for frame, shown in zip(clip, result, strict=False):
        pixels = (frame * 255).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "jpeg", quality=quality)
        expected = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255
        assert float((shown - expected).abs().mean()) < 1.5 / 255
        assert float((shown - expected).abs().mean()) < 0.5 * float((shown - frame).abs().mean())


def test_coarse_pixels_are_means(generator: torch.Generator) -> None:
    frame = torch.rand(1, 3, 11, 14, generator=generator)
    shown = corrupt_clip(make_corruption("pixelate:size=4"), frame, generator)
    for row in range(11):
        for column in range(14):
            top, left = row // 4 * 4, column // 4 * 4
            mean = frame[..., top : top + 4, left : left + 4].mean(dim=(2, 3))
            torch.testing.assert_close(shown[..., row, column], mean)
