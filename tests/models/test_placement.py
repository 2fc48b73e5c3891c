"""Where the presets put adapters in the networks that are known, and that adapters run and learn there."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdsteady as hs
from holdsteady.errors import ConfigError
from holdsteady.models.hdrnet import HDRNet
from holdsteady.models.nafnet import NAFNet
from holdsteady.models.scenes import SceneNetwork
from holdsteady.models.upscaler import Upscaler

THIN = {"backbone_width": 2, "backbone_layers": 0, "head_width": 2, "head_layers": 0, "vector_width": 2}


def deeplab_v3_plus() -> nn.Module:
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.create_model("deeplabv3plus", "mobilenet_v2", encoder_weights=None, classes=5)


def of_torchvision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from torchvision import models

        return models.get_model(name, weights=None, weights_backbone=None, num_classes=5)

    return make


def depth_anything() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    backbone = transformers.Dinov2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=28, out_indices=[1, 2],
        reshape_hidden_states=False, mlp_ratio=2,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=8, reassemble_factors=[1, 1],
        neck_hidden_sizes=[4, 4], fusion_hidden_size=4, head_in_index=-1, head_hidden_size=4,
    )  # fmt: skip
    return hs.Model(transformers.DepthAnythingForDepthEstimation(config), kind="depth", output="predicted_depth")


PAPER: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "NAFNet": (lambda: NAFNet(4), ["encoders.0.0", "encoders.1.0", "encoders.2.0", "encoders.2.1", "middle.0",
        "middle.1", "decoders.0.0", "decoders.1.0", "decoders.2.0", "output"]),
    "HDRNet": (HDRNet, ["splat.0", "splat.2", "splat.4", "splat.6", "shrink.0", "shrink.2", "whole.0", "whole.2",
        "whole.4", "local.0", "local.2", "predict", "guide.0", "guide.2", "output"]),
    "upscaler": (Upscaler, ["blocks.0", "blocks.1", "blocks.2", "blocks.3", "output"]),
    "scenes": (lambda: SceneNetwork("depth", (2, 2, 2, 2, 2)), [*(f"down.{n}" for n in range(4)), "middle",
        *(f"up.{n}" for n in range(4)), "output"]),
    "DeepLabv3+": (deeplab_v3_plus, ["input", *(f"encoder.features.{n}" for n in range(1, 18)), "decoder.aspp",
        "decoder.block1", "segmentation_head.0"]),
    "DeepLabv3": (of_torchvision("deeplabv3_mobilenet_v3_large"), ["input", *(f"backbone.{n}" for n in range(1, 16)),
        "classifier.0", "classifier.3", "classifier.4"]),
    "LR-ASPP": (of_torchvision("lraspp_mobilenet_v3_large"), ["input", *(f"backbone.{n}" for n in range(1, 16)),
        "classifier.cbr", "output"]),
}  # fmt: skip
SLOW = ("DeepLabv3+", "DeepLabv3", "LR-ASPP")  # their libraries take seconds to be imported


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in PAPER]
)
def test_paper_points_are_those_of_the_paper(name: str) -> None:
    make, wanted = PAPER[name]
    # HDRNet's maps inside are square whatever the frame, which a frame that is square too tells.
    size = (64, 64) if name == "HDRNet" else (64, 80)
    check_both_presets(make().eval(), wanted, torch.rand(2, 1, 3, *size))


@pytest.mark.slow
def test_paper_points_of_depth_anything() -> None:
    layers = [f"neck.reassemble_stage.layers.{n}" for n in range(2)]
    fusion = [f"neck.fusion_stage.layers.{n}" for n in range(2)]
    check_both_presets(depth_anything().eval(), [*layers, *fusion, "output"], torch.rand(2, 1, 3, 42, 56))


def check_both_presets(model: nn.Module, wanted: list[str], frames: Tensor) -> None:
    points = hs.points_of(model, "paper")
    steady = hs.stabilize(model, "controlled", preset="paper", example=frames[0], points=points, **THIN)
    assert sorted(point.name for point in steady.adapter(0).points) == sorted(wanted)
    light = hs.stabilize(model, "spatial", preset="light", example=frames[0], points=hs.points_of(model), head_width=4)
    assert [point.name for point in light.adapter(0).points] == ["input", "output"]
    for one in (steady, light):
        one.train()  # else outputs carry no gradient
        state: Any = None
        for frame in frames:
            output, state = one.step(frame, state)
        total = sum(leaf.float().mean() for leaf in tensors(output))
        assert isinstance(total, Tensor)
        total.backward()
        moved = [p.grad is not None and bool(p.grad.isfinite().all()) for p in one.adapter(0).parameters()]
        assert sum(moved) > len(moved) / 2


def tensors(output: Any) -> list[Tensor]:
    values = output.values() if isinstance(output, dict) else [output]
    return [value for value in values if isinstance(value, Tensor)]


def test_unknown_networks_and_presets() -> None:
    assert hs.points_of(nn.Sequential(nn.Conv2d(3, 3, 1)), "paper") == ("auto",)
    assert hs.points_of(lambda frame: frame) == ("input", "output")
    with pytest.raises(ConfigError, match=r"named 'papre' \(did you mean paper\?\)"):
        hs.points_of(NAFNet(4), "papre")  # type: ignore[arg-type]
