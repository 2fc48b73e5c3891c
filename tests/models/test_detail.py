"""The local Laplacian filter against its definition, and what it leaves alone."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holdsteady.models import detail


def by_definition(luma: detail.Plane, alpha: float, sigma: float) -> detail.Plane:
    """Paris et al., algorithm 1: one whole pyramid of the remapped image for every coefficient of the output."""
    guides = detail.gaussian_pyramid(luma)
    levels = [np.zeros_like(guide) for guide in guides[:-1]]
    for number, guide in enumerate(guides[:-1]):
        for place in np.ndindex(guide.shape):
            remapped = detail.remap(luma, float(guide[place]), alpha, sigma)
            levels[number][place] = detail.laplacian_pyramid(remapped)[number][place]
    return detail.collapse([*levels, guides[-1]])


@pytest.mark.parametrize(("alpha", "near"), [(0.25, 0.08), (0.5, 0.02), (2.0, 0.005)])
def test_it_is_what_its_definition_gives(alpha: float, near: float) -> None:
    random = np.random.default_rng(0)
    luma = cv2.GaussianBlur(random.random((16, 20), dtype=np.float32), (3, 3), 0)
    exact = by_definition(luma, alpha, 0.4)
    errors = [np.abs(detail.local_laplacian(luma, alpha, 0.4, samples) - exact).max() for samples in (12, 100)]
    assert np.abs(exact - luma).max() > 0.05
    # The fewer samples, the flatter is the remapping where it is steepest: at the centre, for a small α.
    assert errors[1] < near < errors[0]


@given(st.floats(0.05, 0.95), st.floats(0.1, 0.6), st.floats(0.2, 3.0))
@settings(max_examples=30, deadline=None)
def test_remapping_keeps_the_centre_large_edges_and_order(centre: float, sigma: float, alpha: float) -> None:
    values = np.linspace(0, 1, 101, dtype=np.float32)[None]
    mapped = detail.remap(values, centre, alpha, sigma)
    assert (np.diff(mapped[0]) > -1e-5).all()
    apart = np.abs(values - np.float32(centre))
    np.testing.assert_array_equal(mapped[apart >= sigma], values[apart >= sigma])
    if alpha < 1:
        np.testing.assert_allclose(mapped[apart < 0.01], values[apart < 0.01], atol=1e-6)
    assert detail.remap(np.full((1, 1), centre, np.float32), centre, alpha, sigma)[0, 0] == np.float32(centre)


def test_pyramids_collapse_to_their_image_and_alpha_one_changes_nothing() -> None:
    luma = np.random.default_rng(1).random((37, 53), dtype=np.float32)
    np.testing.assert_allclose(detail.collapse(detail.laplacian_pyramid(luma)), luma, atol=1e-6)
    np.testing.assert_allclose(detail.local_laplacian(luma, 1.0, 0.4, 12), luma, atol=1e-6)


def test_details_grow_and_colour_differences_stay() -> None:
    across = torch.linspace(0, 1, 64)
    luma = 0.5 + 0.05 * torch.sin(40 * across)
    frame = torch.stack((luma + 0.1, luma, luma - 0.1))[None, :, None, :].expand(1, 3, 48, 64)
    moderate, strong = (detail.enhance_details(frame, alpha=alpha) for alpha in (0.5, 0.25))
    assert frame.std(dim=3).mean() * 1.5 < moderate.std(dim=3).mean() < strong.std(dim=3).mean()
    torch.testing.assert_close(moderate[:, 0] - moderate[:, 2], frame[:, 0] - frame[:, 2], atol=1e-5, rtol=0)
