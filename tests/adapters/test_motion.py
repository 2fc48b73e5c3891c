"""Flow, and what following the motion is good for: translated textures and uncovered backgrounds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from holdsteady.adapters import fusion
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.flow import DISFlow, resize_flow
from holdsteady.adapters.kinds import make_stabilizer
from holdsteady.adapters.layout import Layout
from holdsteady.adapters.stabilizers import Context, Moment
from holdsteady.host.attach import stabilize
from holdsteady.video import open_video, upright_tensors

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
    cell: Any = make_stabilizer(make_config(kind), 3, 3, True)
    if flow is not None:
        cell.flow = flow
    outputs, memory = [], cell.new_memory(clip[0])
    for frame in clip:
        output, memory = cell(frame, memory, Context())
        outputs.append(output)
    return outputs


def error(output: Tensor, clean: Tensor) -> float:
    """Mean square away from the border, over which new content comes in."""
    return (output - clean)[..., 16:-16, 16:-16].square().mean().item()


def detail(picture: Tensor) -> float:
    """High-frequency energy: the mean square of the Laplacian."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).expand(3, 1, 3, 3)
    return F.conv2d(picture[..., 16:-16, 16:-16], kernel, groups=3).square().mean().item()


@pytest.mark.parametrize("size", [(64, 80), (33, 40)])
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 4)])
def test_a_known_translation_is_found(size: tuple[int, int], shift: tuple[int, int]) -> None:
    big = texture(size[0] + 20, size[1] + 20, cell=6)
    down, right = shift
    previous = big[..., 10 : 10 + size[0], 10 : 10 + size[1]]
    present = big[..., 10 + down :, 10 + right :][..., : size[0], : size[1]]  # present[p] = previous[p + shift]
    flow = DISFlow()(present, previous)
    assert flow.shape == (1, 2, *size)
    inner = flow[..., 8:-8, 8:-8].flatten(2).median(dim=2).values[0]
    torch.testing.assert_close(inner, torch.tensor([float(right), float(down)]), atol=0.3, rtol=0)


def test_each_stream_has_a_flow_of_its_own() -> None:
    a, b = texture(48, 48), texture(48, 48, seed=5)
    present, previous = torch.cat((a, b)), torch.cat((a.roll(2, dims=3), b.roll(-3, dims=2)))
    both = DISFlow()(present, previous)
    for i in range(2):
        assert torch.equal(both[i : i + 1], DISFlow()(present[i : i + 1], previous[i : i + 1]))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (8, 8), (15, 40), (31, 31)])
def test_tiny_pictures_have_a_flow(size: tuple[int, int]) -> None:
    flow = DISFlow()(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert flow.shape == (2, 2, *size)
    assert flow.isfinite().all()


def test_flat_and_extreme_pictures_have_a_flow() -> None:
    flat = torch.full((1, 1, 40, 40), 3.0)
    assert DISFlow()(flat, flat).abs().max() == 0
    assert DISFlow()(flat * 1e30, -flat * 1e30).isfinite().all()


def test_the_range_of_the_pictures_does_not_matter() -> None:
    present, previous = texture(48, 48), texture(48, 48).roll(2, dims=3)
    flow = DISFlow()(present, previous)
    scaled = DISFlow()(present * 1000 - 500, previous * 1000 - 500)
    torch.testing.assert_close(scaled, flow, atol=0.1, rtol=0)  # eight bits may round differently


def test_tall_pictures_are_searched_at_540_lines() -> None:
    """At twice the height the search sees the same small pictures, and its displacements are doubled."""
    small, before = texture(540, 64, cell=12), texture(540, 64, cell=12).roll(2, dims=3)
    tall, tall_before = (F.interpolate(x, scale_factor=2, mode="nearest") for x in (small, before))
    flow = DISFlow()(tall, tall_before)
    assert flow.shape == (1, 2, 1080, 128)
    torch.testing.assert_close(flow[:, 0, 100:-100, 40:-40].median(), torch.tensor(4.0), atol=0.4, rtol=0)
    halved = DISFlow(max_height=270)(small, before)
    assert not torch.equal(halved, DISFlow()(small, before))


def damaged(picture: Tensor, seed: int) -> Tensor:
    """A frame with strong noise and a tenth of its 8×8 patches lost."""
    generator = torch.Generator().manual_seed(seed)
    lost = torch.rand(1, 1, picture.shape[2] // 8, picture.shape[3] // 8, generator=generator) < 0.1
    kept = 1 - F.interpolate(lost.float(), scale_factor=8)
    return (picture + 0.1 * torch.randn(picture.shape, generator=generator)).clamp(0, 1) * kept


def test_mending_finds_the_motion_of_frames_with_noise_and_holes(carphone: str) -> None:
    """How well the last clean frame, moved along the flow of the damaged one, predicts the clean one."""
    with open_video(carphone) as reader:
        frames = [frame for frame, _ in zip(upright_tensors(reader), range(8), strict=False)]
    errors: dict[bool, list[float]] = {False: [], True: []}
    for t in range(1, len(frames)):
        for mend, found in errors.items():
            flow = DISFlow(mend=mend)(damaged(frames[t], t), frames[t - 1])
            found.append((fusion.warp(frames[t - 1], flow) - frames[t]).square().mean().item())
    assert sum(errors[True]) < 0.7 * sum(errors[False])


def test_mended_pictures_of_any_size_have_a_flow() -> None:
    for size in [(1, 1), (7, 40), (600, 30)]:
        flow = DISFlow(mend=True)(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
        assert flow.shape == (2, 2, *size)
        assert flow.isfinite().all()


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


def test_learned_offsets_move_each_part_of_the_channels() -> None:
    settings_: dict[str, Any] = {
        "points": "output",
        "align": "learned",
        "offset_groups": 3,
        "kernel": 1,
        "initial_logit": 40.0,
    }
    first, second = torch.rand(2, 1, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    steady = stabilize(torch.nn.Identity(), "spatial", example=first, preset="paper", **settings_)
    moves = [(1, 0), (0, 2), (-3, 1)]  # to the right and down, for red, green and blue
    offsets = steady.adapter(0).offsets
    assert offsets is not None
    with torch.no_grad():
        offsets.layer.bias.copy_(torch.tensor(moves).flatten())
        _, state = steady.step(first)
        output, _ = steady.step(second, state)
    for channel, (right, down) in enumerate(moves):
        # The memory alone is shown, from where the offsets point.
        expected = first.roll((-down, -right), dims=(2, 3))[:, channel, 4:-4, 4:-4]
        torch.testing.assert_close(output[:, channel, 4:-4, 4:-4], expected, rtol=1e-4, atol=1e-4)


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
        output, _, _ = adapter.stabilize(0, second, {"stabilized": first, "raw": first}, context, (96, 96))
    inside = (..., slice(12, -12), slice(12, -12))
    assert (output - (second if own else first))[inside].abs().mean() < 0.02
    assert (output - (first if own else second))[inside].abs().mean() > 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_a_resized_flow_is_scaled_with_the_picture(height: int, width: int, new_height: int, new_width: int) -> None:
    flow = torch.tensor([3.0, -2.0])[None, :, None, None].expand(1, 2, height, width)
    resized = resize_flow(flow, (new_height, new_width))
    expected = torch.tensor([3 * new_width / width, -2 * new_height / height])[None, :, None, None]
    torch.testing.assert_close(resized, expected.expand(1, 2, new_height, new_width))


def test_each_of_several_flows_is_resized_alike() -> None:
    flow = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    each = [resize_flow(part, (9, 20)) for part in flow.split(2, dim=1)]
    torch.testing.assert_close(resize_flow(flow, (9, 20)), torch.cat(each, dim=1))


def test_gradients_flow_through_what_is_warped_and_not_through_the_flow() -> None:
    present, memory = texture(40, 40).requires_grad_(), texture(40, 40).roll(2, dims=3).requires_grad_()
    flow = DISFlow()(present, memory)
    assert not flow.requires_grad
    fusion.warp(memory, flow).square().mean().backward()
    assert present.grad is None
    assert memory.grad is not None
    assert memory.grad.abs().sum() > 0


def exact_flow(right: int, down: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The flow of a camera that moves by (down, right): what is at p now was at p + (right, down)."""

    def flow(present: Tensor, _previous: Tensor) -> Tensor:
        vector = torch.tensor([float(right), float(down)], dtype=present.dtype)[:, None, None]
        return vector.expand(len(present), 2, *present.shape[2:])

    return flow


def test_noise_is_cut_as_the_recursion_predicts() -> None:
    """With the memory at weight w and perfectly aligned white noise, V_t = (1−w)² V + w² V_{t−1}.

    So V_∞ = V (1−w)²/(1−w²) = V (1−w)/(1+w). Noise has d near its median m everywhere, so that
    w = a·exp(−(m/2m)²/2) = 0.6·exp(−1/8) = 0.530 and V_∞ = 0.307 V.
    """
    clean = pan(10, 96, (2, 3))
    outputs = run("motion-fixed", noisy(clean), exact_flow(right=3, down=2))
    w = 0.6 * torch.exp(torch.tensor(-1 / 8)).item()
    variance = 1.0
    for t, (output, truth) in enumerate(zip(outputs, clean, strict=True)):
        if t:
            variance = (1 - w) ** 2 + w**2 * variance
        if t in (0, 1, 9):
            assert error(output, truth) / NOISE**2 == pytest.approx(variance, rel=0.06)
    assert variance == pytest.approx((1 - w) / (1 + w), rel=1e-3)


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
    cell: Any = make_stabilizer(make_config("motion-fixed", flow_from=flow_from), channels, 3, True)
    warped = cell.align(Moment(values[1], values[0]), Context(frames[1], frames[0]))
    right, down = (-4.0, 0.0) if from_output else (1.5, 1.0)
    expected = fusion.warp(values[0], torch.tensor([right, down])[None, :, None, None].expand(1, 2, 48, 48))
    assert (warped - expected)[..., 10:-10, 10:-10].abs().mean() < 0.02
