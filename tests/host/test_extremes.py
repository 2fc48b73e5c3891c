"""Frames that are hardly any: of one colour, of no value, of one pixel."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs

KINDS: dict[str, dict[str, Any]] = {
    "motion-fixed": {},
    "motion-fixed, deflicker": {"deflicker": True},
    "live": {"max_height": 16},
    "universal": {"universal_width": 4},
    "motion": {"motion_width": 4},
    "spatial": {"preset": "tiny"},
    "controlled": {"preset": "light"},
    "output-fixed": {},
    "output-gaussian": {},
    "simple-learned": {"points": "output"},
    "statistics-fixed": {},
    "statistics": {"statistics_width": 4},
}
SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 5), (33, 17)]


def steady_of(kind: str, example: Tensor) -> hs.StabilizedModel:
    torch.manual_seed(0)
    return hs.stabilize(nn.Identity(), kind.partition(",")[0], example=example, **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_one_colour_stays_what_it_is(kind: str, value: float) -> None:
    frame = torch.full((2, 3, 24, 32), value)
    steady = steady_of(kind, frame)
    for _ in range(5):
        # A window of spatial reaches zeros outside of the image.
        torch.testing.assert_close(steady(frame)[..., 8:-8, 8:-8], frame[..., 8:-8, 8:-8], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_any_size(kind: str, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(4, 1, 3, *size, generator=generator)
    steady = steady_of(kind, frames[0])
    for frame in frames:
        output = steady(frame)
        assert output.shape == frame.shape and bool(output.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_frame_without_a_value_is_passed_over(kind: str, broken: float) -> None:
    frames = torch.rand(4, 1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    steady = steady_of(kind, frames[0])
    outputs = [steady(frame) for frame in (frames[0], torch.full_like(frames[0], broken), *frames[1:])]
    assert not bool(outputs[1].isfinite().any())
    assert all(bool(output.isfinite().all()) for output in (outputs[0], *outputs[2:]))
    assert steady.state is not None  # every point counts
    assert steady.state.non_finite.tolist() == [len(steady.adapter(0).points) * 3 * 24 * 32]
    first = steady_of(kind, frames[0])
    first(torch.full_like(frames[0], broken))  # at the very start
    assert torch.equal(first(frames[0]), frames[0])
