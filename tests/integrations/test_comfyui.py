"""The node for ComfyUI, called as ComfyUI calls nodes."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

Plugin = Callable[[str], ModuleType]


@pytest.fixture
def node(plugin: Plugin) -> Any:
    return plugin("comfyui/__init__.py").NODE_CLASS_MAPPINGS["HoldSteady"]()


def still(frames: int, channels: int = 3) -> Tensor:
    """A batch (N, 48, 64, C) that shows one picture all along."""
    coarse = torch.rand(1, channels, 12, 16, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, scale_factor=4, mode="bicubic").clamp(0, 1).movedim(1, -1).repeat(frames, 1, 1, 1)


def noisy(images: Tensor) -> Tensor:
    return (images + 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def flicker(images: Tensor) -> float:
    return float(images[4:].diff(dim=0).square().mean())


@pytest.mark.parametrize("adapter", ["motion-fixed", "universal", "output-fixed:0.8"])
def test_a_batch_comes_back_steadier(node: Any, adapter: str) -> None:
    images = noisy(still(10))
    before = images.clone()
    (steady,) = node.run(images, adapter=adapter)
    assert steady.shape == images.shape and steady.dtype == images.dtype
    assert torch.equal(images, before)
    assert flicker(steady) < 0.8 * flicker(images)
    (untouched,) = node.run(images, adapter=adapter, strength=0.0)
    torch.testing.assert_close(untouched, images)


@pytest.mark.parametrize("adapter", ["motion-fixed", "universal"])
def test_faint_flicker_is_no_grain_of_an_input_that_nobody_gave(node: Any, adapter: str) -> None:
    images = 0.1 + 0.8 * still(10)
    images = images + 1.5 / 255 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    (steady,) = node.run(images, adapter=adapter)
    assert flicker(steady) < 0.6 * flicker(images)


def test_the_guide_says_what_moves(node: Any) -> None:
    """Line drawings jump about a picture that stands still: with the guide they are held."""
    images = noisy(still(10))
    guide = F.interpolate(still(10).movedim(-1, 1), scale_factor=2).movedim(1, -1)  # of another size
    (steady,) = node.run(images, guide=guide)
    assert flicker(steady) < 0.5 * flicker(images)


def test_deflicker_holds_the_light_of_the_guide(node: Any) -> None:
    guide = still(12)
    gains = 1 + 0.15 * torch.randn(12, generator=torch.Generator().manual_seed(2))
    images = (0.6 * guide * gains[:, None, None, None]).clamp(0, 1)
    (steady,) = node.run(images, guide=guide, deflicker=True)
    assert flicker(steady) < 0.2 * flicker(images)


def test_the_memory_is_cleared_at_cuts(node: Any) -> None:
    first, second = noisy(still(8)), 1 - noisy(still(8)).flip(2)
    video = torch.cat((first, second))
    (steady,) = node.run(video, adapter="output-fixed:0.2", cuts=True)
    torch.testing.assert_close(steady[8], video[8])
    (smeared,) = node.run(video, adapter="output-fixed:0.2", cuts=False)
    assert float((smeared[8] - video[8]).abs().mean()) > 0.1


def test_alpha_and_one_image(node: Any) -> None:
    (steady,) = node.run(still(3, channels=4))
    assert steady.shape == (3, 48, 64, 4)
    one = noisy(still(1))
    assert torch.equal(node.run(one)[0], one)


def test_what_does_not_go_together(node: Any) -> None:
    with pytest.raises(ValueError, match="guide has 2 images and images has 3: one for each"):
        node.run(still(3), guide=still(2))
    with pytest.raises(ValueError, match="connect the images before processing"):
        node.run(still(3), deflicker=True)


def test_comfyui_can_call_it_by_what_it_declares(node: Any) -> None:
    declared = {name for group in node.INPUT_TYPES().values() for name in group}
    assert declared == set(inspect.signature(getattr(node, node.FUNCTION)).parameters)
    defaults = {
        name: entry[1]["default"] if len(entry) > 1 else entry[0][0]
        for name, entry in node.INPUT_TYPES()["required"].items()
        if name != "images"
    }
    (steady,) = node.run(images=still(2), **defaults)
    assert steady.shape == (2, 48, 64, 3)
