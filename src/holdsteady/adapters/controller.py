"""The controller: one backbone a model, one head a point (docs/method.md, (5) and (6))."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdsteady.adapters.choose import tunable
from holdsteady.adapters.config import AdapterConfig
from holdsteady.adapters.means import enlarge, enlarge_rows, shrink

_SLOPE = 0.01


def _initialise(
    layer: nn.Conv2d | nn.Linear, activation: Literal["linear", "leaky_relu"], biases: tuple[float, ...] = ()
) -> nn.Conv2d | nn.Linear:
    nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain(activation, _SLOPE))
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(biases or 0.0))
    return layer


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    layer = _initialise(nn.Conv2d(inputs, outputs, 3, padding=1), "leaky_relu")
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE, inplace=True))


def _linear(inputs: int, outputs: int) -> nn.Sequential:
    layer = _initialise(nn.Linear(inputs, outputs), "leaky_relu")
    return nn.Sequential(layer, nn.LeakyReLU(_SLOPE, inplace=True))


class Backbone(nn.Module):
    """What the frame and the previous frame show, (B, C, H, W) each → features g_t (B, width, h, w).

    Args:
        frame_channels: C.
        width: channels of the features.
        layers: 3×3 layers after the first.
        scale: by which the frames are shrunk first, and so the features.
    """

    def __init__(self, frame_channels: int, width: int, layers: int, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(_conv(2 * frame_channels, width), *(_conv(width, width) for _ in range(layers)))

    def forward(self, frame: Tensor, previous_frame: Tensor) -> Tensor:
        out: Tensor = self.layers(shrink(torch.cat((frame, previous_frame), dim=1), self.scale))
        return out


@dataclass(frozen=True)
class HeadShape:
    """What a head is made of.

    Attributes:
        features: channels of g_t.
        values: channels of the point's own values, all together.
        initial_logits: of a place, the biases of the last layer at the start.
        width: channels of its layers.
        layers: layers between the first and the logits.
        reduction: channels that a 1×1 layer brings the values to where they have more, or 0.
        scale: by which values are shrunk first; the logits are enlarged again.
    """

    features: int
    values: int
    initial_logits: tuple[float, ...]
    width: int
    layers: int
    reduction: int = 0
    scale: int = 1


class Head(nn.Module):
    """Logits (B, outputs, H, W) for one point, from g_t resized to it and the point's own values."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.scale = shape.scale
        reduced = min(shape.reduction, shape.values) if shape.reduction else shape.values
        self.reduce = (
            _initialise(nn.Conv2d(shape.values, reduced, 1), "linear") if reduced != shape.values else nn.Identity()
        )
        inputs = [shape.features + reduced, *(shape.width for _ in range(shape.layers))]
        self.layers = nn.Sequential(*(_conv(channels, shape.width) for channels in inputs))
        self.logits = _initialise(
            nn.Conv2d(shape.width, len(shape.initial_logits), 3, padding=1), "linear", shape.initial_logits
        )

    def seen(self, features: Tensor, values: list[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Features and values (B, C, H, W) of a point, as the layers see them: at 1/scale of its size."""
        small = (-(-size[0] // self.scale), -(-size[1] // self.scale))
        if features.shape[-2:] != small:
            features = enlarge(features, size)
            # The squares at the end, which values may fill in part, are whole ones here.
            beyond = (0, self.scale * small[1] - size[1], 0, self.scale * small[0] - size[0])
            features = enlarge(F.pad(features, beyond, mode="replicate"), small)
        return [features, *(shrink(value, self.scale) for value in values)]

    def forward(self, values: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits of the size (H, W) of the point, from what :meth:`seen` gives."""
        logits: Tensor = self.logits(self.hidden(values))
        return self.enlarged(logits, slice(0, size[0]), size[1])

    def enlarged(self, logits: Tensor, rows: slice, width: int) -> Tensor:
        """Some rows of the logits, which are at 1/scale of the size, at the full one."""
        return enlarge_rows(logits, self.scale, rows, width)

    @property
    def reach(self) -> int:
        """How many pixels around it a logit depends on, at a scale of 1."""
        return len(self.layers) + 1

    def hidden(self, values: list[Tensor]) -> Tensor:
        """What the last layer, ``logits``, sees (B, width, h, w), from rows of what :meth:`seen` gives."""
        if not isinstance(self.reduce, nn.Identity):
            values = [values[0], self.reduce(torch.cat(values[1:], dim=1))]
        hidden = torch.cat(values, dim=1)
        del values
        for layer in self.layers:  # one by one: a call of them all would hold what the first one sees to the end
            hidden = layer(hidden)
        return hidden


class VectorHead(nn.Module):
    """As ``Head`` for points without space: linear layers on g_t pooled over the image."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        inputs = [shape.features + shape.values, *(shape.width for _ in range(shape.layers))]
        self.layers = nn.Sequential(*(_linear(channels, shape.width) for channels in inputs))
        last = nn.Linear(shape.width, len(shape.initial_logits))
        self.logits = _initialise(last, "linear", shape.initial_logits)

    def seen(self, features: Tensor, values: list[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Features pooled over the image and values, (B, C) each."""
        return [features.mean(dim=(2, 3)), *(value.flatten(1) for value in values)]

    def forward(self, values: list[Tensor], size: tuple[int, int]) -> Tensor:
        logits: Tensor = self.logits(self.layers(torch.cat(values, dim=1)))
        return logits.unflatten(1, (-1, *size))


class MotionHead(nn.Module):
    """Logits (B, k², H, W) of *motion* from what is seen at the output, in three thin layers.

    A full 3×3 layer to ``width`` channels, a depthwise-separable one, and a depthwise-separable one to
    the logits after another: 5.4 k parameters for images of three channels.
    """

    scale = 1

    def __init__(self, inputs: int, width: int, initial_logits: tuple[float, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(inputs, width), _separable(width, width), _separable(width, width))
        self.spread = _depthwise(width)
        self.logits = _initialise(nn.Conv2d(width, len(initial_logits), 1), "linear", initial_logits)

    def forward(self, values: list[Tensor], size: tuple[int, int]) -> Tensor:
        out: Tensor = self.logits(self.hidden(values))
        return out

    @property
    def reach(self) -> int:
        """How many pixels around it a logit depends on."""
        return len(self.layers) + 1

    def hidden(self, values: list[Tensor]) -> Tensor:
        """What the last layer, ``logits``, sees: (B, width, H, W)."""
        out: Tensor = self.spread(self.layers(torch.cat(values, dim=1)))
        return out


class RelativeHead(nn.Module):
    """Logits (B, K, H, W) of *universal* from maps without unit (B, F, H, W), in four thin layers."""

    def __init__(self, inputs: int, width: int, initial_logits: tuple[float, ...]) -> None:
        super().__init__()
        mix = nn.Sequential(_initialise(nn.Conv2d(inputs, width, 1), "leaky_relu"), nn.LeakyReLU(_SLOPE, inplace=True))
        self.layers = nn.Sequential(mix, _separable(width, width), _separable(width, width), _depthwise(width))
        self.logits = _initialise(nn.Conv2d(width, len(initial_logits), 1), "linear", initial_logits)
        # Nothing is changed at the start.
        nn.init.zeros_(self.logits.weight)

    @property
    def reach(self) -> int:
        """How many pixels around it a logit depends on."""
        return sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in _leaves(self.layers))

    def forward(self, seen: Tensor) -> Tensor:
        return through(self, seen)

    def all_layers(self, seen: Tensor) -> Tensor:
        """One layer after the other."""
        value = seen
        for layer in (*_leaves(self.layers), self.logits):
            is_pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
            value = pointwise(value, layer) if is_pointwise else layer(value)
        return value


@tunable
def through(head: RelativeHead, seen: Tensor) -> Tensor:
    """What a head makes of what it sees."""
    return head.all_layers(seen)


@tunable
def pointwise(value: Tensor, layer: nn.Module) -> Tensor:
    """A 1×1 convolution, (B, C, H, W) → (B, width, H, W) in channels-last memory."""
    out: Tensor = layer(value.contiguous(memory_format=torch.channels_last))
    return out


def make_head(channels: int, has_space: bool, config: AdapterConfig) -> Head | VectorHead:
    """The head of a point of the *controlled* and *spatial* kinds; arguments as of ``method.HeadFusion``."""
    seen = {"features": 3, "pair": 4 if has_space else 3, "backbone": 0}[config.head_input]
    shape = HeadShape(
        config.backbone_width,
        seen * channels,
        initial_logits(
            config, 1 if config.shared_kernel else channels, has_window=config.kind == "spatial" and has_space
        ),
        config.head_width if has_space else config.vector_width,
        config.head_layers,
        config.head_reduction,
        config.head_scale,
    )
    return Head(shape) if has_space else VectorHead(shape)


def initial_logits(config: AdapterConfig, kernels: int, *, has_window: bool) -> tuple[float, ...]:
    """A logit for each offset and kernel: all offsets together have the weight that a single one would have.

    Nine logits at −4 would leave the present a weight of 0.86, not of 0.98 as one does, so they start at −4 − ln 9.
    """
    if not has_window:
        return (config.initial_logit,) * kernels
    offsets = config.kernel**2
    leads = [config.initial_centre if index == offsets // 2 else 0.0 for index in range(offsets)]
    total = math.log(sum(math.exp(lead) for lead in leads))
    return tuple(config.initial_logit + lead - total for lead in leads for _ in range(kernels))


def _leaves(layers: nn.Sequential) -> Iterator[nn.Module]:
    for layer in layers:
        yield from _leaves(layer) if isinstance(layer, nn.Sequential) else (layer,)


def _depthwise(width: int) -> nn.Module:
    return _initialise(nn.Conv2d(width, width, 3, padding=1, groups=width), "linear")


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    pointwise = _initialise(nn.Conv2d(inputs, outputs, 1), "leaky_relu")
    return nn.Sequential(_depthwise(inputs), pointwise, nn.LeakyReLU(_SLOPE, inplace=True))
