"""Flow, and what following the motion is good for: translated textures and uncovered backgrounds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cells import make_cell
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.cell import Context, Moment
from holdsteady.adapters.config import make_config
from holdsteady.adapters.layout import Layout
from holdsteady.adapters.missing import begin, step
from holdsteady.flow.dis import DISFlow
from holdsteady.flow.warp import warp

NOISE = 0.05


def texture(height: int, width: int, cell: int = 4, seed: int = 0) -> Tensor:
    """A picture (1, 3, H, W) about 0.5 with detail of ``cell`` pixels."""
    coarse = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, scale_factor=cell, mode="bicubic")[..., :height, :width]


def pan(frames: int, size: int, step: tuple[int, int]) -> list[Tensor]:
    """A camera that moves ``step`` (down, right) pixels a frame over a texture."""
    big = texture(size + frames * step[0], size + frames * step[1])
    return [big[..., t * step[0] :, t * step[1] :][..., :size, :size] for t in range(frames)]


def noisy(clip: list[Tensor], seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [frame + NOISE * torch.randn(frame.shape, generator=generator) for frame in clip]


def run(kind: str, clip: list[Tensor], flow: Callable[[Tensor, Tensor], Tensor] | None = None) -> list[Tensor]:
    cell: Any = make_cell(make_config(kind), name="output")
    if flow is not None:
        cell.flow = flow
    output, memory = begin(cell, clip[0])
    outputs = [output]
    for frame in clip[1:]:
        output, memory = step(cell, frame, memory, Context(frame, frame))
        outputs.append(output)
    return outputs


def error(output: Tensor, clean: Tensor) -> float:
    """Mean square away from the border, over which new content comes in."""
    return (output - clean)[..., 16:-16, 16:-16].square().mean().item()


def detail(picture: Tensor) -> float:
    """High-frequency energy: the mean square of the Laplacian."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).expand(3, 1, 3, 3)
    return F.conv2d(picture[..., 16:-16, 16:-16], kernel, groups=3).square().mean().item()


@pytest.mark.parametrize("mends_input", [True, False])
def test_an_adapter_follows_what_it_remembers_of_the_frames(mends_input: bool) -> None:
    """The memory is given a motion of its own; where the flow leads back to shows whose motion was taken."""
    points = "input" if mends_input else "output"
    config = make_config("spatial", "paper", points=points, align="flow", head_width=4, backbone_width=4)
    adapter = Adapter(config, [Point(points, shape=(3, 96, 96), layout=Layout("map"))])
    first, last = pan(2, 96, (0, 2))
    remembered = first.roll(3, dims=2)
    flow = adapter.context(last, first, 1.0, {"stabilized": remembered} if mends_input else None).flow
    assert flow is not None
    expected = DISFlow(mend=True)(last, remembered if mends_input else first)
    assert torch.equal(flow, expected)
    new = adapter.context(last, last, 1.0, {"stabilized": torch.full_like(last, math.nan)}).flow
    assert new is not None
    assert new.abs().max() < 0.5


@pytest.mark.parametrize(("channels", "flow_from", "own"), [(3, "auto", True), (3, "input", False), (1, "auto", False)])
def test_an_output_that_is_a_picture_can_follow_its_own_motion(channels: int, flow_from: str, own: bool) -> None:
    """Frames stand still while the output moves; the memory, which alone is shown, comes along or stays."""
    settings_: dict[str, Any] = {"points": "output", "align": "flow", "flow_from": flow_from, "initial_logit": 40.0}
    config = make_config("spatial", "paper", kernel=1, head_width=4, backbone_width=4, **settings_)
    adapter = Adapter(config, [Point("output", shape=(channels, 96, 96), layout=Layout("map"))])
    frame = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    first, second = (value[:, :channels] for value in pan(2, 96, (0, 3)))
    with torch.no_grad():
        context = adapter.context(frame, frame, 1.0)
        output, _, _ = adapter.stabilize(0, second, {"stabilized": first, "raw": first[:, None]}, context, (96, 96))
    inside = (..., slice(12, -12), slice(12, -12))
    assert (output - (second if own else first))[inside].abs().mean() < 0.02
    assert (output - (first if own else second))[inside].abs().mean() > 0.05


def exact_flow(right: int, down: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The flow of a camera that moves by (down, right): what is at p now was at p + (right, down)."""

    def flow(present: Tensor, _previous: Tensor) -> Tensor:
        vector = torch.tensor([float(right), float(down)], dtype=present.dtype)[:, None, None]
        return vector.expand(len(present), 2, *present.shape[2:])

    return flow


def test_noise_is_cut_as_the_recursion_predicts() -> None:
    """With the memory at weight w and perfectly aligned white noise, V_t = (1−w)² V + w² V_{t−1}.

    Differences are noise of energy N, of which D = N/25 + N/4: w = min(0.9, n/(n+1)) (1 − 0.29/(6·1.5²))², with n
    frames behind the memory, which are V/V_{t−1}.
    """
    clean = pan(12, 96, (2, 3))
    outputs = run("motion-fixed", noisy(clean), exact_flow(right=3, down=2))
    trusted = (1 - (1 / 25 + 1 / 4) / (6 * 1.5**2)) ** 2
    variance = 1.0
    for t, (output, truth) in enumerate(zip(outputs, clean, strict=True)):
        if t:
            w = trusted * min(0.9, 1 / (1 + variance))
            variance = (1 - w) ** 2 + w**2 * variance
        # By chance, noise looks a little like detail that comes back, and is kept.
        if t in (0, 1, 11):
            assert 0.95 * variance < error(output, truth) / NOISE**2 < variance + 0.05


@pytest.mark.parametrize("step", [(0, 2), (3, 1), (2, 5)])
def test_a_panned_texture_stays_sharp_and_loses_its_noise(step: tuple[int, int]) -> None:
    clean = pan(8, 96, step)
    clip = noisy(clean)
    followed, smeared = run("motion-fixed", clip)[-1], run("output-fixed:0.4", clip)[-1]
    # Half the predicted gain is allowed to be lost to a flow that is estimated from noisy pictures.
    assert error(followed, clean[-1]) < (1 + 0.307) / 2 * NOISE**2
    assert error(smeared, clean[-1]) > 3 * error(followed, clean[-1])
    # The same filter on the clean clip: how much detail each keeps.
    sharp = detail(clean[-1])
    assert detail(run("motion-fixed", clean)[-1]) > 0.9 * sharp
    assert detail(run("output-fixed:0.4", clean)[-1]) < 0.5 * sharp


def test_no_ghost_where_background_is_uncovered() -> None:
    background = 0.3 * texture(72, 96)
    clip = []
    for t in range(6):
        frame = background.clone()
        frame[..., 24:44, 8 + 10 * t : 28 + 10 * t] = 1.0
        clip.append(frame)
    uncovered = (..., slice(24, 44), slice(8 + 40, 8 + 50))  # under the square until a frame ago
    followed, smeared = run("motion-fixed", noisy(clip))[-1], run("output-fixed:0.4", noisy(clip))[-1]
    square = (1.0 - background)[uncovered].mean()
    assert (followed - background)[uncovered].abs().mean() < 0.1 * square
    # A plain EMA shows the square of the last two frames there: 0.4 · 0.6 + 0.4 · 0.6².
    assert (smeared - background)[uncovered].mean().item() == pytest.approx(0.384 * square.item(), rel=0.05)
    # The square itself is where it belongs.
    assert (followed - 1)[..., 26:42, 60:76].abs().mean() < 0.1


@pytest.mark.parametrize(
    ("flow_from", "channels", "from_output"),
    [("auto", 3, True), ("auto", 1, False), ("output", 1, True), ("input", 3, False)],
)
def test_where_the_flow_comes_from(flow_from: str, channels: int, from_output: bool) -> None:
    """Frames that move by (down 2, right 3) with an output that moves by (0, −4), half the size of the frame."""
    frames = pan(2, 96, (2, 3))
    big = texture(60, 80)[:, :channels]
    values = [big[..., 4:52, 20:68], big[..., 4:52, 16:64]]
    cell: Any = make_cell(make_config("motion-fixed", flow_from=flow_from), channels, name="output")
    moment = Moment(values[1], values[0], values[0][:, None], torch.ones(()))
    warped = warp(values[0], cell.motion(moment, Context(frames[1], frames[0])))
    right, down = (-4.0, 0.0) if from_output else (1.5, 1.0)
    expected = warp(values[0], torch.tensor([right, down])[None, :, None, None].expand(1, 2, 48, 48))
    assert (warped - expected)[..., 10:-10, 10:-10].abs().mean() < 0.02
