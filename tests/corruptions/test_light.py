"""Flicker and colour jitter against their definitions."""

import math
import sys

import pytest
import torch
from torch import Tensor

from holdsteady.corruptions import make_corruption
from holdsteady.errors import MissingExtraError


def colours(spec: str, frame: Tensor, frames: int) -> Tensor:
    """The colour (T, 3) of an even frame (1, 3, 1, 1) over time."""
    stream = make_corruption(spec).start(torch.Generator().manual_seed(0))
    return torch.cat([stream(frame)[..., 0, 0] for _ in range(frames)])


def even(*rgb: float) -> Tensor:
    return torch.tensor(rgb)[None, :, None, None]


def test_flicker_is_one_log_normal_gain_a_frame() -> None:
    shown = colours("flicker:sigma=0.15", even(0.1, 0.2, 0.3), 2000)
    gains = shown / torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(gains[:, 0], gains[:, 2])
    logs = gains[:, 0].log()
    assert abs(float(logs.mean())) < 5 * 0.15 / math.sqrt(2000)
    assert abs(float(logs.std()) / 0.15 - 1) < 0.08
    assert abs(float(torch.corrcoef(torch.stack((logs[1:], logs[:-1])))[0, 1])) < 0.1, "fresh for each frame"


def test_brightness_is_a_uniform_factor() -> None:
    spec = "color-jitter:brightness=0.3,contrast=0,saturation=0,hue=0"
    factors = colours(spec, even(0.2, 0.4, 0.6), 500) / torch.tensor([0.2, 0.4, 0.6])
    torch.testing.assert_close(factors[:, 0], factors[:, 2], atol=1e-4, rtol=1e-4)
    assert 0.7 <= float(factors.min()) < 0.71 and 1.29 < float(factors.max()) <= 1.3001
    assert abs(float(factors[:, 0].var()) / (0.3**2 / 3) - 1) < 0.15


def test_saturation_and_contrast_change_what_they_are_named_after() -> None:
    grey = even(0.5, 0.5, 0.5)
    torch.testing.assert_close(
        colours("color-jitter:brightness=0,contrast=0,saturation=1,hue=0.5", grey, 20),
        torch.full((20, 3), 0.5),
        atol=2e-3,
        rtol=0,
    )
    ramp = torch.linspace(0.4, 0.6, 50).expand(1, 3, 4, 50)
    stream = make_corruption("color-jitter:brightness=0,contrast=0.5,saturation=0,hue=0").start(
        torch.Generator().manual_seed(0)
    )
    slopes = torch.stack([stream(ramp)[0, 0, 0].diff().mean() for _ in range(150)]) / ramp[0, 0, 0].diff().mean()
    assert 0.5 <= float(slopes.min()) < 0.55 and 1.45 < float(slopes.max()) <= 1.501


@pytest.mark.parametrize("hue", [0.02, 0.1])
def test_hue_turns_by_no_more_than_it_says(hue: float) -> None:
    shown = colours(f"color-jitter:brightness=0,contrast=0,saturation=0,hue={hue}", even(0.8, 0.2, 0.2), 150)
    # Turned off red by h, the larger of green and blue rises by 6 h of the chroma.
    turns = (shown[:, 1:].max(dim=1).values - 0.2) / (6 * 0.6)
    assert 0.95 * hue < float(turns.max()) < 1.01 * hue
    assert (shown[:, 1] > 0.21).any() and (shown[:, 2] > 0.21).any(), "to both sides"


def test_without_torchvision_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    stream = make_corruption("color-jitter").start(torch.Generator().manual_seed(0))
    with pytest.raises(MissingExtraError, match=r"needs torchvision: pip install 'holdsteady\[models\]'"):
        stream(even(0.1, 0.2, 0.3))
