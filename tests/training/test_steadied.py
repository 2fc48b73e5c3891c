"""Noisy footage as its own truth: what is left of its noise."""

import pytest
import torch
from adapters.recorded import psnr, scene

from holdsteady.training.clips import steadied


@pytest.mark.parametrize("deviation", [1.5, 5.0])
def test_noise_is_no_truth_be_it_faint(deviation: float) -> None:
    clean = 0.1 + 0.8 * scene(8)
    noisy = clean + deviation / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    assert psnr(steadied(noisy), clean) > psnr(noisy, clean) + 2
