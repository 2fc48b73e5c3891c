"""The small networks that the tests of the host share, and the kinds of adapters, small as well."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import holdsteady as hs
from holdsteady.host.outputs import find_leaf, get_leaf
from holdsteady.models.nafnet import NAFNet


class UNet(nn.Module):
    """Two scales, a skip, no repeated blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 6, 3, padding=1)
        self.down = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.leave = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, frame: Tensor) -> Tensor:
        fine = F.relu(self.enter(frame))
        coarse = F.relu(self.norm(self.down(fine)))
        out: Tensor = self.leave(torch.cat((fine, self.up(coarse)), dim=1))
        return out


class DictDepth(nn.Module):
    """A dict with a count and a depth map (B, H, W) in it; the attention is a vector (B, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.attention = nn.Linear(5, 5)
        self.leave = nn.Conv2d(5, 1, 1)

    def forward(self, frame: Tensor) -> dict[str, Any]:
        x = torch.tanh(self.conv(frame))
        x = x * self.attention(x.mean(dim=(2, 3)))[..., None, None]
        return {"count": len(frame), "depth": self.leave(x)[:, 0]}


class LastBlock(nn.Module):
    """A residual block on (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(self.norm(x))
        return x + F.gelu(mixed) + 0.1 * mixed.roll(1, dims=2)


class ChannelsLast(nn.Module):
    """Frames, features and output are (B, H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(3, 6)
        self.blocks = nn.Sequential(LastBlock(6), LastBlock(6))
        self.leave = nn.Linear(6, 3)

    def forward(self, frame: Tensor) -> Tensor:
        out: Tensor = self.leave(self.blocks(self.enter(frame)))
        return out


def cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1))


def nafnet() -> nn.Module:
    model = NAFNet(width=4, encoder=(1,), middle=1, decoder=(1,))
    for name, parameter in model.named_parameters():
        if name.endswith(("beta", "gamma")):  # zero at the start, which would make every block an identity
            nn.init.normal_(parameter)
    return model


def _calibrated(model: nn.Module) -> nn.Module:
    """With the statistics of some noise in its norms: else an untrained one gives almost the same for every frame."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 32, 48))
    return model


def vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=16, num_classes=7)
    nn.init.normal_(model.heads[0].weight)
    return model


def mobilenet() -> nn.Module:
    from torchvision.models import mobilenet_v3_small

    return _calibrated(mobilenet_v3_small(weights=None, num_classes=9))


def lraspp() -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return _calibrated(lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5))


def deeplab() -> nn.Module:
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    return _calibrated(deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5))


def segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[2, 2],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 12],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        num_labels=4,
    )
    return SegformerForSemanticSegmentation(config)


_HEADS = {
    "preset": "paper",
    "backbone_width": 4,
    "backbone_layers": 1,
    "head_width": 4,
    "head_layers": 0,
    "vector_width": 4,
}
_CONTROLLED = {**_HEADS, "initial_logit": 0.0}
KINDS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "output-fixed": [("output-fixed:0.5", {})],
    "output-gaussian": [("output-gaussian:1", {})],
    "simple-fixed": [("simple-fixed:0.6", {})],
    "simple-learned": [("simple-learned", {"initial_a": 0.0})],
    "controlled": [("controlled", _CONTROLLED)],
    "spatial": [("spatial", {**_HEADS, "initial_logit": 2.0})],
    "light": [("spatial", {"preset": "light", "initial_logit": 2.0})],
    "tiny": [("spatial", {"preset": "tiny", "initial_logit": 2.0})],
    "motion-fixed": [("motion-fixed", {})],
    "live": [("live", {})],
    "motion": [("motion", {"motion_width": 4, "initial_logit": 2.0})],
    "universal": [("universal", {})],
    "statistics-fixed": [("statistics-fixed:0.4", {})],
    "statistics": [("statistics", {})],
    "composition": [
        ("controlled", {**_CONTROLLED, "head_input": "backbone"}),
        ("spatial", {**_CONTROLLED, "head_input": "backbone"}),
    ],
}
EVERY_KIND = tuple(KINDS)
#: A search sees eight bits of what it looks at. Frames are the same however outputs were rounded.
KINDS["light along the frames"] = [("spatial", {"preset": "light", "initial_logit": 2.0, "flow_from": "input"})]
_SOME = ("output-gaussian", "simple-learned", "spatial", "light", "motion")
LEARNED = (
    "simple-learned",
    "controlled",
    "spatial",
    "light",
    "tiny",
    "motion",
    "universal",
    "statistics",
    "composition",
)


@dataclass(frozen=True)
class Network:
    """One row of the table.

    Attributes:
        build: makes the network.
        size: (H, W) of its frames.
        auto: the points that ``auto`` chooses, but for ``output``.
        channels_last: frames are (B, H, W, C).
        kinds: which it is tested with; every one, unless it is heavy.
    """

    build: Callable[[], nn.Module]
    size: tuple[int, int]
    auto: tuple[str, ...]
    channels_last: bool = False
    kinds: tuple[str, ...] = EVERY_KIND

    def fresh(self) -> nn.Module:
        """The network with fixed random weights, in eval mode."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.build().eval()

    @functools.cached_property
    def base(self) -> nn.Module:
        """A fresh one, shared by the tests, none of which may edit it."""
        return self.fresh()

    def clip(self, frames: int = 3, batch: int = 1, seed: int = 0) -> list[Tensor]:
        """Noisy frames of a texture that moves a pixel a frame."""
        generator = torch.Generator().manual_seed(seed)
        texture = F.interpolate(torch.rand(batch, 3, 9, 9, generator=generator), size=self.size, mode="bicubic")
        moving = [texture.roll(t, dims=3) + 0.1 * torch.rand(texture.shape, generator=generator) for t in range(frames)]
        return [x.permute(0, 2, 3, 1).contiguous() if self.channels_last else x for x in moving]


def _numbered(stem: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{stem}{i}" for i in range(first, last + 1))


NETWORKS: dict[str, Network] = {
    "cnn": Network(cnn, (16, 20), ("0",)),
    "u-net": Network(UNet, (16, 20), ("enter", "down", "norm", "up")),
    "nafnet": Network(nafnet, (13, 18), ("encoders.0.0", "middle.0", "decoders.0.0")),
    "vit": Network(vit, (32, 32), _numbered("encoder.layers.encoder_layer_", 0, 1), kinds=_SOME),
    "dict depth": Network(DictDepth, (16, 20), ("conv", "attention", "leave"), kinds=_SOME),
    "channels last": Network(ChannelsLast, (16, 20), ("blocks.0", "blocks.1"), channels_last=True, kinds=_SOME),
    "mobilenet": Network(
        mobilenet, (64, 64), _numbered("features.", 1, 11), kinds=("output-gaussian", "simple-learned")
    ),
    "lraspp": Network(lraspp, (32, 48), _numbered("backbone.", 1, 15), kinds=("spatial",)),
    "deeplab": Network(
        deeplab,
        (32, 48),
        (*_numbered("backbone.", 1, 15), *_numbered("classifier.0.convs.", 1, 3)),
        kinds=("motion",),
    ),
    "segformer": Network(
        segformer,
        (32, 48),
        (*_numbered("segformer.stages.", 0, 1), *_numbered("decode_head.linear_projections.", 0, 1)),
        kinds=("spatial", "motion-fixed"),
    ),
}
PAIRS = [(name, kind) for name, network in NETWORKS.items() for kind in network.kinds]
LIGHT = [name for name, network in NETWORKS.items() if len(network.kinds) >= len(_SOME)]


def attach(model: nn.Module, kind: str, example: Tensor, seed: int = 0, **options: Any) -> hs.StabilizedModel:
    """A model with a small adapter of one kind, its random weights fixed by the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        configs = [hs.make_config(name, **settings) for name, settings in KINDS[kind]]
        steady = hs.stabilize(model, configs, example=example, **options)
    for name, parameter in steady.named_parameters():
        if name.endswith(".amount"):  # of statistics, which does nothing at the start
            nn.init.constant_(parameter, 1.0)
    return steady


def image(output: Any) -> Tensor:
    """The image in what a network returns."""
    path = find_leaf(output)
    assert path is not None
    leaf: Tensor = get_leaf(output, path)
    return leaf
