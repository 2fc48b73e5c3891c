"""Relative depth by the scale and shift of a clip's first frame."""

import math

import pytest
import torch

from holdsteady.errors import LayoutError
from holdsteady.objective import fit_by_first, unified_loss


def truth(seed: int = 0) -> torch.Tensor:
    return 1 + torch.rand(2, 4, 1, 6, 7, generator=torch.Generator().manual_seed(seed))


def test_one_scale_and_shift_for_all_frames() -> None:
    y = truth()
    torch.testing.assert_close(fit_by_first(0.3 * y - 2, y), y, atol=1e-5, rtol=1e-5)
    # Each stream has its own.
    own = torch.tensor([2.0, -0.5])[:, None, None, None, None]
    torch.testing.assert_close(fit_by_first(own * y + own, y), y, atol=1e-5, rtol=1e-5)


def test_a_scale_that_drifts_costs_what_it_drifts() -> None:
    y = truth()
    drift = torch.tensor([1.0, 1.1, 1.2, 0.9])[None, :, None, None, None]
    fitted = fit_by_first(5 * drift * y, y)
    torch.testing.assert_close(fitted, drift * y, atol=1e-5, rtol=1e-5)
    assert unified_loss(fitted, y, stability=0.0, distance="l1").total > 0.05


def test_the_fit_itself_passes_no_gradient() -> None:
    y = truth()
    z = (0.5 * y + 1 + 0.1 * torch.randn(y.shape)).requires_grad_()
    fit_by_first(z, y).sum().backward()
    assert z.grad is not None
    assert (z.grad.flatten(1) - z.grad.flatten(1)[:, :1]).abs().max() < 1e-6  # the scale alone


def test_what_is_unknown_takes_no_part() -> None:
    y = truth()
    z = 3 * y + 1
    z[0, 0, 0, 0, 0] = 1e6
    y[0, 0, 0, 0, 0] = math.nan
    torch.testing.assert_close(fit_by_first(z, y)[0, 1:], y[0, 1:], atol=1e-4, rtol=1e-4)
    y[1, 0] = math.nan
    assert torch.equal(fit_by_first(z, y)[1], z[1])


def test_it_is_for_depth() -> None:
    with pytest.raises(LayoutError, match="clips"):
        fit_by_first(torch.zeros(1, 2, 3, 4, 4), torch.zeros(1, 2, 3, 4, 4))
