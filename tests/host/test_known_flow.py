"""Motion that the caller knows: it is followed in place of every search."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.errors import ConfigError, LayoutError
from holdsteady.flow.dis import DISFlow

FOLLOWING: dict[str, dict[str, Any]] = {
    "motion-fixed": {},
    "live": {"max_height": 16},
    "motion": {"motion_width": 4},
    "universal": {"universal_width": 4},
    "spatial": {"preset": "light"},
}


def pan(frames: int, speed: int = 3) -> Tensor:
    """A camera that moves to the right over a picture with detail, (T, 1, 3, 64, 80)."""
    coarse = torch.rand(1, 3, 16, 40, generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(coarse, scale_factor=4, mode="bicubic").clamp(0, 1)
    return torch.stack([picture[..., t * speed : t * speed + 80] for t in range(frames)])


def moving(right: float, like: Tensor) -> Tensor:
    flow = torch.zeros(len(like), 2, *like.shape[-2:])
    flow[:, 0] = right
    return flow


@pytest.mark.parametrize("kind", FOLLOWING)
def test_nothing_is_searched(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pan(3)
    steady = hs.stabilize(nn.Identity(), kind, example=frames[0], **FOLLOWING[kind])
    calls = []
    search = DISFlow.__call__

    def counted(self: DISFlow, present: Tensor, previous: Tensor) -> Tensor:
        calls.append(1)
        return search(self, present, previous)

    monkeypatch.setattr(DISFlow, "__call__", counted)
    for frame in frames:
        steady(frame, flow=moving(3, frame))
    assert not calls
    for frame in frames:
        steady(frame)
    assert calls


def test_what_a_search_would_find_gives_what_the_search_gives() -> None:
    frames = pan(2) + 0.05 * torch.randn(2, 1, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    steady = hs.stabilize(nn.Identity())
    _, state = steady.step(frames[0])
    expected, _ = steady.step(frames[1], state)
    found = DISFlow(smooth=1.0)(frames[1], state.memories["0:output"]["stabilized"])
    assert torch.equal(steady.step(frames[1], state, flow=found)[0], expected)


@pytest.mark.parametrize("as_array", [False, True])
def test_true_motion_beats_none(as_array: bool) -> None:
    clean = pan(8)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))

    def error(right: float) -> float:
        steady, shown = hs.stabilize(nn.Identity(), deflicker=False), []
        for frame in noisy:
            flow = moving(right, frame)
            if as_array:
                picture = frame[0].permute(1, 2, 0).numpy()
                shown.append(torch.from_numpy(steady(picture, flow=flow.numpy())).permute(2, 0, 1)[None])
            else:
                shown.append(steady(frame, flow=flow))
        return float((shown[-1] - clean[-1])[..., 8:-8].square().mean())

    assert error(3) < 0.7 * error(0)
    assert error(math.nan) == error(0)


def test_classes_come_along_the_flow_that_is_given() -> None:
    """The model is sure once, and then knows nothing: what it was sure of is found where the flow leads."""
    frame = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(3))
    first = torch.full((1, 6, 32, 48), -4.0)
    first[:, 0], first[:, 2, :, 20:24] = 0.0, 8.0
    answers = iter([first, torch.zeros(1, 6, 32, 48)])
    steady = hs.stabilize(lambda _: next(answers), fuse_as="classes")
    steady(frame)
    second = steady(frame.roll(5, dims=3), flow=moving(-5, frame))
    assert (second[0, 2] > second[0, 0]).nonzero()[:, 1].unique().tolist() == [25, 26, 27, 28]


@pytest.mark.parametrize("flow", [torch.zeros(1, 2, 32, 32), torch.zeros(1, 3, 64, 80), np.zeros((1, 2, 64, 80), int)])
def test_a_flow_of_another_form_is_refused(flow: Any) -> None:
    frame = pan(1)[0]
    with pytest.raises(LayoutError, match=r"flow has shape .* for this frame it is floats \(1, 2, 64, 80\)"):
        hs.stabilize(nn.Identity())(frame, flow=flow)


def test_a_kind_that_follows_no_motion_refuses_it() -> None:
    frame = pan(1)[0]
    steady = hs.stabilize(nn.Identity(), "output-fixed")
    with pytest.raises(ConfigError, match="flow is given, and output-fixed does not follow motion"):
        steady(frame, flow=moving(0, frame))
    steady.remove()
    assert torch.equal(steady(frame, flow=moving(0, frame)), frame)
